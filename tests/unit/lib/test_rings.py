# SPDX-License-Identifier: GPL-2.0-or-later
"""libntzc over a kernel in user space: what it promises of views, rings and threads.

c/kernel.c stands in for the system calls, so that a case can say when the kernel sleeps, looks
into a ring, or loses its card, and count how often it was called.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent / "c"
ROOT = HERE.parents[3]
LIBRARY = ROOT / "libntzc"
CASES = re.findall(r"CASE\((\w+)\),", (HERE / "cases.c").read_text())
# of rings only: without them there is nothing to avoid, to spoil, or to look into
RINGS_ONLY = {
    "queues_take_turns",
    "a_program_that_keeps_up_makes_no_call",
    "who_waits_with_a_view_out_does_not_spin",
    "a_release_ring_that_was_spoiled_loses_no_frame",
    "detached_views_read_as_zeros",
    "transmit_calls_only_a_kernel_that_sleeps",
    "mistakes_are_told_before_they_reach_the_transmit_ring",
    "frames_are_written_in_their_places_and_sent",
    "one_transmit_view_is_out_and_mistakes_in_it_are_told",
    "another_port_is_sent_to_by_a_call",
    "forwarded_frames_go_and_leave_their_places",
}
RUNS = [(name, door) for name in CASES for door in ("rings", "calls")]
RUNS = [(name, door) for name, door in RUNS if door == "rings" or name not in RINGS_ONLY]


def build(folder: Path, options: str) -> Path:
    """Compile the library, the cases, and the kernel in place of the system calls."""
    calls = ("open", "ioctl", "mmap64", "poll", "read", "write")
    command = "gcc -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra -Werror -pthread -g".split()
    command += options.split()
    command += [f"-I{ROOT / 'module/include'}", f"-I{LIBRARY / 'include'}"]
    command += [str(path) for path in (*HERE.glob("*.c"), *(LIBRARY / "src").glob("*.c"))]
    command += [f"-Wl,--wrap={name}" for name in calls]
    subprocess.run([*command, "-o", str(folder / "cases")], check=True)
    return folder / "cases"


def run(program: Path, name: str, door: str) -> str:
    """Return what went wrong, or nothing."""
    done = subprocess.run(
        [str(program), name, door],
        env={"TSAN_OPTIONS": "halt_on_error=1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return f"{done.returncode} {done.stderr}" if done.returncode else ""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
    return build(tmp_path_factory.mktemp("lib"), options)


@pytest.mark.parametrize(("name", "door"), RUNS)
def test_case(program: Path, name: str, door: str) -> None:
    assert run(program, name, door) == ""


@pytest.mark.parametrize("door", ["rings", "calls"])
def test_threads_race_for_nothing(tmp_path: Path, door: str) -> None:
    # full barriers order nothing that ThreadSanitizer looks for, so it may ignore them
    program = build(tmp_path, "-O1 -fsanitize=thread -Wno-tsan")
    assert run(program, "threads_share_a_tap", door) == ""
