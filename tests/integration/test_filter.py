# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters: what tcpdump admits is what a tap gets, tagged or not; and changing them loses nothing.

The judge is the tcpdump binary of the host, over a capture file of the same frames. The
card strips VLAN tags; the filter must see them nevertheless.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from . import pcapfilter, traffic
from .conftest import Bench
from .frames import HANDLE, digest, frame, number

WINDOW = 128  # frames on their way at once

REAL_WORLD = [
    "ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "vlan", "not vlan", "mpls",
    "udp port 53", "port 53", "tcp port 80 or tcp port 443", "port 80 and host 192.0.2.1",
    "src port 53", "dst portrange 50-100", "not port 22 and not arp",
    "host 192.0.2.1", "src host 192.0.2.1", "dst net 192.0.2.0/24", "net 10.0.0.0/8",
    "host 2001:db8::1", "ip6 and icmp6", "ip6 and udp port 53", "ip6 proto 0",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[13] & 2 != 0", "tcp[tcpflags] = tcp-syn",
    "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
    "icmp[icmptype] = icmp-echo", "icmp[0] = 3", "ip[6:2] & 0x1fff != 0", "ip[0] & 0xf != 5",
    "ip[8] < 5", "ip proto 47", "ip multicast", "ether multicast", "ether broadcast",
    "ether proto 0x88cc", "ether proto \\arp", "ether[12:2] = 0x8100", "ether[0] & 1 = 1",
    "ether dst 02:00:00:00:aa:01", "ether host 02:00:00:00:aa:03", "stp", "llc",
    "greater 1000", "less 100", "len > 200", "vlan 100", "vlan 100 and ip", "vlan 100 and vlan 200",
    "vlan and vlan 200 and udp port 53", "not vlan 100", "arp or (vlan and arp)",
    "udp port 53 or (vlan and udp port 53) or (vlan and udp port 53)", "vlan 200 and ip6",
    "pppoed", "pppoes and ip", "mpls 1024", "mpls 1025 and udp port 53", "mpls and mpls 7",
]  # fmt: skip
MAX_TAPS = 64


def judge(
    bench: Bench, expressions: Sequence[str], frames: Sequence[bytes]
) -> list[tuple[list[bytes], list[bytes]]]:
    """By expression, the sorted digests of what tcpdump admits and of what its tap got."""
    programs = tuple(map(pcapfilter.compiled, expressions))
    verdicts = bench.vm.guest.modules["filters"].Verdicts(bench.iface, programs)
    with closing(verdicts):
        got: list[list[bytes]] = [[] for _ in expressions]
        for start in range(0, len(frames), WINDOW):
            window = frames[start : start + WINDOW]
            bench.wire.send_many(window)
            for mine, more in zip(got, verdicts.admitted(start + len(window)), strict=True):
                mine += more
    capture = pcapfilter.pcap(frames)
    names = list(map(digest, frames))
    return [
        (sorted(names[i] for i in pcapfilter.verdict(expression, capture)), sorted(mine))
        for expression, mine in zip(expressions, got, strict=True)
    ]


def test_real_world_filters_mean_what_they_mean_to_tcpdump(bench: Bench) -> None:
    frames = traffic.tagged_samples()
    assert len(REAL_WORLD) <= MAX_TAPS
    results = judge(bench, REAL_WORLD, frames)
    for expression, (wanted, got) in zip(REAL_WORLD, results, strict=True):
        assert got == wanted, expression
        assert 0 < len(wanted) < len(frames), f"{expression}: the frames do not try it"


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    wanted=st.lists(traffic.FILTERS, min_size=8, max_size=16, unique=True),
    frames=st.lists(traffic.FRAMES, min_size=8, max_size=32),
)
def test_any_filter_and_frame_get_tcpdumps_verdict(
    bench: Bench, wanted: list[str], frames: list[bytes]
) -> None:
    """At least 64 pairs an example, of what libpcap compiles."""
    expressions = [expression for expression in wanted if compiles(expression)]
    assume(len(expressions) >= 4)
    for expression, (theirs, ours) in zip(
        expressions, judge(bench, expressions, frames), strict=True
    ):
        assert ours == theirs, expression
        event("all" if len(ours) == len(frames) else "some" if ours else "none")


