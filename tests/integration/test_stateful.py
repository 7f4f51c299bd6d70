# SPDX-License-Identifier: GPL-2.0-or-later
"""The real module against a model: taps come, read, hold, forward, send, close and are killed,
by system calls and by rings, with filters, quotas and fan-out groups; some go mad.

The model (tapmodel.py) knows what each tap must have received, lost, hold and have sent; after
every step all counters are compared. One queue makes the order of frames certain, so that
losses by ring and by quota are too. Frames never run short of buffers here (lost_pool is 0):
what happens then depends on when the card is refilled, and tests/unit/core has it.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from .conftest import Bench
from .frames import FLAGS, HANDLE, LEN, ORIG_LEN, QUEUE, TIMESTAMP, flow_frame, frame
from .tapmadness import Madness
from .tapmodel import FILTERS, NOT_A_FILTER, ModelTap
from .tapsteps import a_door, a_pick, some_picks

MAX_TAPS = 5
MAX_FLAPS = 1  # of the interface, in an example: each takes a second
N_FLOWS = 4  # and one that is none
GROUP = 7
POLLIN, POLLOUT = 1, 4
PATIENCE_S = 20
PLACES = ("pool_free", "pool_card", "pool_held", "pool_in_flight")


class TapMachine(Madness):
    """Everything that programs do with one port, in any order."""

    @precondition(lambda self: self.up and self.taps)
    @rule(
        n=st.integers(1, 40),
        salt=a_pick,
        reader=st.none() | a_pick,
        door=a_door,
        wants=st.none() | a_pick,
    )
    def receive(
        self,
        n: int,
        salt: int,
        reader: int | None = None,
        door: str = "calls",
        wants: int | None = None,
    ) -> None:
        """Frames come, to a tap with a new filter perhaps; one reads, or all look again."""
        if wants is not None:
            self.filter(salt, wants)
        picks = range(salt, salt + n)
        self._settle(picks)
        self._deliver(picks)
        self._step()
        if reader is not None:
            self.read(reader, 20, door)
        else:
            self.look()

    @precondition(lambda self: self.up and any(tap.read for tap in self.taps.values()))
    @rule(pick=a_pick, n=st.integers(1, 40), salt=a_pick)
    def receive_after_release(self, pick: int, n: int, salt: int) -> None:
        """What is in a release ring is taken back before a frame is lost for want of it, without
        a call.
        """
        picks = range(salt, salt + n)
        self._settle(picks)
        keys = [key for key, tap in self.taps.items() if tap.read]
        key = keys[pick % len(keys)]
        tap = self.taps[key]
        handles = [desc[HANDLE] for desc in tap.read.values()]
        assert self.guest.do(("put", key, tuple(handles)))[0] is None
        for handle in handles:
            tap.drop(handle, self._number(tap, handle))
        before = tap.received
        self._deliver(picks)
        self._step(("come", key, tap.received - before))

    @precondition(lambda self: self.flaps < MAX_FLAPS or not self.up)
    @rule(really=st.integers(0, 2))
    def flap(self, really: int) -> None:
        """Taps stay attached, and hold what they held."""
        if self.up and not really:
            self.flaps += 1
            self._link("down")
        elif not self.up:
            self._link("up")
        self._step()

    @initialize(
        taps=st.lists(
            st.tuples(
                st.booleans(),
                st.sampled_from([1, 8, 64]),
                st.sampled_from([5, 40]),
                st.just(8),
                st.sampled_from([True, False, True]),
                st.sampled_from([0, 0, 0, 3]),
                st.sampled_from(["", "", "fanout", "all"]),
            ),
            min_size=1,
            max_size=3,
        )
    )
    def begin(self, taps: list[tuple[bool, int, int, int, bool, int, str]]) -> None:
        for number, tap in enumerate(taps):
            self.attach(*tap)
            self.reserve(number, 8)
        self.receive(n=12, salt=0)
        for number in range(len(taps)):
            self.read(number, 10, "calls")

    @precondition(lambda self: len(self.taps) < MAX_TAPS)
    @rule(
        killable=st.booleans(),
        ring=st.sampled_from([0, 1, 2, 8, 64]),
        quota=st.sampled_from([0, 1, 8, 40]),
        tx=st.sampled_from([0, 1, 8, 64]),
        tx_rings=st.sampled_from([True, True, False]),
        wants=a_pick,
        place=st.sampled_from(["", "", "fanout", "fanout", "all"]),
    )
    def attach(
        self, killable: bool, ring: int, quota: int, tx: int, tx_rings: bool, wants: int, place: str
    ) -> None:
        """Join, alone on queue 0 or all queues, or in the fan-out group there."""
        if wants % 5 == 0:
            self.limit(*((30, 0), (0, 4), (30, 20), (0, 0))[wants // 5 % 4])
        wanted = FILTERS[wants % len(FILTERS)]
        fanout = GROUP * (place == "fanout")
        queues = 0 if place == "all" else 1
        options = {"queues": queues, "ring_size": ring, "quota": quota, "fanout": fanout}
        self.keys += 1
        rest = (wanted.program, tx, int(tx_rings))
        ops = [("open", self.keys, killable, tuple(options.items()), *rest)]
        if fanout and self.fanout.members and wants % 2:
            # one who does not fit in changes nothing
            misfit = tuple({**options, "queues": 2}.items())
            ops.insert(0, ("open", self.keys, killable, misfit, *rest))
        *refused, about = self.bench.vm.guest.fetch(self.guest.do(*ops))
        assert refused == [-errno.EINVAL] * len(refused)
        default, most = self.policy
        want = quota or default
        assert about["ring_size"] == (ring or 2048)
        assert about["quota"] == (min(want, most or want) if want else about["quota"])
        assert want or (about["quota"] <= most if most else about["quota"] >= 64)
        assert about["quota"] <= about["release_size"] < max(2 * about["quota"], 2)
        assert about["tx_bufs"] >= tx
        tap = ModelTap(
            killable=killable,
            ring=about["ring_size"],
            quota=about["quota"],
            release_size=about["release_size"],
            n_queues=about["n_queues"],
            fanout=fanout,
            filter=wanted,
            tx_size=about["tx_bufs"],
            tx_rings=tx_rings and tx > 0,
        )
        if tap.tx_rings:
            tap.due = tap.tx_size
        self.taps[self.keys] = tap
        if fanout:
            self.fanout.join(self.keys)
        self._step()

    @precondition(lambda self: len(self.taps) > 2)
    @rule(pick=a_pick, how=st.integers(0, 2), n=st.integers(1, 30), salt=a_pick)
    def leave(self, pick: int, how: int, n: int, salt: int) -> None:
        """A tap ends, in one of three ways: one rule, so that it is not what happens most."""
        if how == 2 and self.up:
            self.kill_in_traffic(pick, range(salt, salt + n))
        else:
            self.close(pick, how == 1)

    def close(self, pick: int, kill: bool) -> None:
        """Whatever the tap had is back at once, and the others keep theirs."""
        key = self._key(pick)
        self._forget(key)
        assert self._step(("kill" if kill else "close", key)) == [None]

    def kill_in_traffic(self, pick: int, picks: Sequence[int]) -> None:
        """The others lose nothing by it."""
        key = self._key(pick)
        self._settle(picks)
        if len(self.fanout.members) > 1 and key in self.fanout.members:
            # its own flows move just then: nobody can tell where to
            picks = [p for p in picks if not self.fanout.gets(key, self._flow(p))]
        del self.taps[key]
        before = self.unclaimed
        self._deliver(picks)
        if key in self.fanout.members:
            self.fanout.leave(key)
        self._step(("kill", key))
        # what the victim took, and nobody else, is known to nobody
        unclaimed = self.port["rx_unclaimed"] - self.base["rx_unclaimed"]
        assert before <= unclaimed <= self.unclaimed
        self.unclaimed = unclaimed

    def filter(self, pick: int, wants: int) -> None:
        """Set, replace or clear; what is no filter leaves the old one in place."""
        key = self._key(pick)
        wanted = FILTERS[wants % len(FILTERS)]
        self.taps[key].filter = wanted
        ops = [("filter", key, wanted.program), ("filter", key, NOT_A_FILTER)]
        assert self._step(*ops) == [None, -errno.EINVAL]

    def limit(self, quota: int, most: int) -> None:
        """The administrator's words concern those who attach later."""
        self.policy = quota, most
        assert self._step(("policy", 0, quota, most)) == [None]

    @precondition(lambda self: self.taps)
    @rule(pick=a_pick, n=st.sampled_from([1, 3, 10, 64, 200]), door=a_door)
    def read(self, pick: int, n: int, door: str) -> None:
        key = self._key(pick)
        tap = self.taps[key]
        (got,) = self._step(("read" if door == "calls" else "take", key, n))
        numbers = tap.pop(n)
        assert len(got) == len(numbers)
        for number, (desc, seen) in zip(numbers, got, strict=True):
            assert desc[LEN] == desc[ORIG_LEN] == len(self.frames[number])
            assert (desc[QUEUE], desc[FLAGS] & 0x21) == (0, 0)
            assert desc[TIMESTAMP] > 0
            assert self.handles.setdefault(number, desc[HANDLE]) == desc[HANDLE]
            if number in tap.held:
                assert seen == number, "every byte is as it was sent"
                assert desc[HANDLE] not in tap.stale, "a handle names one use of a buffer"
                tap.read[number] = desc

    def look(self) -> None:
        """All that any tap has read and holds is as it was sent."""
        looks = [(key, tap.read) for key, tap in self.taps.items() if tap.read]
        seen = self._step(*(("look", key, tuple(read.values())) for key, read in looks))
        assert seen == [tuple(read) for _, read in looks]

    @precondition(lambda self: self.taps)
    @rule(pick=a_pick, picks=some_picks, door=a_door)
    def release(self, pick: int, picks: list[int], door: str) -> None:
        """In any order, each once and only its own; reserved buffers too, by write()."""
        key = self._busy_key(pick)
        tap = self.taps[key]
        handles = tuple(self._handle(tap, p) for p in picks)
        if door == "rings":
            self._put(key, handles[: tap.release_size])
            return
        expect = 0
        for handle in handles:
            holds, number = self._take(tap, handle)
            if not holds:
                break
            tap.drop(handle, number)
            expect += 1
        assert self._step(("release", key, handles)) == [expect or -errno.ESTALE]

    def _put(self, key: int, handles: tuple[int, ...]) -> None:
        """Into the release ring. The port's statistics look at it, and see all in its place."""
        tap = self.taps[key]
        for handle in handles:
            number = self._number(tap, handle)
            if number is None:
                tap.bad_release += 1
            else:
                tap.drop(handle, number)
        _, port = self._step(("put", key, handles), ("port_stats", 0))
        assert sum(port[name] for name in PLACES) == port["pool_size"], port

    @precondition(lambda self: self.taps)
    @rule(pick=a_pick, door=a_door)
    def release_all(self, pick: int, door: str) -> None:
        """A program that keeps up."""
        key = self._busy_key(pick)
        tap = self.taps[key]
        handles = [desc[HANDLE] for desc in tap.read.values()][::-1][:64]
        if door == "rings":
            self._put(key, tuple(handles))
            return
        handles += tap.reserved
        for handle in handles:
            tap.drop(handle, self._number(tap, handle))
        if handles:
            assert self._step(("release", key, tuple(handles))) == [len(handles)]

    @invariant()
    def every_buffer_is_in_one_place(self) -> None:
        port = self.port
        assert sum(port[name] for name in PLACES) == port["pool_size"], port
        held: set[int] = set().union(*(tap.held for tap in self.taps.values()))
        assert port["pool_held"] == self.base["pool_held"] + len(held), len(held)
        assert port["pool_in_flight"] == port["tx_in_flight"] == 0
        assert self.up or port["pool_card"] == 0
        assert self.quiet

    @invariant()
    def counters_tell_the_truth(self) -> None:
        assert set(self.states) == set(self.taps)
        for key, tap in self.taps.items():
            state = self.states[key]
            stats, poll = state["stats"], state["poll"]
            assert stats == tap.counters(), key
            assert poll & POLLIN == (stats["waiting"] > 0) * POLLIN
            assert poll & POLLOUT == (not tap.tx_size or stats["tx_free"] > 0) * POLLOUT
            assert state["asks"] == tap.tx_rings, "nothing will make it look again"
            losses = stats["lost_ring"] + stats["lost_quota"] + stats["lost_pool"]
            assert stats["received"] + stats["filtered"] + losses == tap.offered
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
                self._link("up")
            kinds = ("kill", "close")
            ops = [(kinds[key % 2], key) for key in self.taps]
            self.taps.clear()
            quiet = self.quiet
            self._step(*ops)
            if not quiet:
                return  # that was said
            self.every_buffer_is_in_one_place()
            self.bench.vm.assert_log_clean()
            assert self.bench.wire.drain() == [], "frames that nobody sent"
        finally:
            self.guest.end()


