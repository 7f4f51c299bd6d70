# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules, NTZC's above all, built for one kernel in a copy of their sources.

A module's build leaves its objects beside the sources, so each kernel has a copy of its
own under ``build/modules/``; only files that changed are copied, so kbuild rebuilds only
what changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from emulation import toolchain
from emulation.cache import REPOSITORY, locked
from emulation.kernels import Kernel

# Of the folder that a build is of: no other's, such as those that lie in build/.
_SOURCES = ("Kbuild", "*.c", "module/**/*", "driver/**/*")
_KEPT = (".c", ".h", "Kbuild", "Makefile", "Kconfig")


class BuildError(Exception):
    """The modules did not build; the message ends with the compiler's output."""


def build(
    kernel: Kernel,
    *,
    origin: Path = REPOSITORY,
    make_args: Sequence[str] = (),
    variant: str = "",
    verbose: bool = False,
) -> list[Path]:
    """Build the modules for *kernel* and return the ``.ko`` files in load order.

    Args:
        kernel: from :func:`emulation.kernels.fetch`.
        origin: where their ``Kbuild`` is, if they are not NTZC's own.
        make_args: extra words for make, such as ``W=1`` or ``C=2``.
        variant: a copy of its own for builds with other flags or of another origin, so that
            they do not undo each other's objects.
        verbose: let make write to the terminal.

    Raises:
        BuildError: make failed.
        ToolchainError: the compiler that this kernel wants cannot be had.

    """
    name = f"{kernel.name}-{variant}" if variant else kernel.name
    with locked(f"modules-{name}"):
        return _load_order(_make(kernel, name, make_args, origin=origin, verbose=verbose))


def lint(kernel: Kernel) -> str:
    """Build with sparse and all warnings; return what they say, or nothing.

    A warning is said only when a file is compiled. So each is an error, which leaves no object,
    and the next build says it again.
    """
    name = f"{kernel.name}-lint"
    words = ["--keep-going", "W=1", "C=1", "KCFLAGS=-Werror", "CF=-Wsparse-error"]
    with locked(f"modules-{name}"):
        try:
            _make(kernel, name, words)
        except BuildError as error:
            said = [line for line in str(error).splitlines() if re.search(r":\d+:.*: ", line)]
            return "\n".join(said) or str(error)
    return ""


def _make(
    kernel: Kernel,
    name: str,
    make_args: Sequence[str],
    *,
    origin: Path = REPOSITORY,
    verbose: bool = False,
) -> Path:
    """Bring the copy called *name* up to date and run make in it; return it."""
    copy = REPOSITORY / "build" / "modules" / name
    _start_afresh(copy, kernel)
    _mirror(origin, copy)
    command = ["make", "-C", str(kernel.headers), f"M={copy}", f"-j{os.cpu_count()}"]
    command += [*make_args, "modules"]
    if kernel.toolchain:
        command = toolchain.inside(kernel.toolchain, [kernel.root, copy], command)
    done = subprocess.run(
        command,
        stdout=None if verbose else subprocess.PIPE,
        stderr=None if verbose else subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildError(f"modules for {kernel.name} did not build\n{done.stdout or ''}")
    return copy


def _sources(root: Path) -> Iterator[Path]:
    for pattern in _SOURCES:
        for path in root.glob(pattern):
            if path.is_file() and path.name.endswith(_KEPT) and not path.name.endswith(".mod.c"):
                yield path


def _mirror(origin: Path, copy: Path) -> None:
    """Bring *copy* up to date with the sources of *origin*, keeping what the build made."""
    wanted = {path.relative_to(origin): path for path in _sources(origin)}
    for path in _sources(copy):
        if path.relative_to(copy) not in wanted:
            path.unlink()
    for relative, path in wanted.items():
        target = copy / relative
        if target.exists() and target.read_bytes() == path.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _start_afresh(copy: Path, kernel: Kernel) -> None:
    """Empty *copy* where its objects are another kernel version's."""
    stamp = copy / ".kernel"
    wanted = f"{kernel.root} {kernel.version}\n"
    if stamp.exists() and stamp.read_text() != wanted:
        shutil.rmtree(copy)
    copy.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)


def _load_order(copy: Path) -> list[Path]:
    """Return the modules built, each after those whose symbols it uses."""
    pending: dict[str, tuple[Path, list[str]]] = {}
    for path in sorted(copy.rglob("*.ko")):
        done = subprocess.run(
            ["modinfo", "-F", "depends", path], capture_output=True, text=True, check=True
        )
        pending[path.stem] = (path, [d for d in done.stdout.strip().split(",") if d])
    order: list[Path] = []
    while pending:
        ready = [name for name, (_, needs) in pending.items() if not set(needs) & set(pending)]
        if not ready:
            raise BuildError(f"modules need each other in a circle: {', '.join(pending)}")
        order += [pending.pop(name)[0] for name in ready]
    return order
