# SPDX-License-Identifier: GPL-2.0-or-later
"""Distribution kernels, fetched or built once into the cache and never installed.

``ci/kernels.toml`` lists them. A fetched kernel is a folder with its image, modules,
headers and kbuild tools, adjusted so that out-of-tree modules build from there, and a
record of the versions taken: while that record stands, no network is needed. A kernel that
is built here (:mod:`emulation.source`) is such a folder too.
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

from emulation import source
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
        pace: by what deadlines are multiplied, as it is that much slower than others.
        append: words for its command line.
        cpus: how many processors its machine has, unless another number is asked for.
        toolchain: the Debian release whose compiler its headers want; empty: any will do.
        aids: what it looks for by itself; see ``tests/integration/aftermath.py``.

    """

    name: str
    release: str
    version: str
    root: Path
    pace: float = 1
    append: str = ""
    cpus: int = 2
    toolchain: str = ""
    aids: tuple[str, ...] = ()

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
    if not update and (kernel := _recorded(name, entry, folder)):
        return kernel
    with locked(f"kernel-{name}"):
        kernel = _recorded(name, entry, folder)
        if kernel and not update:
            return kernel
        try:
            _fetch(entry, folder, kernel)
        except (AptError, source.SourceError, subprocess.CalledProcessError) as error:
            raise KernelError(f"kernel {name}: {error}") from error
        kernel = _recorded(name, entry, folder)
        assert kernel
        return kernel


def _recorded(name: str, entry: dict[str, Any], folder: Path) -> Kernel | None:
    try:
        record = json.loads((folder / _RECORD).read_text())
    except FileNotFoundError:
        return None
    if record["layout"] != _LAYOUT or record.get("fragments", "") != _fragments(entry):
        return None
    return Kernel(
        name,
        record["release"],
        record["version"],
        folder,
        pace=entry.get("pace", 1),
        append=entry.get("append", ""),
        cpus=entry.get("cpus", 2),
        toolchain=entry.get("toolchain", ""),
        aids=tuple(entry.get("aids", ())),
    )


def _fragments(entry: dict[str, Any]) -> str:
    """Sum up how the kernel is configured, if it is built here."""
    return source.fragments_digest(entry["fragments"]) if "fragments" in entry else ""


def _fetch(entry: dict[str, Any], folder: Path, have: Kernel | None) -> None:
    """Bring the newest version of a kernel into *folder*, unless it is the one we have."""
    apt = PrivateApt(entry["suites"])
    apt.update()
    if "source" in entry:
        packages = [f"{entry['source']}={apt.show(entry['source'])[0]['Version']}"]
    else:
        packages = _parts(apt, entry["packages"])
    first, version = packages[0].split("=", 1)
    if have and have.version == version:
        return
    with replacing(folder) as scratch:
        if "source" in entry:
            release = source.build(first, version, entry["fragments"], apt, scratch)
        else:
            release = _extract(packages, apt, scratch, folder)
        record = {
            "layout": _LAYOUT,
            "release": release,
            "version": version,
            "packages": packages,
            "fragments": _fragments(entry),
        }
        (scratch / _RECORD).write_text(json.dumps(record, indent=2) + "\n")


def _extract(packages: Sequence[str], apt: PrivateApt, scratch: Path, final: Path) -> str:
    """Extract a kernel's packages into *scratch*, which becomes *final*; name the release."""
    with tempfile.TemporaryDirectory(dir=scratch) as debs:
        for deb in apt.download(packages, Path(debs)):
            subprocess.run(["dpkg", "-x", deb, scratch], check=True)
    return _adjust(scratch, final)


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
