# SPDX-License-Identifier: GPL-2.0-or-later
"""``make vm-test``: the unit tests and the tests of some kernels, two kernels at once.

A virtual machine keeps one processor busy, so each of two processes has a kernel at a time, and
the first of all has the unit tests besides. The output of those that run beside the first is
shown when they end. (pytest-xdist 3.8 does not group tests under pytest 9, and would boot every
machine in every process.)
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 2
_NOTHING_RAN = 5  # pytest's status where the words choose no test of this process


def _pytest(folders: list[str], kernel: str, words: list[str], shown: bool) -> int:
    command = [sys.executable, "-m", "pytest", *folders, "--kernels", kernel, *words]
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
    first, *others = kernels.split()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [pool.submit(_pytest, ["tests/unit", "tests/integration"], first, [*words], True)]
        runs += [
            pool.submit(_pytest, ["tests/integration"], kernel, [*words], False)
            for kernel in others
        ]
        statuses = {run.result() for run in runs}
    # nothing at all is a mistake; nothing on some kernel is what its list says
    if statuses != {_NOTHING_RAN}:
        statuses.discard(_NOTHING_RAN)
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
