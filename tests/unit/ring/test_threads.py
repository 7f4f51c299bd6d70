# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc_ring.h`` between two threads: every entry intact, nobody left asleep, no race.

Under ThreadSanitizer for the order of accesses, and as optimised code for what the processor
itself reorders. The model checker (test_protocol.py) tries all that can happen, with few
entries; here are millions, of the size that descriptors have.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .program import HEADER, HERE, INCLUDE
from .test_protocol import LABELS, labelled, weaken

# entries that the two threads hand over through a ring of so many, near 2^32
TOTALS = {1: 50_000, 2: 100_000, 8: 300_000, 4096: 3_000_000}
# full barriers order nothing that ThreadSanitizer looks for, so it may ignore them
BUILDS = {
    "under ThreadSanitizer": "-O1 -g -fsanitize=thread -Wno-tsan",
    "optimised": "-O3",
}


Build = Callable[..., Path]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Compile threads.c with these options and this text of the header."""

    @functools.cache
    def compiled(options: str, header: str = HEADER) -> Path:
        folder = tmp_path_factory.mktemp("threads")
        (folder / "ntzc_ring.h").write_text(header)
        command = "gcc -std=gnu11 -Wall -Wextra -Werror -pthread".split() + options.split()
        command += [f"-I{folder}", f"-I{INCLUDE}", str(HERE / "threads.c")]
        subprocess.run([*command, "-o", str(folder / "threads")], check=True)
        return folder / "threads"

    return compiled


def run(program: Path, size: int, sleeps: bool) -> str:
    """Return what it found, or nothing."""
    total = TOTALS[size]
    numbers = (size, total, 2**32 - total // 2, int(sleeps))
    done = subprocess.run(
        [str(program), *map(str, numbers)],
        env={"TSAN_OPTIONS": "halt_on_error=1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,  # who yields on a busy machine waits for others' time slices
    )
    assert done.returncode in (0, 1, 66), done  # 66 is ThreadSanitizer's
    return f"{done.returncode} {done.stderr}" if done.returncode else ""


@pytest.mark.parametrize("sleeps", [False, True], ids=["spinning", "sleeping"])
@pytest.mark.parametrize("size", TOTALS)
@pytest.mark.parametrize("how", BUILDS)
def test_every_entry_comes_through(build: Build, how: str, size: int, sleeps: bool) -> None:
    assert run(build(BUILDS[how]), size, sleeps) == ""


@pytest.mark.parametrize("label", [label for label, what in LABELS.items() if what == "race"])
def test_the_sanitizer_sees_an_access_that_orders_nothing(build: Build, label: str) -> None:
    (line,) = labelled(HEADER, label)
    program = build(BUILDS["under ThreadSanitizer"], HEADER.replace(line, weaken(line)))
    assert "data race" in run(program, 8, sleeps=False)
