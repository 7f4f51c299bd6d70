# SPDX-License-Identifier: GPL-2.0-or-later
"""The stock igb driver at the other end of the cable: what we send it reads, and back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Bench


@pytest.fixture
def socket(bench: Bench) -> Iterator[Any]:
    """A packet socket on the stock driver's card, in the guest."""
    peer = bench.vm.guest.modules["stockpeer"].Peer(bench.peer)
    yield peer
    peer.close()


def sizes(count: int) -> list[int]:
    some = random.Random(4)
    return [some.randrange(60, 1515) for _ in range(count)]


def test_frames_from_the_stock_driver_are_captured_byte_for_byte(bench: Bench, socket: Any) -> None:
    checker = bench.vm.guest.modules["checker"].Checker(bench.near)
    for start in range(0, 2000, 100):
        chunk = tuple(enumerate(sizes(100), start))
        socket.send(chunk)
        assert checker.take(chunk) == ""
    checker.close()


def test_frames_sent_by_ntzc_are_received_by_the_stock_driver(bench: Bench, socket: Any) -> None:
    pump = bench.vm.guest.modules["pump"].Pump(bench.near)
    for start in range(0, 2000, 100):
        chunk = tuple(enumerate(sizes(100), start))
        pump.send(chunk)
        assert socket.expect(chunk) == ""
    pump.close()
