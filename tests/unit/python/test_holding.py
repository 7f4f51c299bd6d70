# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a program does with packets and views, each shows its own bytes or raises.

A model of a program: it receives, keeps, looks, slices, releases and drops in any order,
while the fake kernel overwrites what comes back and uses it again at once.
"""

from __future__ import annotations

from typing import TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import pyntzc
from tests.unit.python.fake import FakeCard

T = TypeVar("T")


def choose(data: st.DataObject, things: list[T]) -> T:
    """Draw one by index: what is drawn itself, hypothesis would keep alive."""
    return things[data.draw(st.integers(0, len(things) - 1))]


class Program(RuleBasedStateMachine):
    """What is held here, by Python's references, against what the kernel thinks is held."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.card = FakeCard(n_bufs=16, quota=16)
        self.card.install(self.patch)
        self.tap = pyntzc.open("card")
        self.count = 0
        self.batches: list[pyntzc.Batch] = []
        self.packets: list[tuple[pyntzc.Packet, bytes]] = []
        self.seen: list[tuple[memoryview, bytes]] = []

    @rule(count=st.integers(1, 6))
    def arrive(self, count: int) -> None:
        for _ in range(count):
            self.count += 1
            self.card.deliver(self.count.to_bytes(4, "big") * 15, hash=self.count)

    @rule(count=st.integers(1, 8))
    def receive(self, count: int) -> None:
        self.batches.append(self.tap.recv(count, 0))

    @rule(data=st.data())
    def pick(self, data: st.DataObject) -> None:
        batches = [batch for batch in self.batches if len(batch) and not batch.released]
        if batches:
            batch = choose(data, batches)
            packet = batch[data.draw(st.integers(0, len(batch) - 1))]
            self.packets.append((packet, packet.hash.to_bytes(4, "big") * 15))

    @rule(data=st.data(), start=st.integers(0, 60), stop=st.integers(0, 60))
    def look(self, data: st.DataObject, start: int, stop: int) -> None:
        if self.packets:
            packet, expected = choose(data, self.packets)
            if packet.released:
                with pytest.raises(pyntzc.ReleasedError):
                    packet.data  # noqa: B018 - the access is the test
            else:
                self.seen.append((packet.data[start:stop], expected[start:stop]))

    @rule(data=st.data(), start=st.integers(0, 60))
    def slice_again(self, data: st.DataObject, start: int) -> None:
        if self.seen:
            view, expected = choose(data, self.seen)
            self.seen.append((view[start:], expected[start:]))

    @rule(data=st.data())
    def release_packet(self, data: st.DataObject) -> None:
        if self.packets:
            choose(data, self.packets)[0].release()

    @rule(data=st.data())
    def release_batch(self, data: st.DataObject) -> None:
        if self.batches:
            choose(data, self.batches).release()

    @rule(data=st.data(), kind=st.sampled_from(["batches", "packets", "seen"]))
    def drop(self, data: st.DataObject, kind: str) -> None:
        things = getattr(self, kind)
        if things:
            del things[data.draw(st.integers(0, len(things) - 1))]

    @invariant()
    def views_show_their_own_bytes(self) -> None:
        assert all(view == expected for view, expected in self.seen)
        assert all(bytes(p) == expected for p, expected in self.packets if not p.released)

    @invariant()
    def what_is_looked_at_is_held_and_nothing_goes_back_twice(self) -> None:
        self.card.check()
        wanted = {packet._handle for packet, _ in self.packets if not packet.released}
        assert wanted <= self.card.held

    @rule()
    def drop_all(self) -> None:
        self.batches.clear()
        self.packets.clear()
        self.seen.clear()
        assert self.tap.stats().held == 0

    def teardown(self) -> None:
        self.batches.clear()
        self.packets.clear()
        self.tap.close()
        self.views_show_their_own_bytes()
        self.seen.clear()
        del self.tap
        assert self.card.destroyed
        self.card.close()
        self.card.check()
        self.patch.undo()


TestProgram = Program.TestCase
