# SPDX-License-Identifier: GPL-2.0-or-later
"""Several readers share a port's frames: by queue, each on its core, or by fan-out group."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Bench
from .frames import flow_frame, frame

FLOWS = 64
GROUP = 7
Seen = list[tuple[int, int, int]]  # flow, number in it, queue


class Traffic:
    """Numbered frames of many flows, as fast as they are read.

    Few are on their way at once: a tap has its quota, and the card's model drops a frame
    silently if its queue is full while another has room.
    """

    def __init__(self, bench: Bench, unread: int = 0) -> None:
        """*unread*: how many frames stay with taps that nobody reads, at most."""
        self._bench = bench
        self._unread = unread
        self._taken = self._stats()["rx_frames"]
        self.rounds = 0

    def _stats(self) -> dict[str, int]:
        return self._bench.port_stats(self._bench.iface)

    def send(self, rounds: int) -> None:
        """Send so many frames of each flow; return when all are read and given back."""
        for _ in range(rounds):
            self._bench.wire.send_many(flow_frame(flow, self.rounds) for flow in range(FLOWS))
            self.rounds += 1
            if self.rounds % 4 == 0:
                self.wait()
        self.wait()

    def wait(self) -> None:
        wanted = self._taken + self.rounds * FLOWS

        def quiet() -> bool:
            stats = self._stats()
            places = ("pool_free", "pool_card", "pool_held", "pool_in_flight")
            return (
                stats["rx_frames"] >= wanted
                and sum(stats[place] for place in places) == stats["pool_size"]
                and stats["pool_held"] <= self._unread
            )

        self._bench.vm.wait_until(quiet, 30, "the readers")


@pytest.fixture
def readers(bench: Bench) -> Iterator[Any]:
    """guest/readers.py, in the guest; no reader is left afterwards."""
    module = bench.vm.guest.modules["readers"]
    yield module
    module.end()


@pytest.fixture
def queues(bench: Bench) -> int:
    """How many receive queues card 0 uses: at least two, or there is nothing to share."""
    count = next(p.n_queues for p in bench.abi.ports() if p.name.decode() == bench.iface)
    assert count >= 2
    return int(count)


def seen_by(bench: Bench, reader: Any) -> tuple[Seen, dict[str, int]]:
    seen, stats = bench.vm.guest.fetch(reader.seen())
    return list(seen), dict(stats)


def assert_nothing_lost(stats: dict[str, int], count: int) -> None:
    assert stats["received"] == count
    assert stats["lost_ring"] == stats["lost_quota"] == stats["lost_pool"] == 0


def by_flow(seen: Seen) -> dict[int, list[int]]:
    """The numbers of each flow's frames, in order of reading."""
    flows: dict[int, list[int]] = {}
    for flow, number, _ in seen:
        flows.setdefault(flow, []).append(number)
    return flows


def test_a_process_per_queue_and_core_gets_its_flows_only(
    bench: Bench, readers: Any, queues: int
) -> None:
    cpus = len(bench.vm.guest.fetch(bench.vm.guest.modules["os"].sched_getaffinity(0)))
    assert cpus >= 2
    members = [readers.Reader(bench.iface, 1 << q, 0, q % cpus) for q in range(queues)]
    traffic = Traffic(bench)
    traffic.send(50)
    flows: dict[int, list[int]] = {}
    for queue, member in enumerate(members):
        seen, stats = seen_by(bench, member)
        assert {q for *_, q in seen} == {queue}, "its own queue, and something of it"
        assert_nothing_lost(stats, len(seen))
        mine = by_flow(seen)
        assert not mine.keys() & flows.keys(), "no flow is another's, too"
        flows |= mine
    assert flows == {flow: list(range(50)) for flow in range(FLOWS)}, "each frame once, in order"


