# SPDX-License-Identifier: GPL-2.0-or-later
"""Odd frames from the wire, and what a program can see beside them."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from .conftest import Bench
from .frames import FLAGS, HANDLE, LEN, OFFSET, ORIG_LEN, RX_VLAN, VLAN_TCI, frame

CTAG, STAG, OLD_STAG = 0x8100, 0x88A8, 0x9100
MIN_LEN, MAX_LEN = 60, 1514


def tagged(plain: bytes, *tags: tuple[int, int]) -> bytes:
    """The frame with tags (TPID, TCI), the outermost first."""
    return plain[:12] + b"".join(struct.pack("!HH", *tag) for tag in tags) + plain[12:]


def test_frames_of_odd_lengths_arrive_whole_or_not_at_all(bench: Bench, tap: Any) -> None:
    """Hostile case 75: runts, and frames around the limit, tagged and not."""
    odd = [frame(1, 400)[:length] for length in (1, 13, 14, 15, 46, 59)]
    long = [frame(2, length) for length in (1513, 1514, 1515, 1518, 1519, 1522, 2048, 9000)]
    double = [tagged(each, (kind, 5), (CTAG, 6)) for kind in (CTAG, STAG) for each in long[:2]]
    sent = [*odd, *long, *(tagged(each, (CTAG, 5)) for each in long), *double]
    bench.wire.send_many([*sent, frame(99)])
    seen: list[bytes] = []
    while not seen or seen[-1] != frame(99):
        (desc,) = bench.vm.guest.fetch(tap.read_all(1))
        data = tap.data(desc)
        assert desc[LEN] == desc[ORIG_LEN] == len(data)
        assert MIN_LEN <= len(data) <= MAX_LEN + 8, "room for two tags"
        tag = (CTAG, desc[VLAN_TCI]) if desc[FLAGS] & RX_VLAN else None
        seen.append(tagged(data, tag) if tag else data)
        tap.release(desc[HANDLE])
    # a runt that gets through was padded on its way, with zeros
    padded = [each.ljust(MIN_LEN, b"\0") for each in odd]
    whole = [each for each in seen[:-1] if each not in padded]
    assert [each for each in whole if each not in sent] == []
    for each in (*long[:2], *(tagged(e, (CTAG, 5)) for e in long[:2]), *double):
        assert each in whole, len(each)


@pytest.mark.parametrize("strip", ["on", "off"])
def test_of_two_tags_the_outer_one_is_taken_out_if_any(bench: Bench, tap: Any, strip: str) -> None:
    """Hostile case 76: stripping on and off, a second tag, other kinds of tags."""
    plain = frame(3, 200)
    wanted = [plain]
    for tags in (
        [(CTAG, 0x2005)], [(CTAG, 0x0FFF)], [(CTAG, 7), (CTAG, 8)], [(STAG, 9), (CTAG, 10)],
        [(STAG, 11)], [(OLD_STAG, 12), (CTAG, 13)], [(CTAG, 1)] * 4,
    ):  # fmt: skip
        wanted.append(tagged(plain, *tags))
    bench.vm.run(["ethtool", "-K", bench.iface, "rxvlan", strip])
    try:
        for each in wanted:
            bench.wire.send(each)
            (desc,) = bench.vm.guest.fetch(tap.read_all(1))
            stripped = strip == "on" and each[12:14] == struct.pack("!H", CTAG)
            assert bool(desc[FLAGS] & RX_VLAN) == stripped
            data = tap.data(desc)
            assert (tagged(data, (CTAG, desc[VLAN_TCI])) if stripped else data) == each
            assert desc[VLAN_TCI] == 0 or stripped
            tap.release(desc[HANDLE])
    finally:
        bench.vm.run(["ethtool", "-K", bench.iface, "rxvlan", "on"])


def test_memory_that_changes_owner_shows_nothing_of_its_former_one(bench: Bench) -> None:
    """Hostile case 79: a new pool is all zeros but for its frames."""
    # what a pool may be made of: memory that was full of something else
    litter = "x = [b'\\xa5' * (1 << 20) for _ in range(1200)]; del x"
    bench.vm.run(["python3", "-c", litter])
    bench.abi.configure(bench.iface, n_bufs=8192)
    bench.vm.wait_carrier(0)
    tap = bench.abi.Tap().attach(bench.iface, quota=64).map()
    tap.setup_tx(8192)
    seen = bench.vm.guest.modules["leftovers"].find
    assert seen(tap.rx, ()) == "" and seen(tap.tx, ()) == ""
    bench.wire.send_many(frame(n, 60 + 20 * n) for n in range(40))
    descs = bench.vm.guest.fetch(tap.read_all(40))
    places = tuple((desc[OFFSET], desc[LEN]) for desc in descs)
    assert [tap.data(desc) for desc in descs] == [frame(n, 60 + 20 * n) for n in range(40)]
    assert seen(tap.rx, places) == "", "between and behind the frames"
    tap.close()
    bench.abi.configure(bench.iface)
    bench.vm.wait_carrier(0)


def test_transmit_memory_shows_nothing_of_the_tap_that_had_it_before(bench: Bench) -> None:
    """Hostile case 79: it was full of something else when that tap closed."""
    leftovers = bench.vm.guest.modules["leftovers"]
    for _ in range(3):
        tap = bench.abi.Tap().attach(bench.iface, quota=1).setup_tx(8192)
        assert leftovers.find(tap.tx, ()) == ""
        leftovers.litter(tap.tx)
        tap.close()


def test_new_rings_show_nothing_but_indices_and_free_buffers(bench: Bench) -> None:
    """Hostile case 79: taps before had rings of that size, and wrote into all of them."""
    leftovers = bench.vm.guest.modules["leftovers"]
    for _ in range(3):
        tap = bench.abi.Tap().attach(bench.iface, quota=1, ring_size=4096)
        # fewer than there are entries
        tap.setup_tx(1000, flags=bench.abi.TX_RINGS)
        assert leftovers.find_in_rings(tap) == ""
        leftovers.litter_rings(tap)
        tap.close()


def test_a_pool_made_anew_shows_no_frames_of_the_one_before(bench: Bench) -> None:
    """Hostile case 79: PORT_CONFIG."""
    seen = bench.vm.guest.modules["leftovers"].find
    for n_bufs in (8192, 0):
        tap = bench.abi.Tap().attach(bench.iface).map()
        bench.wire.send_many(frame(n, 1514) for n in range(500))
        assert len(bench.vm.guest.fetch(tap.read_all(500))) == 500
        assert seen(tap.rx, ()), "no frame left anything"
        tap.close()
        bench.abi.configure(bench.iface, n_bufs=n_bufs)
        bench.vm.wait_carrier(0)
        tap = bench.abi.Tap().attach(bench.iface).map()
        assert seen(tap.rx, ()) == ""
        tap.close()
