# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames from the host, through the card's DMA, read in place in the guest."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from .conftest import Bench
from .frames import FLAGS, HANDLE, HASH, OFFSET, QUEUE, VLAN_TCI, flow_frame, flow_of, frame

WINDOW = 256  # frames on their way at once: less than the tap's quota


def windows(total: int) -> Iterator[range]:
    for start in range(0, total, WINDOW):
        yield range(start, min(start + WINDOW, total))


@pytest.mark.quick
def test_a_frame_is_read_where_the_card_wrote_it(bench: Bench, tap: Any) -> None:
    bench.wire.send(frame(7, 100))
    (desc,) = tap.read_all(1)
    assert tap.data(desc) == frame(7, 100)
    assert desc[OFFSET] % tap.field("buf_size") == tap.field("headroom")
    assert tap.release(desc[HANDLE]) == 1


def test_every_frame_size_from_60_to_9216_arrives_byte_for_byte(bench: Bench) -> None:
    """Hostile case 75."""
    bench.set_mtu(9216)
    try:
        checker = bench.vm.guest.modules["checker"].Checker(bench.iface)
        sizes = range(60, 9217)
        for chunk in (sizes[i : i + 128] for i in range(0, len(sizes), 128)):
            bench.wire.send_many(frame(size, size) for size in chunk)
            assert checker.take(tuple((size, size) for size in chunk)) == ""
        checker.close()
    finally:
        bench.set_mtu(1500)


def test_a_hundred_thousand_frames_arrive_in_order_and_intact(bench: Bench) -> None:
    """Hostile case 78, scaled."""
    checker = bench.vm.guest.modules["checker"].Checker(bench.iface)
    for window in windows(100_000):
        bench.wire.send_many(frame(n) for n in window)
        assert checker.take_run(window.start, len(window)) == ""
    stats = bench.vm.guest.fetch(checker.stats())
    checker.close()
    assert stats["received"] == 100_000
    assert stats["lost_ring"] + stats["lost_quota"] + stats["lost_pool"] == 0


def test_frames_longer_than_the_mtu_never_reach_a_tap(bench: Bench, tap: Any) -> None:
    """Hostile case 75."""
    bench.wire.send(frame(1, 1600))
    bench.wire.send(frame(2, 3000))
    bench.wire.send(frame(3, 1514))
    (desc,) = tap.read_all(1)
    assert tap.data(desc) == frame(3, 1514)
    assert not tap.read_all(1, 0.2)
    tap.release(desc[HANDLE])


@pytest.mark.quick
def test_a_vlan_tag_is_taken_out_and_reported(bench: Bench, tap: Any) -> None:
    """Hostile case 76."""
    plain = frame(5, 200)
    tagged = plain[:12] + struct.pack("!HH", 0x8100, 0x6123) + plain[12:]
    bench.wire.send(tagged)
    (desc,) = tap.read_all(1)
    assert tap.data(desc) == plain
    assert (desc[VLAN_TCI], desc[FLAGS] & 1) == (0x6123, 1)
    tap.release(desc[HANDLE])


def test_a_vlan_filter_that_is_switched_on_knows_the_vlans_that_are_there(bench: Bench) -> None:
    run, name = bench.vm.run, bench.iface
    tap = bench.abi.Tap().attach(name, flags=0).map()
    plain = b"\xff" * 6 + frame(5, 200)[6:]
    tags = (70, 71, 0xE000)
    tagged = {tag: plain[:12] + struct.pack("!HH", 0x8100, tag) + plain[12:] for tag in tags}
    run(["ip", "link", "add", "link", name, "name", "there", "type", "vlan", "id", "70"])
    try:
        run(["ethtool", "-K", name, "rx-vlan-filter", "on"])
        # the last is of no VLAN, and only says a priority
        bench.wire.send_many([tagged[71], tagged[70], plain, tagged[0xE000]])
        descs = bench.vm.guest.fetch(tap.read_all(3))
        assert [desc[VLAN_TCI] for desc in descs] == [70, 0, 0xE000]
        run(["ethtool", "-K", name, "rx-vlan-filter", "off"])
        bench.wire.send(tagged[71])
        (desc,) = bench.vm.guest.fetch(tap.read_all(1))
        assert desc[VLAN_TCI] == 71
    finally:
        run(["ethtool", "-K", name, "rx-vlan-filter", "off"])
        run(["ip", "link", "delete", "there"])
        tap.close()


