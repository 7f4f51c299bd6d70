# SPDX-License-Identifier: GPL-2.0-or-later
"""Two threads of a program that do at once what they should not: guest/races.c, guest/stir.c."""

from __future__ import annotations

import pytest

from emulation.errors import VMError

from . import guestc
from .conftest import Bench

pytestmark = pytest.mark.races


def race(bench: Bench, which: str, rounds: int, timeout_s: float = 400) -> None:
    """Run a race; a broken rule is an error of its own words."""
    program = guestc.build("races")
    before = bench.port_stats(bench.near)
    try:
        done = bench.vm.run([program, bench.near, bench.peer, which, str(rounds)], timeout_s)
    except VMError as error:
        # a frame that did not come: was it the card that lost it, or a tap?
        error.add_note(f"before: {before}\nafter: {bench.port_stats(bench.near)}")
        raise
    assert done.stdout == "done\n"


def test_mapping_while_the_file_is_closed_is_refused_or_holds_the_tap(bench: Bench) -> None:
    """Hostile case 19: the last reference may be the mapping's own."""
    race(bench, "map-against-close", 60)


def test_a_thousand_mappings_come_and_go_under_traffic(bench: Bench) -> None:
    """Hostile case 20: each shows the frames where the first one does."""
    race(bench, "map-under-traffic", 1000)


def test_of_two_threads_that_give_back_one_frame_one_is_refused(bench: Bench) -> None:
    """Hostile case 26: two threads, one handle."""
    race(bench, "release-twice", 2000)


def test_two_threads_that_read_one_file_get_each_frame_once(bench: Bench) -> None:
    """Hostile case 37."""
    race(bench, "two-readers", 10_000)


def test_no_frame_comes_between_the_look_at_the_ring_and_the_sleep(bench: Bench) -> None:
    """Hostile case 46: one frame at a time, by poll() and by read() in turns."""
    race(bench, "wake-up", 5000)


def test_a_file_closed_while_it_is_polled_stays_until_the_poll_ends(bench: Bench) -> None:
    """Hostile case 48."""
    race(bench, "close-while-polled", 60)


def test_holders_on_all_processors_free_each_frame_once(bench: Bench) -> None:
    """Hostile case 66: four taps that share frames, each with an order of its own."""
    race(bench, "holders", 50_000)


@pytest.mark.parametrize("door", ["calls", "rings"])
def test_arguments_and_frames_rewritten_while_the_kernel_reads_them(
    bench: Bench, door: str
) -> None:
    """Hostile cases 41, 72 and rings."""
    program = guestc.build("stir")
    done = bench.vm.run([program, bench.near, door, str(bench.rounds(5_000))], 120)
    word, sent, refused = done.stdout.split()
    assert word == "done" and int(sent) > 0 and int(refused) > 0