def test_the_members_of_a_group_share_the_flows_out(bench: Bench, readers: Any) -> None:
    members = [readers.Reader(bench.iface, 0, GROUP) for _ in range(3)]
    outside = readers.Reader(bench.iface)
    traffic = Traffic(bench)
    traffic.send(30)
    flows: dict[int, list[int]] = {}
    for member in members:
        seen, stats = seen_by(bench, member)
        assert_nothing_lost(stats, len(seen))
        mine = by_flow(seen)
        assert len(mine) > FLOWS // 12, "a fair share would be a third"
        assert not mine.keys() & flows.keys(), "a flow stays on its member"
        flows |= mine
    everything = {flow: list(range(30)) for flow in range(FLOWS)}
    assert flows == everything, "each frame to exactly one member"
    assert by_flow(seen_by(bench, outside)[0]) == everything, "other taps get all the same"


def test_frames_that_belong_to_no_flow_go_to_one_member_each(bench: Bench) -> None:
    taps = [bench.abi.Tap().attach(bench.iface, fanout=GROUP) for _ in range(3)]
    bench.wire.send_many(frame(n) for n in range(100))

    def received() -> int:
        return sum(tap.stats()["received"] for tap in taps)

    bench.vm.wait_until(lambda: received() >= 100, 15, "all frames")
    assert received() == 100
    for tap in taps:
        tap.close()


@pytest.mark.quick
def test_when_a_member_is_killed_only_its_flows_move(bench: Bench, readers: Any) -> None:
    """While traffic flows. What the dead one had not read dies with it, and nothing else."""
    members = [readers.Reader(bench.iface, 0, GROUP) for _ in range(3)]
    traffic = Traffic(bench)
    traffic.send(8)
    before = [by_flow(seen_by(bench, member)[0]).keys() for member in members]
    bench.wire.send_many(flow_frame(flow, traffic.rounds) for flow in range(FLOWS))
    traffic.rounds += 1
    members[0].kill()
    after_kill = traffic.rounds
    traffic.send(20)

    flows: dict[int, list[int]] = {}
    for member, own in zip(members[1:], before[1:], strict=True):
        seen, stats = seen_by(bench, member)
        assert_nothing_lost(stats, len(seen))
        mine = by_flow(seen)
        assert own <= mine.keys()
        assert all(mine[flow] == list(range(traffic.rounds)) for flow in own), "none was lost"
        assert mine.keys() - own <= before[0], "only the dead one's flows move"
        assert not mine.keys() & flows.keys(), "and stay where they moved"
        flows |= mine
    assert flows.keys() == set(range(FLOWS))
    for flow in before[0]:
        assert [n for n in flows[flow] if n >= after_kill] == list(
            range(after_kill, traffic.rounds)
        )


@pytest.mark.quick
def test_when_a_member_leaves_the_others_get_its_flows(bench: Bench, readers: Any) -> None:
    """One that has not even read: what waited in its rings goes with it."""
    idle = bench.abi.Tap().attach(bench.iface, fanout=GROUP)
    reader = readers.Reader(bench.iface, 0, GROUP)
    traffic = Traffic(bench, unread=4 * FLOWS)
    traffic.send(4)
    waiting = idle.stats()["waiting"]
    seen, _ = seen_by(bench, reader)
    assert waiting > 0 and waiting + len(seen) == 4 * FLOWS
    idle.close()
    traffic.send(8)
    seen, stats = seen_by(bench, reader)
    assert_nothing_lost(stats, len(seen))
    assert waiting + len(seen) == 12 * FLOWS


def test_a_group_of_mixed_ports_or_queues_is_refused(bench: Bench) -> None:
    group = bench.abi.Tap().attach(bench.iface, fanout=GROUP)
    for name, mask in ((bench.near, 0), (bench.iface, 1)):
        other = bench.abi.Tap()
        with pytest.raises(OSError) as refused:
            other.attach(name, queues=mask, fanout=GROUP)
        assert refused.value.errno == errno.EINVAL
        other.attach(name, queues=mask, fanout=GROUP + 1)  # nothing of the failure is left
        other.close()
    group.close()
    bench.abi.Tap().attach(bench.near, fanout=GROUP).close()  # the group ended with its last member