def udp(src: str, payload: bytes, good: bool = True) -> bytes:
    """An IPv4 UDP frame with right (or wrong) checksums."""
    packet = Ether(dst="02:00:00:00:aa:01", src="02:00:00:00:aa:02") / IP(src=src, dst="10.1.0.2")
    data = bytearray(bytes(packet / UDP(sport=1000, dport=53) / payload))
    if not good:
        data[-1] ^= 0xFF
    return bytes(data)


def test_the_card_checks_checksums_and_the_descriptor_says_so(bench: Bench, tap: Any) -> None:
    bench.wire.send(udp("10.1.0.1", b"x" * 32))
    bench.wire.send(udp("10.1.0.1", b"x" * 32, good=False))
    good, bad = tap.read_all(2)
    l3_ok, l4_ok, l4_bad = 2, 4, 16
    assert good[FLAGS] & (l3_ok | l4_ok | l4_bad) == l3_ok | l4_ok
    assert bad[FLAGS] & (l4_ok | l4_bad) == l4_bad
    tap.release(good[HANDLE], bad[HANDLE])


def test_a_flow_stays_on_one_queue_and_flows_use_all_queues(bench: Bench, tap: Any) -> None:
    """Hostile case 77."""
    flows = range(64)
    for _ in range(3):
        bench.wire.send_many(flow_frame(flow, flow) for flow in flows)
    descs = bench.vm.guest.fetch(tap.read_all(192))
    queues: dict[int, set[int]] = {}
    for desc in descs:
        flow, _ = flow_of(tap.data(desc))
        assert desc[HASH] != 0, "the hash of its addresses"
        queues.setdefault(flow, set()).add(desc[QUEUE])
    assert len(descs) == 192 and len(queues) == 64
    assert all(len(used) == 1 for used in queues.values())
    assert len(set.union(*queues.values())) > 1
    for desc in descs:
        tap.release(desc[HANDLE])


@pytest.mark.quick
def test_many_taps_see_one_frame_in_one_place(bench: Bench) -> None:
    """Hostile case 61, with 16 readers."""
    taps = [bench.abi.Tap().attach(bench.iface).map() for _ in range(16)]
    bench.wire.send(frame(9))
    descs = [bench.vm.guest.fetch(tap.read_all(1))[0] for tap in taps]
    assert len(set(descs)) == 1
    assert bench.port_stats(bench.iface)["pool_held"] == 1
    for tap, desc in zip(taps[::-1], descs, strict=True):
        assert tap.data(desc) == frame(9)
        assert tap.release(desc[HANDLE]) == 1
        with pytest.raises(OSError, match="tale"):
            tap.release(desc[HANDLE])
    assert bench.port_stats(bench.iface)["pool_held"] == 0
    for tap in taps:
        tap.close()


@pytest.mark.quick
def test_a_slow_tap_loses_only_its_own_frames(bench: Bench) -> None:
    """Hostile cases 62 and 63."""
    slow = bench.abi.Tap().attach(bench.iface, quota=16)
    small = bench.abi.Tap().attach(bench.iface, ring_size=8)
    checker = bench.vm.guest.modules["checker"].Checker(bench.iface)
    for window in windows(4096):
        bench.wire.send_many(frame(n) for n in window)
        assert checker.take_run(window.start, len(window)) == ""
    for tap, cause, kept in ((slow, "lost_quota", 16), (small, "lost_ring", 8)):
        stats = bench.vm.guest.fetch(tap.stats())
        assert stats["received"] + stats[cause] == 4096
        assert (stats["received"], stats["held"], stats["waiting"]) == (kept, kept, kept)
        tap.close()
    checker.close()


@pytest.mark.quick
def test_holding_one_frame_does_not_stop_the_others(bench: Bench, tap: Any) -> None:
    bench.wire.send(frame(0, 80))
    (held,) = bench.vm.guest.fetch(tap.read_all(1))
    checker = bench.vm.guest.modules["checker"].Checker(bench.iface)
    for window in windows(10_000):
        bench.wire.send_many(frame(n) for n in window)
        assert checker.take_run(window.start, len(window)) == ""
        handles = [desc[HANDLE] for desc in bench.vm.guest.fetch(tap.read_all(len(window)))]
        assert tap.release(*handles) == len(window)
    checker.close()
    assert tap.data(held) == frame(0, 80)