def _flows_of_queue_0(bench: Bench) -> list[int]:
    """That of what is not IP, and others by their numbers."""
    some = range(8 * N_FLOWS)
    tap = bench.abi.Tap().attach(bench.iface, ring_size=64).map()
    bench.wire.send_many(flow_frame(flow, flow) for flow in some)
    descs = bench.vm.guest.fetch(tap.read_all(len(some)))
    numbers = [
        int.from_bytes(bench.vm.guest.fetch(tap.data(desc))[42:44], "big")
        for desc in descs
        if desc[QUEUE] == 0
    ]
    tap.close()
    assert len(numbers) >= N_FLOWS
    return [-1, *sorted(numbers)[:N_FLOWS]]


@pytest.mark.quick
def test_taps_do_as_the_model_says_in_any_order(bench: Bench) -> None:
    """Hostile case rings."""

    class Bound(TapMachine):
        pass

    Bound.bench = bench
    Bound.flows = _flows_of_queue_0(bench)
    Bound.patience_s = PATIENCE_S
    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=bench.rounds(25),
            stateful_step_count=35,
            deadline=None,
            derandomize=True,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.quick
def test_port_statistics_count_once_what_a_release_ring_gives_back(bench: Bench) -> None:
    """They take it back themselves, before they count."""
    fetch = bench.vm.guest.fetch
    machine = bench.vm.guest.modules["machine"].Machine(bench.iface)
    try:
        fetch(machine.do(("open", 1, False, (("queues", 1),), b"", 0, 0)))
        bench.wire.send_many(frame(number) for number in range(100))
        fetch(machine.step(((1, 100, 0),), 100, PATIENCE_S))
        (got,) = fetch(machine.do(("read", 1, 100)))
        handles = tuple(desc[HANDLE] for desc, _ in got)
        _, port = fetch(machine.do(("put", 1, handles), ("port_stats", 0)))
    finally:
        machine.end()
    assert len(handles) == 100
    assert sum(port[name] for name in PLACES) == port["pool_size"], port
    assert port["pool_held"] == 0
