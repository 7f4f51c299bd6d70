# SPDX-License-Identifier: GPL-2.0-or-later
"""Python's files as a read-only disk for the guest.

The guest's root is the host's file system over 9p, where each look-up is a message and
nothing is cached: importing takes more than twice as long as from a disk. So the host's
Python packages and standard library go along as an uncompressed squashfs, made in a second
and kept until they change, and mounted over their own paths.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from emulation.cache import cache_dir, locked

SERIAL = "ntzc-python"
"""The disk's serial number, by which the guest finds it."""

_MOUNT = "/run/ntzc-python"
_LEFT_OUT = ("test", "idlelib", "python3.*/site-packages", "site-packages/mypy*")


def _folders() -> list[Path]:
    paths = sysconfig.get_paths()
    return [Path(paths["purelib"]), Path(paths["stdlib"])]


def python_image() -> Path | None:
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
    """Sum up when anything was last installed or removed."""
    state = hashlib.sha256()
    for folder in _folders():
        state.update(f"{folder} {folder.stat().st_mtime_ns}\n".encode())
        for entry in sorted(folder.iterdir()):
            state.update(f"{entry.name} {entry.stat().st_mtime_ns}\n".encode())
    return state.hexdigest()[:16]


def _make(image: Path, venv: str) -> None:
    image.parent.mkdir(exist_ok=True)
    scratch = image.with_suffix(".new")
    plain = ["-noI", "-noD", "-noF", "-noX", "-no-xattrs", "-no-progress", "-quiet"]
    folders = [str(folder) for folder in _folders()]
    subprocess.run(
        ["mksquashfs", *folders, scratch, "-noappend", *plain, "-wildcards", "-e", *_LEFT_OUT],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for old in image.parent.glob(f"{venv}-*.squashfs"):
        old.unlink()
    scratch.rename(image)


def qemu_args(image: Path) -> list[str]:
    """Return what plugs the disk in."""
    drive = f"file={image},format=raw,if=none,readonly=on,id={SERIAL}"
    return ["-drive", drive, "-device", f"virtio-blk-pci,drive={SERIAL},serial={SERIAL}"]


def mount_command() -> str:
    """Return the shell command that mounts it in the guest; it may fail without harm."""
    binds = [
        f"mount --bind {_MOUNT}/{shlex.quote(folder.name)} {shlex.quote(str(folder))}"
        for folder in _folders()
    ]
    disk = f"/dev/disk/by-id/virtio-{SERIAL}"
    mount = f"mkdir {_MOUNT} && mount -t squashfs -o ro {disk} {_MOUNT}"
    return " && ".join(["modprobe squashfs", mount, *binds])
