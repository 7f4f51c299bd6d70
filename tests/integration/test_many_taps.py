# SPDX-License-Identifier: GPL-2.0-or-later
"""64 taps on one card, most of them bad company: what the fast ones get is all that came.

guest/manytaps.c has the taps, in four processes that know nothing of one another. What an
administrator does for them: a limit to each tap's quota, and a pool with room for the card's
ring and for all quotas in full. Then taps that hold what they can get, whatever they ask for,
cannot take a buffer that the card needs; they lose frames by their own quota, and nobody else
loses any.
"""

from __future__ import annotations

import errno
import json
import signal
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from . import guestc
from .conftest import REPOSITORY, Bench
from .frames import ETHERTYPE

pytestmark = pytest.mark.parallel

FRAMES = 100_000
ALL_FRAMES = 1_000_000  # more than a minute, as long as QEMU's card needs for them
TAPS = 64
QUOTA = 1024
# Frames that may be on their way to the fast taps: half of what each has room for, as one that
# joins late may have got as many before the first count of it is known.
WINDOW = QUOTA // 2
BURST = 128
CARD = 2048  # more than the card's ring and the batches on their way
LOSSES = ("lost_ring", "lost_quota", "lost_pool")

STAYING = {"fast": 16, "even": 4}
SLOW = {"slow": 12}
HOARDERS = {"dead": 10, "greedy": 10}
VICTIMS = {"fast": 4, "slow": 4, "dead": 2, "greedy": 2}
LATE = {"fast": 12}

_HEAD = bytes.fromhex("02000000aa0102000000aa02") + struct.pack("!H", ETHERTYPE)


def frame(number: int) -> bytes:
    """As guest/manytaps.c knows them."""
    return _HEAD + number.to_bytes(8) * 6


@pytest.fixture(scope="module")
def program() -> Path:
    """guest/manytaps.c, built with libntzc in it."""
    return guestc.build("manytaps", REPOSITORY / "build/lib/libntzc.a")


