# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel built here, from Debian's source package and configuration fragments.

The fragments are files of ``ci/kconfig/``; together they are the whole configuration, as
everything that they do not name, and that nothing named needs, is off. What is left of the
build has the form of an extracted kernel package: the image, its modules, and a folder of
headers that out-of-tree modules build from.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from emulation.apt import PrivateApt
from emulation.cache import REPOSITORY, cache_dir

_FRAGMENTS = REPOSITORY / "ci" / "kconfig"
_TAIL = 15  # lines of a failed build's log that are shown


class SourceError(Exception):
    """A kernel could not be built; the message says why, or ends with the build's log."""


def fragments_digest(names: Sequence[str]) -> str:
    """Return what changes with the configuration that the fragments *names* make."""
    return hashlib.sha256(_configuration(names).encode()).hexdigest()[:16]


def build(package: str, version: str, names: Sequence[str], apt: PrivateApt, into: Path) -> str:
    """Build the kernel of a source package into the empty folder *into*; return its release.

    Args:
        package: the source package, such as ``linux-source-6.12``.
        version: its version.
        names: fragments, each of which may override those before it.
        apt: where the package comes from.
        into: becomes ``boot/``, ``lib/modules/`` and ``usr/src/linux-headers-RELEASE/``.

    Raises:
        AptError: the package cannot be had.
        SourceError: the build failed, or would leave out something that a fragment asks for.

    """
    subprocess.run([REPOSITORY / "ci" / "setup", "kernel"], check=True)
    log = cache_dir() / f"build-{into.name.strip('.').split('.')[0]}.log"
    print(f"emulation: building {package} {version}; see {log}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=into) as scratch, log.open("w") as output:
        work = _Build(Path(scratch), output.fileno(), log)
        work.unpack(package, version, apt)
        work.configure(_configuration(names))
        work.make("bzImage", "modules")
        return work.install(into)


def _configuration(names: Sequence[str]) -> str:
    return "".join((_FRAGMENTS / f"{name}.config").read_text() for name in names)


def refused(wanted: str, config: str) -> list[str]:
    """Return the settings of the text *wanted* that the text *config* does not have."""
    settings: dict[str, str] = {}
    for line in wanted.splitlines():
        if line.startswith("CONFIG_"):
            name, value = line.split("=", 1)
            settings[name] = value
    have = dict(line.split("=", 1) for line in config.splitlines() if line.startswith("CONFIG_"))
    return [f"{name}={value}" for name, value in settings.items() if have.get(name, "n") != value]


class _Build:
    """A build under way in a folder that goes when it is over."""

    def __init__(self, scratch: Path, output: int, log: Path) -> None:
        self._scratch = scratch
        self._source = scratch / "source"
        self._objects = scratch / "objects"
        self._output = output
        self._log = log

    def unpack(self, package: str, version: str, apt: PrivateApt) -> None:
        (deb,) = apt.download([f"{package}={version}"], self._scratch)
        self._run("dpkg", "-x", deb, self._scratch / "package")
        deb.unlink()
        self._source.mkdir()
        archive = self._scratch / "package" / "usr" / "src" / f"{package}.tar.xz"
        self._run("tar", "-xf", archive, "-C", self._source, "--strip-components=1")
        archive.unlink()

    def configure(self, wanted: str) -> None:
        self._objects.mkdir()
        fragment = self._scratch / "wanted.config"
        fragment.write_text(wanted)
        self.make("allnoconfig", f"KCONFIG_ALLCONFIG={fragment}")
        if left_out := refused(wanted, (self._objects / ".config").read_text()):
            raise SourceError(f"this kernel does not take {', '.join(left_out)}")

    def make(self, *words: str) -> None:
        folders = ["-C", str(self._source), f"O={self._objects}"]
        # Niced: it takes minutes, and whoever waits for it may as well do something else.
        self._run("nice", "make", "-s", *folders, f"-j{os.cpu_count()}", *words)

    def install(self, into: Path) -> str:
        release = (self._objects / "include/config/kernel.release").read_text().strip()
        self.make("modules_install", f"INSTALL_MOD_PATH={into}")
        for name in ("build", "source"):
            (into / "lib/modules" / release / name).unlink(missing_ok=True)
        (into / "boot").mkdir()
        image = self._objects / "arch/x86/boot/bzImage"
        image.rename(into / "boot" / f"vmlinuz-{release}")
        tools = {"srctree": str(self._source), "SRCARCH": "x86", "MAKE": "make"}
        self._run(
            self._source / "scripts/package/install-extmod-build",
            into / "usr/src" / f"linux-headers-{release}",
            cwd=self._objects,
            env={**os.environ, **tools, "CC": "gcc", "HOSTCC": "gcc"},
        )
        return release

    def _run(
        self, *words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> None:
        done = subprocess.run(
            words, cwd=cwd, env=env, stdout=self._output, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-_TAIL:])
            raise SourceError(f"{words[0]} failed, see {self._log}\n{tail}")
