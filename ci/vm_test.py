# SPDX-License-Identifier: GPL-2.0-or-later
"""``make vm-test``: the unit tests and the tests of some kernels.

A machine waits for cards and clocks for a quarter of its time, so twice as many processes run at
once as keep two processors busy. Each has a kernel, a share of its tests, and a machine of its
own; the first of all has the unit tests besides.
"""

from __future__ import annotations

import sys

from ci.side_by_side import ROOT, run, tests
from emulation import kernels as known
from emulation import modules

AT_ONCE = 4
SHARES = 2  # of a kernel's tests


def _shares(kernels: list[str]) -> list[tuple[str, list[str]]]:
    """What each process gets: a kernel, and every n-th file of its tests."""
    files = sorted((ROOT / "tests/integration").glob("test_*.py"))
    names = [str(path.relative_to(ROOT)) for path in files]
    return [(kernel, names[n::SHARES]) for n in range(SHARES) for kernel in kernels]


def main(kernels: str, *words: str) -> int:
    """Run the tests of all *kernels*, with *words* for pytest; return the worst status."""
    for kernel in kernels.split():
        modules.build(known.fetch(kernel))  # here, not within a test's time
    (first, files), *others = _shares(kernels.split())
    parts = [tests(f"kernel {first}", "tests/unit", *files, "--kernels", first, *words)]
    for kernel, files in others:
        parts.append(tests(f"kernel {kernel}", *files, "--kernels", kernel, *words))
    return run(parts, AT_ONCE)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
