# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's programs, their libraries and Python's files as a read-only disk for the guest.

The guest's root is the host's file system over 9p, where each look-up is a message and
nothing is cached, neither names nor what a symbolic link says: to start ``ip`` takes 170
messages, and importing takes more than twice as long as from a disk. So what is started and
imported again and again goes along as an uncompressed squashfs, made in a few seconds and kept
until it changes, and is mounted over its own paths.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from emulation.cache import cache_dir, locked

SERIAL = "ntzc-host"
"""The disk's serial number, by which the guest finds it."""

_MOUNT = "/run/ntzc-host"
_LARGE = 8 << 20  # bytes; larger programs and libraries stay on 9p: no test starts them


def _packages() -> list[Path]:
    """Return Python's folders, which go along whole."""
    paths = sysconfig.get_paths()
    return [Path(paths["purelib"]), Path(paths["stdlib"])]


def _programs() -> list[Path]:
    """Return the folders of programs and libraries, of which the smaller files go along."""
    folders = ["/usr/bin", "/usr/sbin", f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}"]
    # Python's own, where it is not the system's
    folders += [str(Path(sys.executable).resolve().parent), sysconfig.get_config_var("LIBDIR")]
    return [Path(folder) for folder in dict.fromkeys(folders)]


def host_image() -> Path | None:
    """Return the disk's file, made anew if what it holds has changed since.

    None if this machine lacks ``mksquashfs``: the guest is slower then, and no different.
    """
    if shutil.which("mksquashfs") is None:
        return None
    venv = Path(sys.prefix).name
    image = cache_dir() / "images" / f"{venv}-{_state()}.squashfs"
    if not image.exists():
        with locked(f"image-{venv}"):
            if not image.exists():
                _make(image, venv)
    return image


def _state() -> str:
    """Sum up how it is made, and when anything was last installed or removed."""
    state = hashlib.sha256(Path(__file__).read_bytes())
    for folder in [*_packages(), *_programs()]:
        state.update(f"{folder} {folder.stat().st_mtime_ns}\n".encode())
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                changed = entry.stat(follow_symlinks=False).st_mtime_ns
                state.update(f"{entry.name} {changed}\n".encode())
    return state.hexdigest()[:16]


def _left_out() -> Iterator[Path]:
    purelib, stdlib = _packages()
    yield from (stdlib / name for name in ("test", "idlelib", "site-packages"))
    yield from purelib.glob("mypy*")
    for folder in _programs():
        with os.scandir(folder) as entries:
            for entry in entries:
                if not _goes_along(entry):
                    yield Path(entry.path)


def _goes_along(entry: os.DirEntry[str]) -> bool:
    """Whether the image has what is in a folder of programs; the rest is found on 9p, below."""
    if entry.is_symlink():
        return True
    if entry.is_dir():
        return Path(entry.path) in _packages()
    small = entry.stat().st_size <= _LARGE and not entry.name.endswith(".a")
    return small or entry.name.startswith("libpython")


def _make(image: Path, venv: str) -> None:
    image.parent.mkdir(exist_ok=True)
    scratch = image.with_suffix(".new")
    left_out = image.with_suffix(".left-out")
    left_out.write_text("".join(f"{path}\n" for path in _left_out()))
    plain = ["-noI", "-noD", "-noF", "-noX", "-no-xattrs", "-no-progress", "-quiet"]
    folders = [str(folder) for folder in [*_packages(), *_programs()]]
    subprocess.run(
        ["mksquashfs", *folders, scratch, "-noappend", "-no-strip", *plain, "-ef", left_out],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    left_out.unlink()
    for old in image.parent.glob(f"{venv}-*.squashfs"):
        old.unlink()
    scratch.rename(image)


def qemu_args(image: Path) -> list[str]:
    """Return what plugs the disk in."""
    drive = f"file={image},format=raw,if=none,readonly=on,id={SERIAL}"
    return ["-drive", drive, "-device", f"virtio-blk-pci,drive={SERIAL},serial={SERIAL}"]


def mount_command() -> str:
    """Return the shell command that mounts it in the guest; it may fail without harm."""
    find = f"$(basename $(dirname $(grep -lx {SERIAL} /sys/block/vd*/serial)))"
    commands = ["modprobe -aq squashfs overlay", f"mkdir {_MOUNT}"]
    commands += [f"mount -t squashfs -o ro /dev/{find} {_MOUNT}"]
    for folder in _programs():
        at = shlex.quote(str(folder))
        commands.append(f"mount -t overlay -o ro,lowerdir={_MOUNT}{at}:{at} {_MOUNT} {at}")
    for folder in _packages():
        at = shlex.quote(str(folder))
        commands.append(f"mount --bind {_MOUNT}{at} {at}")
    return " && ".join(commands)
