# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that are killed, starved and greedy: guest/killer.c, exhaust.c, pressure.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from . import guestc
from .conftest import Bench

pytestmark = pytest.mark.parallel

KILLS, ALL_KILLS = 60, 1000
EXHAUSTIONS, ALL_EXHAUSTIONS = 200, 10_000
RELOADS, ALL_RELOADS = 6, 200
RING = 64  # of the one queue, while buffers are scarce
SIGKILL = -9


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether every number is to be what the hostile cases ask for."""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def pressure(bench: Bench) -> Any:
    """guest/pressure.py, in the guest."""
    return bench.vm.guest.modules["pressure"]


@pytest.mark.timeout(3000)
def test_programs_killed_at_random_moments_leave_the_pool_whole(bench: Bench, full: bool) -> None:
    """Hostile case 52: holding received frames, transmit buffers, inside calls."""
    program, rounds = guestc.build("killer"), ALL_KILLS if full else KILLS
    done = bench.vm.run([program, bench.near, bench.peer, str(rounds), "1"], 2400)
    word, *counts = done.stdout.split()
    killed = {name: int(count) for name, count in (each.split("=") for each in counts)}
    assert word == "done" and sum(killed.values()) == rounds
    wanted = ("reading", "holding", "sending", "waiting", "asking") if full else ("waiting",)
    assert all(killed[name] for name in wanted), killed


def test_a_holder_killed_for_want_of_memory_leaves_the_pool_whole(
    bench: Bench, pressure: Any
) -> None:
    """Hostile case 53."""
    assert pressure.killed_for_memory(bench.near, bench.peer) == SIGKILL
    # what the memory manager says of it, with the victim's registers
    bench.vm.assert_log_clean(allow=[r"Call Trace:", r"RIP: 0033:"])


def test_exec_ends_a_tap_whose_file_is_to_be_closed(bench: Bench, pressure: Any) -> None:
    """Hostile case 54."""
    pressure.across_exec(bench.near, bench.peer)


def test_a_mapping_alone_keeps_the_core_loaded(bench: Bench, pressure: Any) -> None:
    """Hostile case 55: neither a driver nor a file keeps it any more."""
    try:
        pressure.only_mapped(bench.near)
    finally:
        bench.load()


@pytest.mark.timeout(3000)
def test_unloading_and_loading_again_and_again_under_traffic(
    bench: Bench, pressure: Any, full: bool
) -> None:
    """Hostile case 59."""
    paths = tuple(str(path) for path in bench.modules)
    guest = bench.vm.python(timeout_s=2400)
    try:
        rounds = ALL_RELOADS if full else RELOADS
        guest.modules["pressure"].reload(rounds, paths, bench.near, bench.peer)
    finally:
        guest.close()
        bench.load()


@pytest.fixture
def scarce(bench: Bench) -> Iterator[Bench]:
    """Card 1 with one queue, small rings, and as few buffers as it can have."""
    queues = next(p.n_queues for p in bench.abi.ports() if p.name.decode() == bench.near)
    bench.vm.run(["ethtool", "-L", bench.near, "combined", "1"])
    bench.vm.run(["ethtool", "-G", bench.near, "rx", str(RING)])
    bench.abi.configure(bench.near, n_bufs=3 * RING)
    bench.vm.wait_carrier(1)
    yield bench
    bench.assert_whole()
    bench.abi.configure(bench.near)
    bench.usual_rings(bench.near)
    bench.vm.run(["ethtool", "-L", bench.near, "combined", str(queues)])
    bench.vm.wait_carrier(1)


@pytest.mark.timeout(3000)
def test_a_hoarder_of_all_memory_gives_it_back_again_and_again(scarce: Bench, full: bool) -> None:
    """Hostile cases 63, 64 and 67: the card's ring is refilled in part, and each buffer once."""
    bench, program = scarce, guestc.build("exhaust")
    rounds = ALL_EXHAUSTIONS if full else EXHAUSTIONS
    done = bench.vm.run([program, bench.near, bench.peer, str(rounds)], 2400)
    word, most = done.stdout.split()
    pool = bench.port_stats(bench.near)["pool_size"]
    assert word == "done" and pool - RING <= int(most) <= pool


def test_transmit_memory_counts_against_the_programs_own_limit(bench: Bench, pressure: Any) -> None:
    """Hostile case 82: memory.max is respected, and its holder told so, not killed."""
    pressure.transmit_memory_is_charged(bench.near)


@pytest.mark.parametrize("what", ["rings", "transmit"])
def test_who_is_made_to_wait_for_memory_keeps_nobody_else(
    bench: Bench, pressure: Any, what: str
) -> None:
    """Hostile case 82: memory.high, which slows a program down in the middle of a call."""
    pressure.waits_alone_for_memory(bench.near, what)


def test_rings_count_against_the_programs_own_limit(bench: Bench, pressure: Any) -> None:
    """Hostile case 82."""
    pressure.rings_are_charged(bench.near)
