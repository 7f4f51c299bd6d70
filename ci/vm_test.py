# SPDX-License-Identifier: GPL-2.0-or-later
"""``make vm-test``: the unit tests and the tests of some kernels.

A virtual machine keeps most of a processor busy, so each of two processes has a kernel at a time;
of one kernel alone, each has every second file of tests, and machines of its own. The first of all
has the unit tests besides.
"""

from __future__ import annotations

import sys

from ci.side_by_side import AT_ONCE, ROOT, run, tests
from emulation import kernels as known
from emulation import modules


def _shares(kernels: list[str]) -> list[tuple[str, list[str]]]:
    """What each process gets: a kernel, and its tests."""
    if len(kernels) > 1:
        return [(kernel, ["tests/integration"]) for kernel in kernels]
    files = sorted((ROOT / "tests/integration").glob("test_*.py"))
    names = [str(path.relative_to(ROOT)) for path in files]
    return [(kernels[0], names[n::AT_ONCE]) for n in range(AT_ONCE)]


def main(kernels: str, *words: str) -> int:
    """Run the tests of all *kernels*, with *words* for pytest; return the worst status."""
    for kernel in kernels.split():
        modules.build(known.fetch(kernel))  # here, not within a test's time
    (first, files), *others = _shares(kernels.split())
    parts = [tests(f"kernel {first}", "tests/unit", *files, "--kernels", first, *words)]
    for kernel, files in others:
        parts.append(tests(f"kernel {kernel}", *files, "--kernels", kernel, *words))
    return run(parts)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
