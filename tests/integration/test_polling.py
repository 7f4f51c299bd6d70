# SPDX-License-Identifier: GPL-2.0-or-later
"""Who waits for a tap is told, in the way that it asked: guest/polling.py."""

from __future__ import annotations

import select
from typing import Any

import pytest

from .conftest import Bench


@pytest.fixture
def polling(bench: Bench) -> Any:
    """guest/polling.py, in the guest."""
    return bench.vm.guest.modules["polling"]


def test_state_edge_and_one_shot_say_what_they_should(bench: Bench, polling: Any) -> None:
    """Hostile case 47."""
    polling.ways_to_ask(bench.near, bench.peer)


def test_epoll_that_knew_the_file_before_it_was_attached_is_told(
    bench: Bench, polling: Any
) -> None:
    polling.registered_first(bench.near, bench.peer)


def test_who_waits_alone_for_room_is_told_beside_another_that_does(
    bench: Bench, polling: Any
) -> None:
    """Hostile case 47: EPOLLEXCLUSIVE is of one tap's waiters, not of all that share a queue."""
    polling.each_for_itself(bench.near)


def test_a_thousand_that_wait_are_all_told(bench: Bench, polling: Any) -> None:
    """Hostile case 51."""
    polling.a_thousand(bench.near, bench.peer)


def test_who_sleeps_when_the_card_goes_is_woken(bench: Bench, polling: Any) -> None:
    """Hostile cases 49 and 56."""
    both = select.POLLHUP | select.POLLERR
    sleeper = bench.vm.guest.modules["neighbour"].Child(polling.told_of_the_end, bench.near)
    card = bench.vm.pci(1).encode()
    try:
        bench.vm.wait_until(lambda: any(p.n_taps for p in bench.abi.ports()), 20, "the tap")
        bench.vm.write_file("/sys/bus/pci/drivers/ntzc_igb/unbind", card)
        said, by_edge = sleeper.result()
        assert said & both == both and by_edge & both == both
    finally:
        bench.vm.write_file("/sys/bus/pci/drivers/ntzc_igb/bind", card)
        bench.load()
