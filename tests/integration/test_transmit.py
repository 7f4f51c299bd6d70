# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames that a program in the guest fills in place, arriving at the host."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Bench
from .frames import HANDLE, LEN, OFFSET, frame

ENOSPC, ESTALE, EINVAL = errno.ENOSPC, errno.ESTALE, errno.EINVAL


def change(desc: tuple[int, ...], **fields: int) -> tuple[int, ...]:
    """The descriptor with other fields, named by their place."""
    names = [
        "handle", "offset", "timestamp", "len", "hash", "orig_len", "vlan_tci", "flags",
        "queue", "hash_type",
    ]  # fmt: skip
    values = dict(zip(names, desc, strict=True)) | fields
    return tuple(values[name] for name in names)


@pytest.fixture
def sender(bench: Bench) -> Iterator[Any]:
    """A bare tap with transmit memory on card 0; it receives next to nothing."""
    tap = bench.abi.Tap().attach(bench.iface, quota=1).setup_tx(512)
    yield tap
    tap.close()


def refused(call: Any, *args: Any) -> int:
    """The errno with which *call* is refused."""
    with pytest.raises(OSError) as caught:
        call(*args)
    number = caught.value.errno
    assert number
    return number


@pytest.mark.quick
def test_a_frame_filled_in_place_arrives_as_it_was_written(bench: Bench, sender: Any) -> None:
    (desc,) = sender.reserve(1)
    assert sender.submit(sender.fill(desc, frame(1, 300))) == 1
    assert bench.wire.recv(10) == frame(1, 300)


def test_every_frame_size_from_60_to_9216_leaves_byte_for_byte(bench: Bench) -> None:
    bench.set_mtu(9216)
    try:
        pump = bench.vm.guest.modules["pump"].Pump(bench.iface)
        sizes = range(60, 9217)
        for chunk in (sizes[i : i + 128] for i in range(0, len(sizes), 128)):
            pump.send(tuple((size, size) for size in chunk))
            for size, got in zip(chunk, bench.wire.recv_many(len(chunk), 30), strict=True):
                assert got == frame(size, size)
        pump.close()
    finally:
        bench.set_mtu(1500)


def test_a_hundred_thousand_frames_leave_in_order_and_intact(bench: Bench) -> None:
    pump = bench.vm.guest.modules["pump"].Pump(bench.iface)
    for start in range(0, 100_000, 2000):
        pump.send_run(start, 2000)
        got = bench.wire.recv_many(2000, 60)
        assert got == [frame(n) for n in range(start, start + 2000)]
    stats = bench.vm.guest.fetch(pump.stats())
    pump.close()
    assert stats["tx_submitted"] == stats["tx_completed"] == 100_000
    assert stats["tx_failed"] == stats["tx_in_flight"] == stats["tx_reserved"] == 0
    assert stats["tx_free"] == 512


@pytest.mark.quick
@pytest.mark.parametrize("len_bytes", [14, 15, 59, 60])
def test_a_short_frame_is_padded_with_zeros_never_with_what_was_there(
    bench: Bench, sender: Any, len_bytes: int
) -> None:
    """Hostile cases 68 and 70."""
    (desc,) = sender.reserve(1)
    full = sender.fill(desc, b"\xee" * 200)
    short = bytes.fromhex("02000000aa0102000000aa0288b5") + b"\x11" * (len_bytes - 14)
    sender.fill(desc, short)
    assert sender.submit(change(full, len=len_bytes)) == 1
    assert bench.wire.recv(10) == short.ljust(60, b"\0")


@pytest.mark.quick
@pytest.mark.parametrize("len_bytes", [1514, 1515, 1518, 1522])
def test_frames_up_to_the_longest_leave_byte_for_byte(
    bench: Bench, sender: Any, len_bytes: int
) -> None:
    """Hostile case 68: room for two tags beyond the MTU, whatever is in it."""
    assert sender.field("frame_max") == 1522
    (desc,) = sender.reserve(1)
    assert sender.submit(sender.fill(desc, frame(len_bytes, len_bytes))) == 1
    assert bench.wire.recv(10) == frame(len_bytes, len_bytes)