def compiles(expression: str) -> bool:
    try:
        pcapfilter.compiled(expression)
    except pcapfilter.Nonsense:
        return False
    return True


# Classic programs on frames.frame(): the last byte of the number is byte 21
ODD = "ether[21] & 1 = 1"
EVEN = "ether[21] & 1 = 0"
FOURTH = "ether[21] & 3 = 0"


@pytest.fixture
def filters(bench: Bench) -> Any:
    """guest/filters.py, in the guest."""
    return bench.vm.guest.modules["filters"]


@pytest.fixture
def odd(bench: Bench) -> Iterator[Any]:
    """A tap that admits odd numbers."""
    tap = bench.abi.Tap().filter_classic(pcapfilter.compiled(ODD))
    yield tap.attach(bench.iface).map()
    tap.close()


def numbers(bench: Bench, tap: Any, sent: range) -> list[int]:
    """Send these and return those that come; all must be accounted for."""
    before = bench.vm.guest.fetch(tap.stats())
    filters = bench.vm.guest.modules["filters"]
    bench.wire.send_many(frame(n) for n in sent)
    filters.settle([tap], sum(before[name] for name in filters.COUNTED) + len(sent))
    return sorted(number(data) for data in bench.vm.guest.fetch(filters.take_all(tap)))


@pytest.mark.quick
def test_a_filter_can_be_changed_and_taken_away(bench: Bench, odd: Any) -> None:
    assert numbers(bench, odd, range(20)) == list(range(1, 20, 2))
    odd.filter_classic(pcapfilter.compiled(EVEN))
    assert numbers(bench, odd, range(20)) == list(range(0, 20, 2))
    odd.filter_none()
    assert numbers(bench, odd, range(20)) == list(range(20))


@pytest.mark.quick
def test_a_refused_frame_is_counted_and_held_by_nobody(bench: Bench, odd: Any) -> None:
    bench.wire.send_many(frame(2 * n) for n in range(50))
    bench.vm.guest.modules["filters"].settle([odd], 50)
    stats = bench.vm.guest.fetch(odd.stats())
    assert (stats["filtered"], stats["received"], stats["held"]) == (50, 0, 0)
    assert bench.port_stats(bench.iface)["pool_held"] == 0


def test_a_filter_concerns_its_own_tap_alone(bench: Bench, odd: Any, tap: Any) -> None:
    assert numbers(bench, odd, range(20)) == list(range(1, 20, 2))
    descs = bench.vm.guest.fetch(tap.read_all(20))
    assert sorted(number(tap.data(desc)) for desc in descs) == list(range(20))
    tap.release(*(desc[HANDLE] for desc in descs))


@pytest.mark.quick
def test_changing_filters_while_frames_come_loses_nothing(bench: Bench, filters: Any) -> None:
    """Each frame is judged by one of the filters; no other tap notices anything."""
    programs = (pcapfilter.compiled(EVEN), pcapfilter.compiled(FOURTH))
    checker = bench.vm.guest.modules["checker"].Checker(bench.iface)
    with closing(checker), closing(filters.Swapper(bench.iface, programs)) as swapper:
        total = 6000
        for turn, start in enumerate(range(0, total, WINDOW)):
            bench.vm.wait_until(lambda: swapper.swaps() > turn, 20, "another filter")  # noqa: B023
            window = range(start, min(start + WINDOW, total))
            bench.wire.send_many(frame(n) for n in window)
            assert checker.take_run(start, len(window)) == ""
            got = swapper.take(window.stop)
            assert set(got) >= set(window[::4]), "both admit every fourth"
            assert all(n % 2 == 0 for n in got), "neither admits an odd one"
            assert len(got) == len(set(got))
        stats = bench.vm.guest.fetch(checker.stats())
        assert stats["received"] == total and stats["filtered"] == 0


