# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left in the middle: by a signal's handler, a cancelled task, a loop that is broken."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import numpy as np
import pytest

import pyntzc
from tests.unit.python.fake import FakeCard

FRAMES = [bytes([n]) * 60 for n in range(6)]


@pytest.fixture
def tap(card: FakeCard) -> Iterator[pyntzc.Tap]:
    for frame in FRAMES:
        card.deliver(frame)
    with pyntzc.open("card") as opened:
        yield opened


def test_a_signal_handler_may_close_the_tap_in_the_middle_of_a_call(
    card: FakeCard, tap: pyntzc.Tap
) -> None:
    card.on_tx_setup = lambda: signal.raise_signal(signal.SIGUSR1)
    before = signal.signal(signal.SIGUSR1, lambda number, frame: tap.close())
    try:
        with pytest.raises(pyntzc.ClosedError):
            tap.send(FRAMES[0])
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert card.detached
    assert not card.sent


def test_a_signal_handler_may_ask_a_device_in_the_middle_of_a_call() -> None:
    device = object.__new__(pyntzc.Device)
    device._prepare(object())
    assert device._call(lambda _: device._call(lambda _: 7)) == 7
    device._device = None


def test_packets_that_are_left_early_go_on_where_they_were_left(
    card: FakeCard, tap: pyntzc.Tap
) -> None:
    got = []
    for packet in tap:
        got.append(bytes(packet))
        if len(got) == 2:
            break
    got.append(bytes(next(iter(tap))))
    card.deliver(bytes(60))
    got += [bytes(packet) for packet in tap.packets(timeout_s=0)]
    assert got == [*FRAMES, bytes(60)]


def test_what_was_left_is_closed_with_the_tap(card: FakeCard, tap: pyntzc.Tap) -> None:
    next(iter(tap))
    tap.close()
    with pytest.raises(pyntzc.ClosedError):
        next(iter(tap))


def test_a_task_that_is_cancelled_loses_no_packet(card: FakeCard, tap: pyntzc.Tap) -> None:
    async def main() -> list[bytes]:
        for steps in range(4):
            task = asyncio.ensure_future(tap.arecv(1))
            for _ in range(steps):
                await asyncio.sleep(0)
            if not task.cancel():
                got.extend(map(bytes, task.result()))
        while len(got) < len(FRAMES):
            got.extend(map(bytes, await tap.arecv(1)))
        return got

    got: list[bytes] = []
    assert asyncio.run(asyncio.wait_for(main(), 10)) == FRAMES


def test_rows_and_batches_are_sent_as_the_frames_that_they_are(
    card: FakeCard, tap: pyntzc.Tap
) -> None:
    batch = tap.recv()
    rows = batch.bytes(60)
    assert tap.send(rows) == 6
    assert tap.send(batch) == 6
    assert tap.send(np.frombuffer(FRAMES[1], np.uint8)) == 1
    assert card.sent == [*FRAMES, *FRAMES, FRAMES[1]]