@pytest.mark.quick
@pytest.mark.parametrize("len_bytes", [0, 1, 13, 1523, 2047, 2048, 2049, 65535, 2**32 - 1])
def test_a_length_that_no_frame_has_is_refused(bench: Bench, sender: Any, len_bytes: int) -> None:
    """Hostile case 68."""
    (desc,) = sender.reserve(1)
    full = sender.fill(desc, frame(1, 1514))
    assert refused(sender.submit, change(full, len=len_bytes)) == EINVAL
    # the buffer is still the program's
    assert sender.submit(full) == 1
    assert bench.wire.recv(10) == frame(1, 1514)


@pytest.mark.quick
def test_an_offset_outside_the_buffer_is_refused(bench: Bench, sender: Any) -> None:
    """Hostile case 69."""
    first, second = sender.reserve(2)
    full = sender.fill(first, frame(1, 60))
    size = sender.field("buf_size")
    base = first[OFFSET] // size * size
    for offset in (second[OFFSET], base - 1, base + size - 59, base + size, 2**32 - 1, 2**32 - 30):
        assert refused(sender.submit, change(full, offset=offset % 2**32)) == EINVAL
    assert sender.submit(change(full, offset=base + size - 60)) == 1
    assert len(bench.wire.recv(10)) == 60
    assert sender.release(second[HANDLE]) == 1


def test_fields_and_flags_that_mean_nothing_are_refused(bench: Bench, sender: Any) -> None:
    """Hostile cases 38 and 71."""
    (desc,) = sender.reserve(1)
    full = sender.fill(desc, frame(1, 60))
    bad = (
        {"timestamp": 1}, {"hash": 1}, {"orig_len": 60}, {"queue": 1}, {"hash_type": 1},
        {"flags": 2}, {"flags": 0x8000}, {"vlan_tci": 5},
    )  # fmt: skip
    for fields in bad:
        assert refused(sender.submit, change(full, **fields)) == EINVAL, fields
    assert sender.release(desc[HANDLE]) == 1


def test_a_vlan_tag_is_inserted_by_the_card(bench: Bench, sender: Any) -> None:
    plain = frame(3, 100)
    for tci in (0x0064, 0x6123, 0x0064):
        (desc,) = sender.reserve(1)
        full = sender.fill(desc, plain)
        assert sender.submit(change(full, vlan_tci=tci, flags=1)) == 1
        assert bench.wire.recv(10) == plain[:12] + struct.pack("!HH", 0x8100, tci) + plain[12:]
    (desc,) = sender.reserve(1)
    assert sender.submit(sender.fill(desc, plain)) == 1
    assert bench.wire.recv(10) == plain


@pytest.mark.quick
def test_a_buffer_is_sent_once(bench: Bench, sender: Any) -> None:
    """Hostile cases 26 and 29."""
    (desc,) = sender.reserve(1)
    full = sender.fill(desc, frame(1))
    assert sender.submit(full, full) == 1
    assert bench.wire.recv(10) == frame(1)
    assert refused(sender.submit, full) == ESTALE
    assert refused(sender.release, desc[HANDLE]) == ESTALE


@pytest.mark.quick
def test_another_taps_buffer_is_refused(bench: Bench, sender: Any) -> None:
    """Hostile case 27."""
    other = bench.abi.Tap().attach(bench.iface).setup_tx(16)
    (mine,) = sender.reserve(1)
    (theirs,) = other.reserve(1)
    assert mine[HANDLE] == theirs[HANDLE], "handles are the tap's own"
    other.release(theirs[HANDLE])
    assert refused(other.submit, other.fill(mine, frame(1))) == ESTALE
    assert sender.submit(sender.fill(mine, frame(2))) == 1
    assert bench.wire.recv(10) == frame(2)
    other.close()


@pytest.mark.quick
def test_all_buffers_reserved_means_enobufs_and_no_pollout(bench: Bench, sender: Any) -> None:
    """Hostile case 50."""
    descs = [d for _ in range(8) for d in bench.vm.guest.fetch(sender.reserve(64))]
    assert len({d[HANDLE] for d in descs}) == 512
    assert refused(sender.reserve, 1) == errno.ENOBUFS
    assert sender.poll() & 4 == 0
    assert sender.release(descs[0][HANDLE]) == 1
    assert sender.poll() & 4
    assert sender.release(*(desc[HANDLE] for desc in descs[1:])) == 511


def forward(desc: tuple[int, ...]) -> tuple[int, ...]:
    """The descriptor that sends a received frame as it is."""
    return (desc[HANDLE], desc[OFFSET], 0, desc[LEN], 0, 0, 0, 0, 0, 0)


