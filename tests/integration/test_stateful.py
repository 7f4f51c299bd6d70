# SPDX-License-Identifier: GPL-2.0-or-later
"""The real module against a model: taps come, read, hold, forward, send, close and are killed.

The model knows what each tap must have received, lost, hold and have sent; after every step
all counters are compared. One queue and one flow make the order of frames certain, so that
losses by ring and by quota are too. Frames never run short of buffers here (lost_pool is 0):
what happens then depends on when the card is refilled, and tests/unit/core has it.
"""

from __future__ import annotations

import errno
import pickle
from collections import deque
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from .conftest import Bench
from .frames import FLAGS, HANDLE, LEN, OFFSET, ORIG_LEN, QUEUE, TIMESTAMP, frame

MAX_TAPS = 5
MAX_FLAPS = 1  # of the interface, in an example: each takes a second
LENGTHS = [60, 61, 64, 65, 128, 1499, 1514]
HANDLE_TX = 0x80000000
GENERATION = 1 << 20  # a handle's lower bits name the buffer, the others the use of it
POLLIN, POLLOUT = 1, 4

Desc = tuple[int, ...]


@dataclass(eq=False)
class ModelTap:
    """What one tap has. Frames are named by their numbers."""

    killable: bool
    ring: int
    quota: int
    tx_size: int
    offered: int = 0
    bytes: int = 0
    received: int = 0
    lost_ring: int = 0
    lost_quota: int = 0
    waiting: deque[int] = field(default_factory=deque)
    held: set[int] = field(default_factory=set)
    read: dict[int, Desc] = field(default_factory=dict)
    reserved: dict[int, Desc] = field(default_factory=dict)
    submitted: int = 0
    forwarded: int = 0
    completed: int = 0
    stale: list[int] = field(default_factory=list)

    def drop(self, handle: int, number: int | None) -> None:
        """Forget a handle that went."""
        if number is None:
            del self.reserved[handle]
        else:
            self.held.remove(number)
            self.read.pop(number, None)
        self.stale = [*self.stale[-15:], handle]

    def counters(self) -> dict[str, int]:
        """What TAP_STATS must say when nothing is in flight."""
        return {
            "received": self.received,
            "received_bytes": self.bytes,
            "lost_ring": self.lost_ring,
            "lost_quota": self.lost_quota,
            "lost_pool": 0,
            "released": self.received - len(self.held),
            "waiting": len(self.waiting),
            "held": len(self.held),
            "tx_reserved": len(self.reserved),
            "tx_submitted": self.submitted,
            "tx_forwarded": self.forwarded,
            "tx_completed": self.completed,
            "tx_failed": 0,
            "tx_in_flight": 0,
            "tx_free": self.tx_size - len(self.reserved),
        }


# which of the things that are there: taken modulo their number
a_pick = st.integers(0, 99)
some_picks = st.lists(st.integers(0, 999), min_size=1, max_size=12)


