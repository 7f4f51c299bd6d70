# SPDX-License-Identifier: GPL-2.0-or-later
"""``make vm-test``: the unit tests and the tests of some kernels, in two processes at a time.

A virtual machine keeps one processor busy, so each of two processes has a kernel at a time; of
one kernel alone, each has every second file of tests, and a machine of its own. The first of all
has the unit tests besides. The output of those that run beside the first is shown when they end.
(pytest-xdist 3.8 does not group tests under pytest 9, and would boot every machine in every
process.)
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 2
_NOTHING_RAN = 5  # pytest's status where the words choose no test of this process


def _shares(kernels: list[str]) -> list[tuple[str, list[str]]]:
    """What each process gets, the first to be shown first: a kernel, and its tests."""
    if len(kernels) > 1:
        return [(kernel, ["tests/integration"]) for kernel in kernels]
    files = sorted(str(path) for path in (ROOT / "tests/integration").glob("test_*.py"))
    return [(kernels[0], files[n::AT_ONCE]) for n in range(AT_ONCE)]


def _pytest(kernel: str, tests: list[str], words: list[str], shown: bool) -> int:
    command = [sys.executable, "-m", "pytest", *tests, "--kernels", kernel, *words]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=None if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.STDOUT,
        text=True,
        check=False,
    )
    if not shown:
        print(f"\n---- kernel {kernel} ----\n{done.stdout}", flush=True)
    return done.returncode


def main(kernels: str, *words: str) -> int:
    """Run the tests of all *kernels*, with *words* for pytest; return the worst status."""
    (first, tests), *others = _shares(kernels.split())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [pool.submit(_pytest, first, ["tests/unit", *tests], [*words], True)]
        runs += [pool.submit(_pytest, *share, [*words], False) for share in others]
        statuses = {run.result() for run in runs}
    # nothing at all is a mistake; nothing in one process is what its list says
    if statuses != {_NOTHING_RAN}:
        statuses.discard(_NOTHING_RAN)
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
