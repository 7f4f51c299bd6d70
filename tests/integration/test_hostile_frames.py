# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever comes over the wire is delivered as it came, or not at all, and harms nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import pcapfilter
from .conftest import Bench
from .frames import frame
from .hostileframes import FRAMES, GROWN, MACS

ALWAYS_LEN = 1514  # fits the MTU: must come
NEVER_LEN = 1523  # does not, not even with a tag
MIN_LEN = 60  # the card pads what is shorter
FILTERS = (
    "ip", "not ip", "vlan and ip", "tcp[tcpflags] & tcp-syn != 0", "ip6 proto 0",
    "ether[12:2] = 0x8100", "greater 1000", "udp port 53 or (vlan and vlan and arp)",
)  # fmt: skip
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def one_queue(machine: Bench) -> Iterator[Bench]:
    """Card 0 with one receive queue, so that frames come in the order in which they went."""
    queues = next(p.n_queues for p in machine.abi.ports() if p.name.decode() == machine.iface)
    machine.vm.run(["ethtool", "-L", machine.iface, "combined", "1"])
    machine.vm.wait_carrier(0)
    yield machine
    machine.vm.run(["ethtool", "-L", machine.iface, "combined", str(queues)])
    machine.vm.wait_carrier(0)


def must_come(data: bytes) -> bool:
    return len(data) <= ALWAYS_LEN


def exchange(bench: Bench, sent: Sequence[bytes], filters: Sequence[str]) -> list[bytes]:
    """Send these; check what comes, with and without filters; return it."""
    last = frame(0xFFFFFFFF, 77)
    programs = tuple(map(pcapfilter.compiled, filters))
    with closing(bench.vm.guest.modules["wirecheck"].Taps(bench.iface, programs)) as taps:
        bench.wire.send_many([*sent, last])
        came, admitted, fault = bench.vm.guest.fetch(taps.until(last))
    assert not fault, fault
    assert came.pop() == last
    wanted = [data.ljust(MIN_LEN, b"\0") for data in sent]
    strangers = Counter(came) - Counter(wanted)
    assert not strangers, [data.hex() for data in strangers]
    missing = Counter(filter(must_come, wanted)) - Counter(came)
    assert not missing, [data.hex() for data in missing]
    assert not [data for data in came if len(data) >= NEVER_LEN]
    order = [data for data in wanted if data in set(came)]
    assert came == order, "not in order"
    capture = pcapfilter.pcap([*came, last])
    for expression, got in zip(filters, admitted, strict=True):
        verdict = pcapfilter.verdict(expression, capture)
        assert got == [[*came, last][i] for i in sorted(verdict)], expression
    return list(came)


@SETTINGS
@given(sent=st.lists(FRAMES, min_size=8, max_size=40))
def test_hostile_frames_come_as_they_were_sent_or_not_at_all(
    one_queue: Bench, bench: Bench, sent: list[bytes]
) -> None:
    """Hostile cases 75 and 76, and headers that lie; taps without and with filters."""
    exchange(bench, sent, FILTERS)


def test_every_length_from_one_byte_on_is_padded_or_delivered(
    one_queue: Bench, bench: Bench
) -> None:
    """Hostile case 75: runts; every header cut anywhere."""
    whole = [
        MACS[0] * 2 + bytes.fromhex("0800450000400001000040060000") + bytes(range(90)),
        MACS[0] * 2 + bytes.fromhex("86dd6000000000100640") + bytes(range(90)),
        MACS[0] * 2 + bytes.fromhex("810000648100006588a80001") + bytes(range(90)),
    ]
    for data in whole:
        sent = [data[:cut] for cut in range(1, len(data) + 1)]
        assert len(exchange(bench, sent, ())) == len(sent)


def test_giants_never_reach_a_tap_and_take_nothing_with_them(
    one_queue: Bench, bench: Bench
) -> None:
    """Hostile case 75: longer than the MTU, than a buffer, than what the card can take."""
    good = [frame(n, 200) for n in range(len(GROWN))]
    giants = [frame(n, size) for n, size in enumerate(GROWN)]
    sent = [data for pair in zip(good, giants, strict=True) for data in pair]
    came = exchange(bench, sent, ("greater 1000",))
    assert [data for data in came if len(data) == 200] == good