class Group:
    """A process with taps, by role.

    Attributes:
        done: up to which frame all its fast taps have seen all, as far as is known.
    """

    def __init__(self, bench: Bench, program: Path, roles: Mapping[str, int]) -> None:
        self.done = 0
        self._ready = False
        self._reports: list[dict[str, Any]] = []
        self._partial = b""
        self._errors = b""
        self._pace = bench.vm.kernel.pace
        self._changed = threading.Condition()
        words = [f"{role}={count}" for role, count in roles.items()]
        self.process = bench.vm.spawn([program, bench.iface, *words], on_output=self._take)

    def _take(self, stream: str, data: bytes) -> None:
        with self._changed:
            if stream == "stderr":
                self._errors += data
                return
            *lines, self._partial = (self._partial + data).split(b"\n")
            for line in lines:
                if line == b"ready":
                    self._ready = True
                elif line.startswith(b"{"):
                    self._reports.append(json.loads(line))
                else:
                    self.done = max(self.done, int(line))
            self._changed.notify_all()

    def is_ready(self, timeout_s: float) -> bool:
        """Whether all its taps are attached; wait for that at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready, timeout_s * self._pace)
            assert self.process.returncode is None, self._errors.decode()
            return self._ready

    def wait_done(self, number: int, timeout_s: float = 60) -> None:
        """Wait until its fast taps have seen all before frame *number*."""
        with self._changed:
            came = self._changed.wait_for(lambda: self.done >= number, timeout_s * self._pace)
        assert came, f"seen up to {self.done}, not {number}; {self._errors.decode()}"

    def kill(self) -> None:
        """End it as it is, if it has not ended."""
        if self.process.returncode is None:
            self.process.signal(signal.SIGKILL)
            self.process.wait()

    def end(self) -> list[dict[str, Any]]:
        """Have it end; return what became of each tap."""
        self.process.close_stdin()
        self.process.wait().check()
        return self._reports


Start = Callable[[Mapping[str, int]], Group]


class Stream:
    """Numbered frames, no more on their way than the fast taps have room for."""

    def __init__(self, bench: Bench) -> None:
        self._wire = bench.wire
        self.sent = 0
        self.pacers: list[Group] = []

    def send(self, count: int) -> None:
        for group in self.pacers:
            group.wait_done(self.sent + count - WINDOW)
        self._wire.send_many(map(frame, range(self.sent, self.sent + count)))
        self.sent += count

    def send_until(self, number: int) -> None:
        while self.sent < number:
            self.send(min(BURST, number - self.sent))

    def has_room(self, count: int) -> bool:
        return all(self.sent + count - group.done <= WINDOW for group in self.pacers)


@pytest.fixture
def start(administered: Bench, program: Path) -> Iterator[Start]:
    """Make a group; none is left afterwards."""
    groups = []

    def started(roles: Mapping[str, int]) -> Group:
        groups.append(Group(administered, program, roles))
        return groups[-1]

    yield started
    for group in groups:
        group.kill()


@pytest.fixture
def administered(bench: Bench) -> Iterator[Bench]:
    """Card 0 with one receive queue, a limit to quotas, and a pool that this limit makes safe."""
    queues = next(p.n_queues for p in bench.abi.ports() if p.name.decode() == bench.iface)
    bench.vm.run(["ethtool", "-L", bench.iface, "combined", "1"])
    bench.abi.configure(bench.iface, n_bufs=TAPS * QUOTA + CARD)
    bench.abi.policy(bench.iface, quota_max=QUOTA)
    bench.vm.wait_carrier(0)
    yield bench
    bench.assert_whole()
    bench.abi.policy(bench.iface, quota_max=0)
    bench.abi.configure(bench.iface)
    bench.vm.run(["ethtool", "-L", bench.iface, "combined", str(queues)])
    bench.vm.wait_carrier(0)


def n_taps(bench: Bench) -> int:
    return sum(p.n_taps for p in bench.abi.ports())


def settled(bench: Bench, frames: int) -> bool:
    """Whether all *frames* came through, and every buffer is in one place."""
    s = bench.port_stats(bench.iface)
    places = ("pool_free", "pool_card", "pool_held", "pool_in_flight")
    return s["rx_frames"] >= frames and sum(s[place] for place in places) == s["pool_size"]


def join_late(start: Start, stream: Stream) -> Group:
    """Attach the late ones while frames flow, and let them set the pace, too."""
    late = start(LATE)
    late.done = min(group.done for group in stream.pacers)
    stream.pacers.append(late)
    while not late.is_ready(0.005):
        if stream.has_room(16):
            stream.send(16)
    late.done = stream.sent
    return late


def assert_accounts(tap: Mapping[str, Any], offered: int) -> None:
    """What holds for every tap."""
    assert sum(tap[name] for name in ("received", "filtered", *LOSSES)) == offered, tap
    assert (tap["faults"], tap["lost_pool"], tap["missed"], tap["bad_release"]) == (0, 0, 0, 0), tap
    assert tap["held"] <= tap["quota"] == QUOTA, tap


def assert_role(tap: Mapping[str, Any], offered: int) -> None:
    """What became of a tap that was there from the first frame on."""
    lost = sum(tap[name] for name in LOSSES)
    match tap["role"]:
        case "fast":
            assert (tap["seen"], tap["first"], tap["next"], lost) == (offered, 0, offered, 0), tap
        case "even":
            assert (tap["seen"], tap["filtered"], lost) == (offered // 2, offered // 2, 0), tap
            assert (tap["first"], tap["next"]) == (0, offered), tap
        case "slow":
            assert 0 < tap["seen"] <= tap["received"] < offered, tap
        case "dead":
            assert (tap["received"], tap["waiting"]) == (64, 64), tap
            assert tap["lost_ring"] == offered - 64, tap
            # looked at in the end, they were the first ones, as they came
            assert (tap["first"], tap["seen"], tap["next"]) == (0, 64, 64), tap
        case "greedy":
            assert (tap["received"], tap["held"]) == (QUOTA, QUOTA), tap
            assert tap["lost_quota"] == offered - QUOTA, tap
            assert (tap["first"], tap["next"]) == (0, QUOTA), tap


@pytest.mark.timeout(1800)
def test_fast_taps_among_64_lose_nothing_and_all_accounts_add_up(
    administered: Bench, start: Start, request: pytest.FixtureRequest
) -> None:
    """Hostile cases 61, 62, 63, 65 and 78: the 65th holder is refused."""
    bench = administered
    frames = ALL_FRAMES if request.config.getoption("--full") else FRAMES
    before = bench.port_stats(bench.iface)["rx_frames"]
    stream = Stream(bench)
    groups = [start(roles) for roles in (STAYING, SLOW, HOARDERS, VICTIMS)]
    victims = groups.pop()
    assert all(group.is_ready(60) for group in (*groups, victims))
    assert n_taps(bench) == TAPS
    with pytest.raises(OSError) as caught:
        bench.abi.Tap().attach(bench.iface)
    assert caught.value.errno == errno.EBUSY
    stream.pacers.append(groups[0])

    stream.send_until(frames // 3)
    victims.kill()  # with a window of frames on its way
    bench.vm.wait_until(lambda: n_taps(bench) == TAPS - sum(VICTIMS.values()), 30, "their end")
    stream.send_until(frames // 2)
    late = join_late(start, stream)
    assert n_taps(bench) == TAPS
    stream.send_until(frames)
    for group in stream.pacers:
        group.wait_done(frames)

    bench.vm.wait_until(lambda: settled(bench, before + frames), 30, "the last frame")
    assert bench.port_stats(bench.iface)["rx_frames"] == before + frames
    for tap in (tap for group in groups for tap in group.end()):
        assert_accounts(tap, frames)
        assert_role(tap, frames)
    for tap in late.end():
        assert frames // 2 - WINDOW <= tap["first"] < frames, tap
        assert_accounts(tap, frames - tap["first"])
        assert (tap["seen"], tap["next"]) == (frames - tap["first"], frames), tap
    bench.vm.wait_until(lambda: n_taps(bench) == 0, 30, "the taps' end")
    bench.assert_whole()
