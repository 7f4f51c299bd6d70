# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands side by side: the first one's output at once, the others' when they end.

(pytest-xdist 3.8 does not group tests under pytest 9, and would boot every machine in every
process.)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 2
_NOTHING_RAN = 5  # pytest's status where its words choose no test


@dataclass(frozen=True)
class Part:
    """Something to run in the repository's folder.

    Attributes:
        title: over its output; parts of one title share something out, so that some of them
            may have no tests, but not all.
        words: for the Python that runs this, from ``-m`` on.

    """

    title: str
    words: Sequence[str]

    def run(self, shown: bool) -> int:
        """Run it; print its output at its end if it is not *shown* at once."""
        # a file, not a pipe: whom the command leaves behind may keep that open for ever
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            done = subprocess.run(
                [sys.executable, *self.words],
                cwd=ROOT,
                stdout=None if shown else output,
                stderr=None if shown else subprocess.STDOUT,
                check=False,
            )
            if not shown:
                output.seek(0)
                print(f"\n---- {self.title} ----\n{output.read()}", flush=True)
        return done.returncode


def tests(title: str, *words: str) -> Part:
    """Return the part that has pytest run what *words* say."""
    return Part(title, ["-m", "pytest", *words])


def run(parts: Sequence[Part]) -> int:
    """Run *parts*, two at a time; return 0 if all passed."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [pool.submit(part.run, shown=n == 0) for n, part in enumerate(parts)]
    statuses: dict[str, set[int]] = {part.title: set() for part in parts}
    for part, ended in zip(parts, runs, strict=True):
        statuses[part.title].add(ended.result())
    for of_one in statuses.values():
        if of_one != {_NOTHING_RAN}:
            of_one.discard(_NOTHING_RAN)
    # one that a signal ended has a negative one
    return next((abs(status) for each in statuses.values() for status in each if status), 0)