@pytest.mark.quick
def test_a_received_frame_is_forwarded_by_reference_while_others_hold_it(
    bench: Bench, tap: Any
) -> None:
    reader = bench.abi.Tap().attach(bench.iface).map()
    bench.wire.send(frame(11, 500))
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    (seen,) = bench.vm.guest.fetch(reader.read_all(1))
    assert tap.submit(forward(desc)) == 1
    assert bench.wire.recv(10) == frame(11, 500)
    assert refused(tap.release, desc[HANDLE]) == ESTALE
    assert reader.data(seen) == frame(11, 500)
    assert bench.vm.guest.fetch(tap.stats())["tx_forwarded"] == 1
    reader.release(seen[HANDLE])
    reader.close()


def test_a_forwarded_frame_gets_its_vlan_tag_back(bench: Bench, tap: Any) -> None:
    plain = frame(5, 200)
    tagged = plain[:12] + struct.pack("!HH", 0x8100, 0x6123) + plain[12:]
    bench.wire.send(tagged)
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    assert tap.submit(forward(desc)) == 1
    assert bench.wire.recv(10) == tagged


@pytest.mark.quick
def test_a_received_frame_cannot_be_sent_cut_or_moved(bench: Bench, tap: Any) -> None:
    bench.wire.send(frame(1, 100))
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    for offset, length in ((desc[OFFSET] + 1, desc[LEN]), (desc[OFFSET], desc[LEN] - 1), (0, 100)):
        assert refused(tap.submit, change(forward(desc), offset=offset, len=length)) == EINVAL
    assert tap.release(desc[HANDLE]) == 1


@pytest.mark.quick
def test_sending_while_the_interface_is_down_is_refused_and_nothing_is_lost(
    bench: Bench, sender: Any
) -> None:
    (desc,) = sender.reserve(1)
    full = sender.fill(desc, frame(1))
    bench.vm.run(["ip", "link", "set", bench.iface, "down"])
    try:
        assert refused(sender.submit, full) == errno.ENETDOWN
    finally:
        bench.vm.run(["ip", "link", "set", bench.iface, "up"])
    bench.vm.wait_carrier(0)
    assert sender.submit(full) == 1
    assert bench.wire.recv(10) == frame(1)


@pytest.mark.quick
def test_drain_waits_until_the_card_has_sent_everything(bench: Bench, sender: Any) -> None:
    descs = bench.vm.guest.fetch(sender.reserve(64))
    assert sender.submit(*(sender.fill(d, frame(i)) for i, d in enumerate(descs))) == 64
    sender.drain()
    assert bench.vm.guest.fetch(sender.stats())["tx_completed"] == 64
    assert bench.wire.recv_many(64, 10) == [frame(i) for i in range(64)]


@pytest.fixture
def unplugged(bench: Bench) -> Iterator[None]:
    """Card 0 without its cable; all is as ever afterwards."""
    bench.vm.set_link(0, False)
    bench.vm.wait_carrier(0, up=False)
    yield
    bench.vm.run(["ip", "link", "set", bench.iface, "up"])
    bench.vm.set_link(0, True)
    bench.vm.wait_carrier(0)


def test_frames_sent_while_the_link_is_down_come_back_and_never_leave_late(
    bench: Bench, sender: Any, unplugged: None
) -> None:
    """Hostile case 74: without a cable, and with the interface down."""
    size, rounds = 100, 3

    def filled() -> list[tuple[int, ...]]:
        spare = bench.vm.guest.fetch(sender.reserve(size))
        assert len(spare) == size
        return [sender.fill(desc, frame(n)) for n, desc in enumerate(spare)]

    def counts() -> tuple[int, ...]:
        stats = bench.vm.guest.fetch(sender.stats())
        return tuple(stats[f"tx_{name}"] for name in ("completed", "failed", "in_flight"))

    for _ in range(rounds):
        assert sender.submit(*filled()) == size
        sender.drain()
    assert counts() == (0, rounds * size, 0)
    bench.vm.run(["ip", "link", "set", bench.iface, "down"])
    kept = filled()
    assert refused(sender.submit, *kept) == errno.ENETDOWN
    bench.vm.run(["ip", "link", "set", bench.iface, "up"])
    bench.vm.set_link(0, True)
    bench.vm.wait_carrier(0)
    assert bench.wire.drain() == []
    assert sender.submit(*kept) == size, "what was refused is the program's still"
    assert bench.wire.recv_many(size, 30) == [frame(n) for n in range(size)]
    sender.drain()
    assert counts() == (size, rounds * size, 0)
