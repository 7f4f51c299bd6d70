# SPDX-License-Identifier: GPL-2.0-or-later
"""A packet's memory: never seen after it went back, given back exactly once."""

from __future__ import annotations

import ctypes

import pytest

import pyntzc
from tests.unit.python.fake import FakeCard


def frame(n: int, length: int = 60) -> bytes:
    return bytes([n % 200 + 1]) * length


def test_a_packet_tells_all_that_its_descriptor_holds(card: FakeCard) -> None:
    card.deliver(
        frame(1),
        timestamp=1_700_000_000_123_456_789,
        hash=0xDEADBEEF,
        orig_len=1500,
        vlan_tci=0xB064,
        flags=0x0001 | 0x0002 | 0x0010,
        queue=3,
        hash_type=pyntzc.HashType.TCP_IPV6,
    )
    with pyntzc.open("card") as tap, tap.recv() as batch:
        (packet,) = batch
        assert packet.timestamp_ns == 1_700_000_000_123_456_789
        assert (packet.hash, packet.hash_type) == (0xDEADBEEF, pyntzc.HashType.TCP_IPV6)
        assert (len(packet), packet.orig_len, packet.queue) == (60, 1500, 3)
        assert packet.vlan == pyntzc.Vlan.of(100, pcp=5, dei=True)
        assert packet.l3_checksum is pyntzc.Checksum.OK
        assert packet.l4_checksum is pyntzc.Checksum.BAD
        assert packet.wire_bytes()[10:20] == frame(1)[:2] + b"\x81\x00\xb0\x64" + frame(1)[:4]


def test_a_packet_without_marks_has_no_vlan_and_unknown_checksums(card: FakeCard) -> None:
    card.deliver(frame(1), vlan_tci=5)
    with pyntzc.open("card") as tap, tap.recv() as batch:
        assert batch[0].vlan is None
        assert batch[0].l3_checksum is batch[0].l4_checksum is pyntzc.Checksum.UNKNOWN
        assert batch[0].wire_bytes() == frame(1)


def test_data_is_in_place_and_read_only(card: FakeCard) -> None:
    card.deliver(frame(1))
    with pyntzc.open("card") as tap, tap.recv() as batch:
        data = batch[0].data
        assert (data.format, data.ndim, data.readonly) == ("B", 1, True)
        assert data == bytes(batch[0]) == frame(1)
        card.rx[batch[0]._offset] = 77  # the card's memory, and not a copy of it
        assert data[0] == 77
        with pytest.raises(TypeError, match="read-only"):
            data[0] = 1
        with pytest.raises(TypeError, match="not writable"):
            (ctypes.c_char * 60).from_buffer(batch[0])


def test_release_is_at_once_and_idempotent_and_raises_from_then_on(card: FakeCard) -> None:
    card.deliver(frame(1))
    with pyntzc.open("card") as tap:
        packet = tap.recv()[0]
        packet.release()
        assert not card.held
        packet.release()
        assert card.released == 1
        assert packet.released
        with pytest.raises(pyntzc.ReleasedError, match="given back"):
            packet.data  # noqa: B018 - the access is the test
        with pytest.raises(pyntzc.ReleasedError):
            bytes(packet)
        with pytest.raises(pyntzc.ReleasedError):
            packet.wire_bytes()
        assert len(packet) == 60


def test_a_slice_keeps_its_buffer_past_release_and_gives_it_back_when_it_dies(
    card: FakeCard,
) -> None:
    card.deliver(frame(1))
    with pyntzc.open("card") as tap:
        packet = tap.recv()[0]
        part = packet.data[4:8]
        packet.data.release()
        packet.release()
        assert card.held
        assert part == frame(1)[4:8]
        again = memoryview(part)[1:]
        del part
        tap.stats()
        assert card.held
        del again
        tap.stats()  # asks the kernel, so it must have heard of all releases
        assert not card.held


def test_a_view_that_outlives_its_packet_and_batch_keeps_the_buffer(card: FakeCard) -> None:
    card.deliver(frame(1))
    card.deliver(frame(2))
    with pyntzc.open("card") as tap:
        view = tap.recv()[1].data
        tap.stats()
        assert len(card.held) == 1
        assert view == frame(2)


