# SPDX-License-Identifier: GPL-2.0-or-later
"""What a tap is asked to be, what reaches the library, and what bad input is told."""

from __future__ import annotations

import errno
import struct
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pyntzc
from pyntzc._libntzc import lib
from tests.unit.python.fake import FakeCard


def test_options_reach_the_library(card: FakeCard) -> None:
    pyntzc.open(
        "card",
        queues=[0, 2],
        ring_size=512,
        quota=99,
        host=True,
        promisc=False,
        fanout=7,
        clock="tai",
        busy_poll_us=50,
        door="calls",
    ).close()
    assert card.options == {
        "flags": lib.NTZC_ATTACH_HOST,
        "queues": 5,
        "ring_size": 512,
        "quota": 99,
        "fanout": 7,
        "clock": lib.NTZC_CLOCK_TAI,
        "busy_poll_us": 50,
        "door": lib.NTZC_DOOR_CALLS,
    }


def test_a_tap_tells_its_door_and_the_queue_of_what_the_host_sends(card: FakeCard) -> None:
    card.deliver(bytes(60), queue=2, flags=lib.NTZC_RX_HOST)
    card.deliver(bytes(60), queue=1)
    with pyntzc.open("card") as tap:
        assert tap.door == "rings"
        assert (tap.tap_id, tap.host_queue) == (3, 2)
        assert [(p.from_host, p.queue == tap.host_queue) for p in tap.recv()] == [
            (True, True),
            (False, False),
        ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ring_size": 1000}, "power of two.*not 1000: try 1024"),
        ({"ring_size": 1 << 17}, "at most 65536.*try 65536"),
        ({"ring_size": -1}, "power of two"),
        ({"clock": "utc"}, "'realtime' or 'monotonic' or 'tai', not 'utc'"),
        ({"door": "window"}, "'auto' or 'calls' or 'rings'"),
        ({"busy_poll_us": 10001}, "0 to 10000 microseconds, not 10001"),
        ({"fanout": -1}, "from 1 on"),
        ({"queues": []}, "at least one queue"),
        ({"queues": [64]}, "0 to 63, not 64"),
    ],
)
def test_a_bad_option_is_told_with_what_would_do(
    card: FakeCard, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pyntzc.open("card", **options)
    assert not card.options


@pytest.mark.parametrize(
    ("code", "options", "kind", "message"),
    [
        (errno.EINVAL, {"fanout": 4}, pyntzc.InvalidArgumentError, "group 4 is on another card"),
        (errno.EINVAL, {"queues": [9]}, pyntzc.InvalidArgumentError, "does not have all of these"),
        (errno.EINVAL, {"filter": 5}, pyntzc.FilterError, "SOCKET_FILTER"),
        (errno.EBADF, {"filter": 5}, pyntzc.FilterError, "keep its file open"),
        (errno.EOPNOTSUPP, {"door": "rings"}, pyntzc.UnsupportedError, "."),
        (errno.ENODEV, {}, pyntzc.NoSuchPortError, "ntzc list"),
        (errno.EBUSY, {}, pyntzc.BusyError, "close one"),
    ],
)
def test_what_the_kernel_refuses_is_told_by_class_and_with_what_to_do(
    card: FakeCard, code: int, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    card.refusal = -code
    with pytest.raises(kind, match=message):
        pyntzc.open("card", **options)


# --- filters ---


def compiled_by_tcpdump(text: str) -> bytes:
    """The program as tcpdump prints it."""
    argv = ["tcpdump", "-ddd", "-y", "EN10MB", "-s", "262144", text]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    lines = [[int(word) for word in line.split()] for line in done.stdout.splitlines()[1:]]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


@pytest.mark.parametrize(
    "text", ["udp port 53", "vlan 5 and ip", "not arp", "tcp[tcpflags] & tcp-syn != 0", "ip6"]
)
def test_a_filter_is_what_libpcap_makes_of_it(card: FakeCard, text: str) -> None:
    with pyntzc.open("card", filter=text) as tap:
        assert tap.filter == text
        first = card.filter
        assert len(first) % 8 == 0
        assert first
        tap.filter = None
        assert card.filter is None
        tap.filter = text
        assert card.filter == first
    assert first == compiled_by_tcpdump(text)


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_no_filter_is_none(card: FakeCard, nothing: str | None) -> None:
    with pyntzc.open("card", filter=nothing):
        assert card.filter is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("udp port", "syntax error"),
        ("port nosuchservice", "nosuchservice"),
        ("udp\0port", "NUL"),
        ("höst 1.2.3.4", "ASCII"),
        ("tcp port 70000", "illegal port number"),
    ],
)
def test_a_filter_that_does_not_compile_is_told_in_libpcaps_words_and_changes_nothing(
    card: FakeCard, text: str, message: str
) -> None:
    with pyntzc.open("card", filter="udp") as tap:
        before = card.filter
        with pytest.raises(pyntzc.FilterError, match=message) as caught:
            tap.filter = text
        assert "pcap-filter(7)" in str(caught.value)
        assert isinstance(caught.value, pyntzc.NtzcError)
        assert isinstance(caught.value, ValueError)
        assert (tap.filter, card.filter) == ("udp", before)
    with pytest.raises(pyntzc.FilterError, match=message):
        pyntzc.open("card", filter=text)