RETURN_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0xFFFFFFFF)
MALFORMED = {
    "without an end": struct.pack("=HBBI", 0x28, 0, 0, 12),
    "that jumps out": struct.pack("=HBBI", 0x05, 0, 0, 100) + RETURN_ALL,
    "of an unknown instruction": struct.pack("=HBBI", 0xFFFF, 0, 0, 0) + RETURN_ALL,
    "that divides by zero": struct.pack("=HBBI", 0x34, 0, 0, 0) + RETURN_ALL,
    "that reads memory it has not": struct.pack("=HBBI", 0x60, 0, 0, 16) + RETURN_ALL,
    "longer than 4096": RETURN_ALL * 4097,
}


@pytest.mark.quick
@pytest.mark.parametrize("name", MALFORMED)
def test_a_program_that_does_not_verify_is_refused(
    bench: Bench, odd: Any, filters: Any, name: str
) -> None:
    classic = bench.abi.FILTER_CLASSIC
    assert filters.refusal(odd, MALFORMED[name], kind=classic) == errno.EINVAL
    assert numbers(bench, odd, range(20)) == list(range(1, 20, 2)), "the old filter is in place"


@pytest.mark.quick
def test_malformed_requests_are_refused(bench: Bench, odd: Any, filters: Any) -> None:
    none, classic, ebpf = range(3)
    refusal, fd = filters.refusal, filters.load_program(filters.ODD)
    null = bench.vm.guest.modules["os"].open("/dev/null", 0)
    xdp = filters.load_program(filters.PASS, filters.PROG_XDP)
    assert refusal(odd, RETURN_ALL, kind=3) == errno.EINVAL
    assert refusal(odd, RETURN_ALL, kind=none) == errno.EINVAL
    assert refusal(odd, kind=none, fd=fd) == errno.EINVAL
    assert refusal(odd, kind=classic) == errno.EINVAL
    assert refusal(odd, RETURN_ALL, kind=classic, fd=fd) == errno.EINVAL
    assert refusal(odd, RETURN_ALL, kind=classic, flags=1) == errno.EINVAL
    assert refusal(odd, RETURN_ALL, kind=classic, reserved=1) == errno.EINVAL
    assert refusal(odd, kind=classic, len=1, insns=8) == errno.EFAULT
    assert refusal(odd, kind=classic, len=1, insns=2**63) == errno.EFAULT
    assert refusal(odd, RETURN_ALL, kind=ebpf, fd=fd) == errno.EINVAL
    assert refusal(odd, kind=ebpf, fd=fd, flags=1) == errno.EINVAL
    assert refusal(odd, kind=ebpf, fd=xdp) == errno.EINVAL, "of another type"
    assert refusal(odd, kind=ebpf, fd=null) == errno.EINVAL, "no program at all"
    assert refusal(odd, kind=ebpf, fd=999) == errno.EBADF
    assert refusal(odd, kind=ebpf, fd=-1) == errno.EBADF
    assert numbers(bench, odd, range(20)) == list(range(1, 20, 2)), "the old filter is in place"
    for each in (fd, null, xdp):
        bench.vm.guest.modules["os"].close(each)


def test_an_ebpf_program_filters_by_its_descriptor(bench: Bench, tap: Any, filters: Any) -> None:
    fd = filters.load_program(filters.ODD)
    tap.filter_ebpf(fd)
    bench.vm.guest.modules["os"].close(fd)  # the tap has the program, not the descriptor
    assert numbers(bench, tap, range(20)) == list(range(1, 20, 2))
    tap.filter_classic(pcapfilter.compiled(EVEN))
    assert numbers(bench, tap, range(20)) == list(range(0, 20, 2))


def test_an_ebpf_program_sees_the_frames_length(bench: Bench, tap: Any, filters: Any) -> None:
    """A stripped VLAN tag counts: 98 bytes without it are 102 on the wire."""
    fd = filters.load_program(filters.LONG)
    tap.filter_ebpf(fd)
    bench.vm.guest.modules["os"].close(fd)
    plain = [frame(n, length) for n, length in enumerate((60, 98, 100, 101, 500))]
    tagged = [traffic.padded(data, ((0x8100, 7),)) for data in plain]
    bench.wire.send_many(plain + tagged)
    filters.settle([tap], len(plain + tagged))
    got = bench.vm.guest.fetch(filters.take_all(tap))
    assert sorted(got) == sorted(data for data in plain + tagged if len(data) > 100)