def test_a_with_block_ends_the_hold(card: FakeCard) -> None:
    card.deliver(frame(1))
    with pyntzc.open("card") as tap:
        with tap.recv()[0] as packet:
            assert packet.data == frame(1)
        assert packet.released
        assert not card.held


def test_a_batch_releases_all_in_one_call(card: FakeCard) -> None:
    for n in range(20):
        card.deliver(frame(n))
    with pyntzc.open("card") as tap:
        batch = tap.recv()
        first = batch[0]
        batch.release()
        assert not card.held
        assert card.calls["release"] == -(-20 // 8)  # 8: a quarter of the quota
        batch.release()
        assert card.released == 20
        for use in (lambda: batch[3], lambda: first.data):
            with pytest.raises(pyntzc.ReleasedError):
                use()
        assert len(batch) == 20


def test_a_packet_outlives_a_batch_that_is_dropped_but_not_one_that_is_released(
    card: FakeCard,
) -> None:
    for n in range(4):
        card.deliver(frame(n))
    with pyntzc.open("card") as tap:
        batch = tap.recv(2)
        kept = batch[1]
        del batch
        tap.stats()
        assert len(card.held) == 1
        assert kept.data == frame(1)
        with tap.recv(2) as batch:
            gone = batch[0]
        assert gone.released
        assert len(card.held) == 1


def test_a_batch_is_indexed_like_a_sequence(card: FakeCard) -> None:
    for n in range(3):
        card.deliver(frame(n))
    with pyntzc.open("card") as tap, tap.recv() as batch:
        assert batch[-1].data == frame(2)
        assert batch[0] is batch[0]
        assert [bytes(packet)[0] for packet in batch] == [1, 2, 3]
        with pytest.raises(IndexError):
            batch[3]


def test_iterating_gives_back_what_was_not_kept(card: FakeCard) -> None:
    for n in range(30):
        card.deliver(frame(n))
    with pyntzc.open("card") as tap:
        kept = []
        for n, packet in enumerate(tap.packets(timeout_s=0)):
            assert packet.data == frame(n)
            if n % 10 == 0:
                kept.append(packet)
        del packet
        tap.stats()
        assert len(card.held) == 3
        assert [bytes(packet) for packet in kept] == [frame(0), frame(10), frame(20)]


def test_dropped_packets_go_back_before_they_are_a_quarter_of_the_quota(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        for n in range(200):
            assert card.deliver(frame(n)), "the quota is used up by packets that nobody has"
            tap.recv(1)
            assert len(card.held) <= card.quota // 4


def test_views_keep_their_bytes_when_the_tap_is_closed(card: FakeCard) -> None:
    for n in range(3):
        card.deliver(frame(n))
    tap = pyntzc.open("card")
    batch = tap.recv()
    packet, other = batch[1], batch[0]
    part = packet.data[:5]
    tap.close()
    assert card.detached
    assert part == frame(1)[:5]
    with pytest.raises(pyntzc.ClosedError):
        batch[2]
    for frame_ in (packet, other):
        with pytest.raises(pyntzc.ClosedError):
            frame_.data  # noqa: B018 - the access is the test
    assert packet.released
    packet.release()
    batch.release()
    assert not card.destroyed
    del part, frame_, packet, other, batch, tap
    assert card.destroyed


def test_closing_gives_back_at_once_and_unmaps_with_the_last_object(card: FakeCard) -> None:
    card.deliver(frame(1))
    tap = pyntzc.open("card")
    packet = tap.recv()[0]
    tap.close()
    tap.close()
    assert card.detached
    assert not card.destroyed
    with pytest.raises(pyntzc.ClosedError):
        packet.data  # noqa: B018 - the access is the test
    with pytest.raises(pyntzc.ClosedError):
        tap.recv(timeout_s=0)
    with pytest.raises(pyntzc.ClosedError):
        tap.fileno()
    del tap, packet
    assert card.destroyed


def test_packets_are_made_by_taps_alone() -> None:
    with pytest.raises(TypeError):
        pyntzc.Packet()


def test_vlan_parts_are_checked() -> None:
    assert pyntzc.Vlan.of(4095, pcp=7).tci == 0xEFFF
    for vid, pcp in ((4096, 0), (-1, 0), (0, 8)):
        with pytest.raises(ValueError, match="vid 0 to 4095"):
            pyntzc.Vlan.of(vid, pcp=pcp)