def test_a_filter_with_too_many_instructions_is_told(
    card: FakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyntzc._filter._MAX_INSNS", 3)  # 4096 take libpcap a minute
    with pytest.raises(pyntzc.FilterError, match="of at most 3"):
        pyntzc.open("card", filter="udp port 53")


def test_an_ebpf_program_goes_by_its_file(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        tap.attach_ebpf(42)
        assert (card.filter, tap.filter) == (42, 42)
        card.refusal = -errno.EBADF
        with pytest.raises(pyntzc.FilterError, match="no eBPF program"):
            tap.attach_ebpf(43)
        assert (card.filter, tap.filter) == (42, 42)
        card.refusal = -errno.ENOTTY
        with pytest.raises(pyntzc.VersionError, match="no filters"):
            tap.attach_ebpf(43)


# --- targets ---


def test_packets_buffers_and_bytes_go_to_a_target(card: FakeCard) -> None:
    for number in range(6):
        card.deliver(bytes([number]) * 60)
    with pyntzc.open("card") as tap:
        one, two = tap.add_target("eth8"), tap.add_target(9)
        assert card.targets == ["eth8", 9]
        batch = tap.recv(2, 0)
        assert tap.forward(batch, to=two) == 2
        packet, other = tap.recv(2, 0)
        assert tap.forward([packet, other], to=one) == 2
        assert tap.forward(tap.recv(1, 0)) == 1
        assert tap.forward(tap.recv(1, 0)[0], to=two) == 1
        tap.send(b"s" * 60, to=one)
        buffer = tap.reserve()[0]
        buffer.write(b"b" * 60)
        tap.submit(buffer, to=two)
        assert card.sent_to == [2, 2, 1, 1, 0, 2, 1, 2]
        assert [frame[0] for frame in card.sent] == [0, 1, 2, 3, 4, 5, *b"sb"]
        assert not card.held


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (errno.EINVAL, pyntzc.InvalidArgumentError, "own card.*leave out 'to'"),
        (errno.EBUSY, pyntzc.BusyError, "already"),
        (errno.ENODEV, pyntzc.NoSuchPortError, "ntzc list"),
    ],
)
def test_a_target_that_cannot_be_is_told(
    card: FakeCard, code: int, kind: type[Exception], message: str
) -> None:
    with pyntzc.open("card") as tap:
        card.refusal = -code
        with pytest.raises(kind, match=message):
            tap.add_target("card")


@pytest.fixture
def others() -> Iterator[tuple[pyntzc.Tap, pyntzc.Batch, pyntzc.Packet]]:
    with pytest.MonkeyPatch.context() as patch:
        card = FakeCard()
        card.install(patch)
        card.deliver(b"o" * 60)
        card.deliver(b"o" * 60)
        with pyntzc.open("other") as tap:
            # received while its card is the one that is found
            yield tap, tap.recv(1, 0), tap.recv(1, 0)[0]
        card.check()