class TapMachine(RuleBasedStateMachine):
    """Everything that programs do with one port, in any order."""

    bench: ClassVar[Bench]

    def __init__(self) -> None:
        super().__init__()
        self.guest = self.bench.vm.guest.modules["machine"].Machine(self.bench.iface)
        self.taps: dict[int, ModelTap] = {}
        self.keys = 0
        self.lengths: list[int] = []  # of each frame, by number
        self.handles: dict[int, int] = {}  # by number, once a tap has read it
        self.up = True
        self.flaps = 0
        self.states: dict[int, Any] = {}
        self.port: dict[str, int] = {}
        self.bench.wire.drain()
        self._step()
        self.base = self.port
        self.taken = self.unclaimed = self.sent = 0

    # ---- small things ----

    def _step(self, *ops: tuple[Any, ...]) -> list[Any]:
        """Have the guest do things; keep what all say afterwards."""
        offered = tuple((key, tap.offered) for key, tap in self.taps.items())
        results: list[Any]
        results, self.states, self.port = pickle.loads(self.guest.step(offered, *ops))
        return results

    def _key(self, pick: int) -> int:
        keys = list(self.taps)
        return keys[pick % len(keys)]

    def _busy_key(self, pick: int) -> int:
        """A tap that holds something, if one does."""
        keys = [key for key, tap in self.taps.items() if tap.read or tap.reserved]
        keys = keys or list(self.taps)
        return keys[pick % len(keys)]

    def _handle(self, tap: ModelTap, pick: int) -> int:
        """A handle to give to the module: mostly one that the tap holds."""
        own = [*(desc[HANDLE] for desc in tap.read.values()), *tap.reserved]
        if own and pick % 6:
            return own[pick // 6 % len(own)]
        others = [
            handle
            for other in self.taps.values()
            if other is not tap
            for handle in (*(desc[HANDLE] for desc in other.read.values()), *other.reserved)
        ]
        around = [handle ^ bit for handle in own[:4] for bit in (GENERATION, HANDLE_TX)]
        rubbish = [0x000FFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x800FFFFF]
        choices = [
            handle
            for handle in (*tap.stale, *others, *around, *rubbish)
            # buffers may be named alike by chance, where nothing was read of them yet
            if self._number(tap, handle) is not None or not self._perhaps_waits(tap, handle)
        ]
        return choices[pick // 6 % len(choices)]

    def _number(self, tap: ModelTap, handle: int) -> int | None:
        """Which frame the handle names that the tap holds; it need not have read it."""
        return next((n for n in tap.held if self.handles.get(n) == handle), None)

    def _perhaps_waits(self, tap: ModelTap, handle: int) -> bool:
        """Whether a frame whose handle nobody knows yet might have this one."""
        known = handle in self.handles.values() or handle & 0xFFFFF == 0xFFFFF
        unknown = any(number not in self.handles for number in tap.waiting)
        return unknown and not known and not handle & HANDLE_TX

    def _take(self, tap: ModelTap, handle: int) -> tuple[bool, int | None]:
        """Whether the tap holds what the handle names, and which frame it is, if it is one."""
        number = self._number(tap, handle)
        return number is not None or handle in tap.reserved, number

    def _make_frames(self, picks: list[int]) -> list[bytes]:
        first = len(self.lengths)
        self.lengths += [LENGTHS[pick % len(LENGTHS)] for pick in picks]
        return [frame(n, self.lengths[n]) for n in range(first, len(self.lengths))]

    def _deliver(self, n: int, salt: int) -> None:
        """Frames go to the card, and into the model."""
        first = len(self.lengths)
        wire = self._make_frames(list(range(salt, salt + n)))
        most = 0
        for tap in self.taps.values():
            space = tap.ring - len(tap.waiting)
            left = max(tap.quota - len(tap.held), 0)
            took = range(first, first + min(n, space, left))
            tap.waiting.extend(took)
            tap.held.update(took)
            tap.offered += n
            tap.received += len(took)
            tap.bytes += sum(self.lengths[i] for i in took)
            if space <= left:
                tap.lost_ring += n - len(took)
            else:
                tap.lost_quota += n - len(took)
            most = max(most, len(took))
        self.taken += n
        self.unclaimed += n - most
        assert self.bench.wire.send_many(wire) == n

    # ---- taps ----

    @initialize(
        taps=st.lists(
            st.tuples(
                st.booleans(), st.sampled_from([1, 8, 64]), st.sampled_from([5, 40]), st.just(8)
            ),
            min_size=1,
            max_size=3,
        )
    )
    def begin(self, taps: list[tuple[bool, int, int, int]]) -> None:
        for number, tap in enumerate(taps):
            self.attach(*tap)
            self.reserve(number, 8)
        self.receive(n=12, salt=0)
        for number in range(len(taps)):
            self.read(number, 10)

    @precondition(lambda self: len(self.taps) < MAX_TAPS)
    @rule(
        killable=st.booleans(),
        ring=st.sampled_from([0, 1, 2, 8, 64]),
        quota=st.sampled_from([0, 1, 8, 40]),
        tx=st.sampled_from([0, 1, 8, 64]),
    )
    def attach(self, killable: bool, ring: int, quota: int, tx: int) -> None:
        self.keys += 1
        ((got_ring, got_quota, got_tx),) = self._step(
            ("open", self.keys, killable, ring, quota, tx)
        )
        assert got_ring == (ring or 2048)
        assert got_quota == quota or (not quota and got_quota >= 64)
        assert got_tx >= tx
        self.taps[self.keys] = ModelTap(killable, got_ring, got_quota, got_tx)

    @precondition(lambda self: len(self.taps) > 2)
    @rule(pick=a_pick, how=st.integers(0, 2), n=st.integers(1, 30), salt=a_pick)
    def leave(self, pick: int, how: int, n: int, salt: int) -> None:
        """A tap ends, in one of three ways: one rule, so that it is not what happens most."""
        if how == 2 and self.up:
            self.kill_in_traffic(pick, n, salt)
        else:
            self.close(pick, how == 1)

    def close(self, pick: int, kill: bool) -> None:
        """Whatever the tap had is back at once, and the others keep theirs."""
        key = self._key(pick)
        del self.taps[key]
        assert self._step(("kill" if kill else "close", key)) == [None]

    def kill_in_traffic(self, pick: int, n: int, salt: int) -> None:
        """The others lose nothing by it."""
        key = self._key(pick)
        del self.taps[key]
        before = self.unclaimed
        self._deliver(n, salt)
        self._step(("kill", key))
        # what the victim took, and nobody else, is known to nobody
        unclaimed = self.port["rx_unclaimed"] - self.base["rx_unclaimed"]
        assert before <= unclaimed <= self.unclaimed
        self.unclaimed = unclaimed

    # ---- the wire ----

    @precondition(lambda self: self.up and self.taps)
    @rule(n=st.integers(1, 40), salt=a_pick, reader=st.none() | a_pick)
    def receive(self, n: int, salt: int, reader: int | None = None) -> None:
        self._deliver(n, salt)
        self._step()
        if reader is not None:
            self.read(reader, 20)

    @precondition(lambda self: self.flaps < MAX_FLAPS or not self.up)
    @rule(really=st.integers(0, 2))
    def flap(self, really: int) -> None:
        """Taps stay attached, and hold what they held."""
        if self.up and not really:
            self.flaps += 1
            self.bench.vm.run(["ip", "link", "set", self.bench.iface, "down"])
            self.up = False
        elif not self.up:
            self._link_up()
        self._step()

    def _link_up(self) -> None:
        self.bench.vm.run(["ip", "link", "set", self.bench.iface, "up"])
        self.bench.vm.wait_carrier(0)
        self.up = True

    # ---- what a tap holds ----

    @precondition(lambda self: self.taps)
    @rule(pick=a_pick, n=st.sampled_from([1, 3, 10, 64, 200]))
    def read(self, pick: int, n: int) -> None:
        key = self._key(pick)
        tap = self.taps[key]
        (got,) = self._step(("read", key, n))
        assert len(got) == min(n, len(tap.waiting))
        for desc, seen in got:
            number = tap.waiting.popleft()
            assert desc[LEN] == desc[ORIG_LEN] == self.lengths[number]
            assert (desc[QUEUE], desc[FLAGS]) == (0, 0)
            assert desc[TIMESTAMP] > 0
            assert self.handles.setdefault(number, desc[HANDLE]) == desc[HANDLE]
            if number in tap.held:
                assert seen == number, "every byte is as it was sent"
                assert desc[HANDLE] not in tap.stale, "a handle names one use of a buffer"
                tap.read[number] = desc

    @precondition(lambda self: any(tap.read for tap in self.taps.values()))
    @rule()
    def look(self) -> None:
        """All that any tap has read and holds is as it was sent."""
        looks = [(key, tap.read) for key, tap in self.taps.items() if tap.read]
        seen = self._step(*(("look", key, tuple(read.values())) for key, read in looks))
        assert seen == [tuple(read) for _, read in looks]

    @precondition(lambda self: self.taps)
    @rule(pick=a_pick, picks=some_picks)
    def release(self, pick: int, picks: list[int]) -> None:
        """In any order, each once and only its own; reserved buffers too."""
        key = self._busy_key(pick)
        tap = self.taps[key]
        handles = tuple(self._handle(tap, p) for p in picks)
        expect = 0
        for handle in handles:
            holds, number = self._take(tap, handle)
            if not holds:
                break
            tap.drop(handle, number)
            expect += 1
        assert self._step(("release", key, handles)) == [expect or -errno.ESTALE]

    @precondition(lambda self: self.taps)
    @rule(pick=a_pick)
    def release_all(self, pick: int) -> None:
        """A program that keeps up."""
        key = self._busy_key(pick)
        tap = self.taps[key]
        handles = [*tap.reserved, *(desc[HANDLE] for desc in tap.read.values())][::-1][:64]
        for handle in handles:
            tap.drop(handle, self._number(tap, handle))
        if handles:
            assert self._step(("release", key, tuple(handles))) == [len(handles)]

    # ---- sending ----

    @precondition(lambda self: any(tap.tx_size for tap in self.taps.values()))
    @rule(pick=a_pick, n=st.sampled_from([1, 2, 8, 100]))
    def reserve(self, pick: int, n: int) -> None:
        keys = [key for key, tap in self.taps.items() if tap.tx_size]
        key = keys[pick % len(keys)]
        tap = self.taps[key]
        free = tap.tx_size - len(tap.reserved)
        (got,) = self._step(("reserve", key, n))
        if not free:
            assert got == -errno.ENOBUFS
            return
        assert len(got) == min(n, free)
        for desc in got:
            assert desc[HANDLE] & HANDLE_TX and desc[HANDLE] not in tap.reserved
            assert desc[LEN] >= 1514 and not any((desc[2], *desc[4:]))
            tap.reserved[desc[HANDLE]] = desc

    def _entry(self, tap: ModelTap, handle: int) -> tuple[Desc, int]:
        """A descriptor to submit, and the number of the frame to be filled in, or -1."""
        number = self._number(tap, handle)
        zeros = (0,) * 6
        if number is not None:
            known = next(t.read[number] for t in self.taps.values() if number in t.read)
            return (handle, known[OFFSET], 0, known[LEN], *zeros), -1
        if handle in tap.reserved:
            number = len(self.lengths)
            self._make_frames([handle + number])
            return (handle, tap.reserved[handle][OFFSET], 0, self.lengths[number], *zeros), number
        return (handle, 128, 0, 60, *zeros), -1

    @precondition(lambda self: any(tap.read or tap.reserved for tap in self.taps.values()))
    @rule(pick=a_pick, picks=some_picks, then=st.sampled_from(["", "", "", "", "close", "kill"]))
    def submit(self, pick: int, picks: list[int], then: str) -> None:
        """Own buffers and received frames mixed; some programs end before the card has sent."""
        key = self._busy_key(pick)
        tap = self.taps[key]
        # each once, but for those that are refused: a program fills a buffer once
        handles = dict.fromkeys(self._handle(tap, p) for p in picks)
        handles = dict.fromkeys(h for h in handles if self._sendable(tap, h))
        entries = [self._entry(tap, handle) for handle in handles]
        if not entries:
            return
        if picks[0] % 3 == 0:  # again what goes just now
            entries.append((entries[0][0], -1))
        accepted: list[bytes] = []
        for (handle, *_), number in entries:
            holds, received = self._take(tap, handle)
            if not holds or not self.up:
                break
            tap.drop(handle, received)
            tap.submitted += 1
            tap.forwarded += received is not None
            tap.completed += received is None
            number = number if received is None else received
            accepted.append(frame(number, self.lengths[number]))
        # while the interface is down, a frame that nobody holds is still found out first
        holds, _ = self._take(tap, entries[0][0][HANDLE])
        refusal = -errno.ENETDOWN if not self.up and holds else -errno.ESTALE
        ops: list[tuple[Any, ...]] = [("submit", key, tuple(entries))]
        if then and len(self.taps) > 1:
            ops.append((then, key))
            del self.taps[key]
        assert self._step(*ops)[0] == (len(accepted) or refusal)
        self.sent += len(accepted)
        assert self.bench.wire.recv_many(len(accepted), 30) == accepted, "in order, and intact"

    def _sendable(self, tap: ModelTap, handle: int) -> bool:
        """Whether the test knows where the frame lies, if the tap may send it."""
        number = self._number(tap, handle)
        return number is None or any(number in t.read for t in self.taps.values())

    # ---- what must always hold ----

    @invariant()
    def every_buffer_is_in_one_place(self) -> None:
        port = self.port
        places = ("pool_free", "pool_card", "pool_held", "pool_in_flight")
        assert sum(port[name] for name in places) == port["pool_size"], port
        held: set[int] = set().union(*(tap.held for tap in self.taps.values()))
        assert port["pool_held"] == self.base["pool_held"] + len(held)
        assert port["pool_in_flight"] == port["tx_in_flight"] == 0
        assert self.up or port["pool_card"] == 0

    @invariant()
    def counters_tell_the_truth(self) -> None:
        assert set(self.states) == set(self.taps)
        for key, tap in self.taps.items():
            stats, poll = self.states[key]
            assert stats == tap.counters(), key
            assert poll & POLLIN == bool(tap.waiting) * POLLIN
            assert poll & POLLOUT == (stats["tx_free"] > 0) * POLLOUT
            losses = tap.lost_ring + tap.lost_quota
            assert stats["received"] + losses == tap.offered
        moved = {name: self.port[name] - self.base[name] for name in self.port}
        assert moved["rx_frames"] == self.taken
        assert moved["rx_unclaimed"] == self.unclaimed
        assert moved["tx_frames"] == self.sent
        bad = ("rx_missed", "rx_errors", "rx_no_buffer", "tx_failed", "resets")
        assert not any(moved[name] for name in bad), moved

    def teardown(self) -> None:
        """Close everything: nothing may remain."""
        try:
            if not self.up:
                self._link_up()
            kinds = ("kill", "close")
            self._step(*((kinds[key % 2], key) for key in self.taps))
            self.taps.clear()
            self.every_buffer_is_in_one_place()
            self.bench.vm.assert_log_clean()
            assert self.bench.wire.drain() == [], "frames that nobody sent"
        finally:
            self.guest.end()


def test_taps_do_as_the_model_says_in_any_order(bench: Bench) -> None:
    class Bound(TapMachine):
        pass

    Bound.bench = bench
    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=25,
            stateful_step_count=35,
            deadline=None,
            derandomize=True,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
