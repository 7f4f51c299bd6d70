# SPDX-License-Identifier: GPL-2.0-or-later
"""``make check``: the unit tests, Python's apart as they take as long as the others; and lint."""

from __future__ import annotations

import sys

from ci.side_by_side import Part, run, tests

PYTHON = "tests/unit/python"


def main(*words: str) -> int:
    """Run it all, with *words* for pytest; return the worst status."""
    return run(
        [
            tests("unit tests", "-q", "tests/unit", f"--ignore={PYTHON}", *words),
            Part("lint", ["-m", "ci.lint"]),
            tests("unit tests", "-q", PYTHON, *words),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