def test_what_is_another_taps_cannot_be_forwarded_and_is_not_lost(
    others: tuple[pyntzc.Tap, pyntzc.Batch, pyntzc.Packet], card: FakeCard
) -> None:
    other_tap, foreign, packet = others
    with pyntzc.open("card") as tap:
        wrong: tuple[Callable[[], int], ...] = (
            lambda: tap.forward(foreign),
            lambda: tap.forward(packet),
        )
        for use in wrong:
            with pytest.raises(pyntzc.NotHeldError, match="add_target") as caught:
                use()
            assert caught.value.errno == errno.ESTALE
        target = other_tap.add_target("eth5")
        with pytest.raises(ValueError, match="another tap"):
            tap.send(bytes(60), to=target)
    assert not card.sent
    assert packet.data == foreign[0].data == b"o" * 60


def test_a_batch_is_forwarded_in_parts_and_nothing_twice(card: FakeCard) -> None:
    for number in range(5):
        card.deliver(bytes([number]) * 60)
    card.ring_room = 2
    with pyntzc.open("card") as tap:
        batch = tap.recv(timeout_s=0)
        assert tap.forward(batch, 0) == 2
        with pytest.raises(pyntzc.RingFullError):
            tap.forward(batch, 0)
        card.ring_room = 3
        assert tap.forward(batch, 0) == 1
        with pytest.raises(pyntzc.ReleasedError):
            batch[2]
        assert batch[3].data == bytes([3]) * 60
        card.ring_room = 9
        assert tap.forward(batch) == 2  # one of them is an object by now
        batch.release()
    assert [frame[0] for frame in card.sent] == [*range(5)]
    assert card.released == 5


def test_of_a_batch_nothing_shows_what_is_no_longer_its_own(card: FakeCard) -> None:
    for number in range(4):
        card.deliver(bytes([number]) * 60)
    with pyntzc.open("card") as tap:
        batch = tap.recv(timeout_s=0)
        assert batch.bytes(1).T.tolist() == [[0, 1, 2, 3]]
        batch[3].release()
        card.ring_room = 1
        assert tap.forward(batch, 0) == 1
        for index in (0, 3):
            with pytest.raises(pyntzc.ReleasedError):
                batch.data(index)
        with pytest.raises(pyntzc.ReleasedError):
            batch.bytes(1)
        assert batch.data(1).tobytes() == bytes([1]) * 60
        assert batch.data(-2).tobytes() == bytes([2]) * 60
        with pytest.raises(IndexError):
            batch.data(4)
        # and the rest can go, though one of it was made and is gone
        card.ring_room = 9
        assert tap.forward(batch, 0) == 2


def test_a_batch_with_an_array_over_it_is_not_forwarded(card: FakeCard) -> None:
    card.deliver(bytes(60))
    with pyntzc.open("card") as tap:
        batch = tap.recv(timeout_s=0)
        array = batch.data(0)
        with pytest.raises(pyntzc.ViewInUseError):
            tap.forward(batch)
        del array
        assert tap.forward(batch) == 1
        assert tap.forward(batch) == 0
        batch.release()
        with pytest.raises(pyntzc.ReleasedError):
            tap.forward(batch)


def test_a_copy_can_be_changed_and_the_packet_stays(card: FakeCard) -> None:
    card.deliver(b"r" * 60, flags=lib.NTZC_RX_VLAN, vlan_tci=5)
    with pyntzc.open("card") as tap:
        packet = tap.recv()[0]
        buffer = tap.copy(packet)
        assert (buffer.length, buffer.vlan) == (60, pyntzc.Vlan(5))
        buffer.data[0] = 1
        tap.submit(buffer)
        assert packet.data == b"r" * 60
        assert card.sent == [b"\1" + b"r" * 59]
        assert card.sent_tci == [5]


# --- statistics and policy ---


def test_statistics_have_every_cause(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        stats = tap.stats()
    assert (stats.filtered, stats.bad_submit) == (5, 6)
    stats = stats._replace(lost_ring=1, lost_quota=2, lost_pool=3, missed=9)
    assert stats.lost == 6
