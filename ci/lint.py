# SPDX-License-Identifier: GPL-2.0-or-later
"""All that is checked without running anything: arrows, checkpatch, sparse, ruff, mypy.

``python -m ci.lint [NAME...]`` runs all quick checks, or those named; of the slow ones,
see :mod:`ci.analyze`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ci import abi_doc, analyze, arrows
from emulation import kernels, modules

ROOT = Path(__file__).resolve().parent.parent
_PYTHON = ["ci", "emulation", "pyntzc", "bench", "tests"]
_SPARSE_KERNEL = "6.12"


def _run(*argv: str) -> str:
    """Return what the command printed if it failed, or nothing."""
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip() or "failed" if done.returncode else ""


def _python_folders() -> list[str]:
    return [name for name in _PYTHON if any((ROOT / name).rglob("*.py"))]


def _checkpatch() -> str:
    kernel_code = [p for d in ("module", "driver") for p in sorted((ROOT / d).rglob("*.[ch]"))]
    options = ["--no-tree", "--strict", "--quiet", "--terse", "--max-line-length=100"]
    # FILE_PATH_CHANGES asks about a list of maintainers, which is the kernel's own
    options += ["--ignore", "FILE_PATH_CHANGES", "--no-summary"]
    script = str(analyze.scripts() / "checkpatch.pl")
    return _run("perl", script, *options, "--file", *map(str, kernel_code))


def _sparse() -> str:
    """Build both modules with extra warnings and sparse; what they say is a fault."""
    return modules.lint(kernels.fetch(_SPARSE_KERNEL))


CHECKS: dict[str, Callable[[], str]] = {
    "arrows": lambda: "\n".join(arrows.faults()),
    "abi": lambda: "" if abi_doc.is_current() else "docs/abi.md is stale: python -m ci.abi_doc",
    "ruff": lambda: _run(sys.executable, "-m", "ruff", "check", *_python_folders()),
    "format": lambda: _run(sys.executable, "-m", "ruff", "format", "--check", *_python_folders()),
    "mypy": lambda: _run(sys.executable, "-m", "mypy", *_python_folders()),
    "checkpatch": _checkpatch,
    "sparse": _sparse,
}
SLOW: dict[str, Callable[[], str]] = {
    "cocci": analyze.coccinelle,
    "clang-modules": analyze.clang_modules,
    "clang-lib": analyze.clang_lib,
}


def main(names: list[str]) -> int:
    """Run the checks; return 1 if any found something."""
    failed = False
    every = CHECKS | SLOW
    wanted = names or list(CHECKS)
    if unknown := set(wanted) - set(every):
        print(f"lint: no check {', '.join(unknown)}: choose from {', '.join(every)}")
        return 1
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, found in zip(wanted, pool.map(lambda n: every[n](), wanted), strict=True):
            print(f"lint: {name}: {'FAILED' if found else 'ok'}", flush=True)
            if found:
                failed = True
                print(found)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
