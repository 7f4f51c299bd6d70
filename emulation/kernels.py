# SPDX-License-Identifier: GPL-2.0-or-later
"""Distribution kernels, fetched once into the cache and never installed.

``ci/kernels.toml`` lists them. A fetched kernel is a folder with its image, modules,
headers and kbuild tools, adjusted so that out-of-tree modules build from there, and a
record of the versions taken: while that record stands, no network is needed.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulation.apt import AptError, PrivateApt
from emulation.cache import REPOSITORY, cache_dir, locked, replacing

_LIST = REPOSITORY / "ci" / "kernels.toml"
# The part of a metapackage's dependencies that makes up the kernel; tools are not fetched.
_PART = re.compile(r"linux-(image|binary|modules|base|headers|kbuild)-\d")
# Where packages put the modules: older ones in /lib, newer ones in /usr/lib.
_MODULES = ("lib/modules", "usr/lib/modules")
_RECORD = "kernel.json"
_LAYOUT = 1  # raised when what fetch() leaves behind changes


class KernelError(Exception):
    """A kernel is not in the list, or could not be fetched."""


@dataclass(frozen=True)
class Kernel:
    """A kernel ready to boot and to build modules for.

    Attributes:
        name: what ``ci/kernels.toml`` calls it.
        release: what ``uname -r`` says inside it.
        version: the Debian package's version.
        root: the folder that the packages were extracted into.

    """

    name: str
    release: str
    version: str
    root: Path

    @property
    def image(self) -> Path:
        """The image that boots; its modules lie where virtme-ng looks for them."""
        image = self.root / "boot" / f"vmlinuz-{self.release}"
        # Newer packages have it among the modules.
        return image if image.exists() else _module_folders(self.root)[0] / "vmlinuz"

    @property
    def headers(self) -> Path:
        """The folder for ``make -C``."""
        return self.root / "usr" / "src" / f"linux-headers-{self.release}"


def known() -> dict[str, dict[str, Any]]:
    """Return the list of kernels, by name."""
    return tomllib.loads(_LIST.read_text())


def tested() -> list[str]:
    """Return the names of the kernels that the tests run on by default."""
    return [name for name, entry in known().items() if entry.get("tested")]


def fetch(name: str, *, update: bool = False) -> Kernel:
    """Return the kernel called *name*, fetched into the cache if it is not there.

    Args:
        name: a name from ``ci/kernels.toml``.
        update: look for a newer version even if one is there.

    Raises:
        KernelError: no such kernel, or it cannot be had.

    """
    entry = known().get(name)
    if entry is None:
        raise KernelError(f"no kernel {name!r}: choose from {', '.join(known())}")
    folder = cache_dir() / "kernels" / name
    if not update and (kernel := _recorded(name, folder)):
        return kernel
    with locked(f"kernel-{name}"):
        kernel = _recorded(name, folder)
        if kernel and not update:
            return kernel
        try:
            return _fetch(name, entry, folder, kernel)
        except (AptError, subprocess.CalledProcessError) as error:
            raise KernelError(f"kernel {name}: {error}") from error


def _recorded(name: str, folder: Path) -> Kernel | None:
    try:
        record = json.loads((folder / _RECORD).read_text())
    except FileNotFoundError:
        return None
    if record["layout"] != _LAYOUT:
        return None
    return Kernel(name, record["release"], record["version"], folder)


def _fetch(name: str, entry: dict[str, Any], folder: Path, have: Kernel | None) -> Kernel:
    apt = PrivateApt(entry["suites"])
    apt.update()
    packages = _parts(apt, entry["packages"])
    version = packages[0].split("=", 1)[1]
    if have and have.version == version:
        return have
    with replacing(folder) as scratch:
        with tempfile.TemporaryDirectory(dir=scratch) as debs:
            for deb in apt.download(packages, Path(debs)):
                subprocess.run(["dpkg", "-x", deb, scratch], check=True)
        release = _adjust(scratch, folder)
        record = {
            "layout": _LAYOUT,
            "release": release,
            "version": version,
            "packages": packages,
        }
        (scratch / _RECORD).write_text(json.dumps(record, indent=2) + "\n")
    return Kernel(name, release, version, folder)


def _parts(apt: PrivateApt, metapackages: Sequence[str]) -> list[str]:
    """Follow the newest metapackages to the packages of the kernel, as ``name=version``."""
    found: dict[str, str] = {}
    todo = list(metapackages)
    while todo:
        record = apt.show(todo.pop(0))[0]
        for dependency in record.get("Depends", "").split(", "):
            name = dependency.split(" ", 1)[0]
            if _PART.match(name) and name not in found:
                found[name] = apt.show(name)[0]["Version"]
                todo.append(name)
    return [f"{name}={version}" for name, version in found.items()]


def _module_folders(root: Path) -> list[Path]:
    return [folder for place in _MODULES for folder in root.glob(f"{place}/*")]


def _adjust(scratch: Path, final: Path) -> str:
    """Make the headers usable from *final*, where *scratch* is about to be; name the release."""
    found = _module_folders(scratch)
    if len(found) != 1:
        raise KernelError(f"{len(found)} kernels in one set of packages: {found}")
    modules = found[0]
    release = modules.name
    headers = scratch / "usr" / "src" / f"linux-headers-{release}"
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src/", f"{final}/usr/src/"))
    # Without it kbuild leaves the BTF step out, which would need pahole.
    (headers / "vmlinux").unlink(missing_ok=True)
    # Their targets lie outside the folder, under the name the kernel would be installed as.
    for name in ("build", "source"):
        (modules / name).unlink(missing_ok=True)
    subprocess.run(["depmod", "-b", modules.parents[2], release], check=True)
    return release
