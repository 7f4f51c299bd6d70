# SPDX-License-Identifier: GPL-2.0-or-later
"""Scapy's own functions on a tap."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from scapy.config import conf
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.sendrecv import AsyncSniffer, sendp, sniff, srp

import pyntzc
from pyntzc.scapy import NtzcL3Socket, NtzcSocket
from tests.unit.python.fake import FakeCard

SOON_S = 10
MAC = "02:00:00:00:00:02"
REQUEST = Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:01") / ARP(
    hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", pdst="10.0.0.2"
)
REPLY = Ether(dst="02:00:00:00:00:01", src=MAC) / ARP(
    op=2, hwsrc=MAC, psrc="10.0.0.2", hwdst="02:00:00:00:00:01", pdst="10.0.0.1"
)


def numbered(number: int) -> Any:
    return Ether(dst=MAC, src=MAC) / IP(src="10.0.0.1", dst="10.0.0.2", id=number) / ICMP()


@pytest.fixture
def socket(card: FakeCard) -> Iterator[NtzcSocket]:
    with NtzcSocket("card") as opened:
        yield opened


def test_sniff_gets_every_packet_once_and_in_order(card: FakeCard, socket: NtzcSocket) -> None:
    for number in range(30):
        card.deliver(bytes(numbered(number)))
    got = sniff(opened_socket=socket, count=30, timeout=SOON_S)
    assert [packet[IP].id for packet in got] == list(range(30))
    assert not card.held


def test_its_file_is_readable_as_long_as_packets_wait_inside(
    card: FakeCard, socket: NtzcSocket
) -> None:
    assert not select.select([socket], [], [], 0)[0]
    for number in range(3):
        card.deliver(bytes(numbered(number)))
    for number in range(3):
        assert select.select([socket], [], [], 0)[0] == [socket]
        packet = socket.recv()
        assert packet is not None
        assert packet[IP].id == number
        assert not card.waiting  # one read took them all
    assert not select.select([socket], [], [], 0)[0]


def test_a_packet_has_its_tag_and_its_time_to_the_nanosecond(
    card: FakeCard, socket: NtzcSocket
) -> None:
    time_ns = 1_700_000_000_123_456_789
    card.deliver(bytes(REQUEST), timestamp=time_ns, flags=1, vlan_tci=0x6064)
    packet = socket.recv()
    assert packet is not None
    assert (packet[Dot1Q].vlan, packet[Dot1Q].prio) == (100, 3)
    assert str(packet.time) == "1700000000.123456789"


def test_sendp_sends_frames_and_sniff_does_not_hear_them(
    card: FakeCard, socket: NtzcSocket
) -> None:
    sendp([REQUEST, numbered(1)], socket=socket, verbose=False)
    assert card.sent == [bytes(REQUEST), bytes(numbered(1))]
    assert not sniff(opened_socket=socket, timeout=0.01)


def answer(card: FakeCard, sent: threading.Event) -> None:
    sent.wait(SOON_S)
    card.deliver(bytes(numbered(7)))
    card.deliver(bytes(REPLY))


@pytest.mark.parametrize("threaded", [True, False])
def test_sr_matches_an_answer(card: FakeCard, socket: NtzcSocket, threaded: bool) -> None:
    sent = threading.Event()
    card.on_forward = sent.set
    peer = threading.Thread(target=answer, args=(card, sent))
    peer.start()
    answers, unanswered = socket.sr(REQUEST, timeout=SOON_S, verbose=False, threaded=threaded)
    peer.join()
    assert not unanswered
    assert [reply[ARP].hwsrc for _, reply in answers] == [MAC]


def test_srp_opens_a_socket_of_its_own_when_scapy_is_told_to(
    card: FakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conf, "L2socket", NtzcSocket)
    sent = threading.Event()
    card.on_forward = sent.set
    peer = threading.Thread(target=answer, args=(card, sent))
    peer.start()
    answers, _ = srp(REQUEST, iface="lo", timeout=SOON_S, verbose=False, filter="arp")
    peer.join()
    assert len(answers) == 1
    assert card.filter is not None
    assert card.detached


def test_async_sniffer_starts_and_stops(card: FakeCard, socket: NtzcSocket) -> None:
    seen = threading.Event()
    sniffer = AsyncSniffer(opened_socket=socket, prn=lambda packet: seen.set())
    sniffer.start()
    card.deliver(bytes(numbered(1)))
    assert seen.wait(SOON_S)
    results = sniffer.stop()
    assert [packet[IP].id for packet in results or ()] == [1]


def test_layer_3_puts_ethernet_around_packets_and_takes_it_off(
    card: FakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conf.neighbor, "resolve", lambda l2, l3: MAC)
    card.deliver(bytes(numbered(3)))
    with NtzcL3Socket("card") as socket:
        packet = socket.recv()
        assert isinstance(packet, IP)
        assert packet.time
        socket.send(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP())
    frame = Ether(card.sent[0])
    assert (frame.dst, frame[IP].dst) == (MAC, "10.0.0.2")


def test_the_filter_is_scapys_arguments_and_exceptions_together(
    card: FakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with NtzcSocket("card", filter="port 53", type=0x800) as socket:
        assert socket.tap.filter == "(port 53) and ether proto 0x800"
    del socket
    card.destroyed = card.detached = False
    monkeypatch.setattr(conf, "except_filter", "port 22")
    with NtzcSocket("card") as socket:
        assert socket.tap.filter == "not (port 22)"
    with pytest.raises(pyntzc.FilterError, match="syntax error"):
        NtzcSocket("card", filter="port port")


def test_a_tap_that_was_open_stays_open(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        with NtzcSocket(tap=tap) as socket:
            assert socket.tap is tap
        assert not tap.closed
        socket.close()
        assert socket.fileno() == -1


def test_a_closed_socket_reads_and_writes_nothing(card: FakeCard) -> None:
    for number in range(3):
        card.deliver(bytes(numbered(number)))
    with pyntzc.open("card") as tap:
        socket = NtzcSocket(tap=tap)
        assert socket.recv() is not None  # two wait inside
        socket.close()
        with pytest.raises(EOFError):
            socket.recv_raw()
    with pytest.raises(pyntzc.ClosedError):
        NtzcSocket(tap=tap)


def test_what_would_have_no_effect_on_a_tap_that_is_open_is_refused(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        for useless in ({"filter": "arp"}, {"promisc": True}, {"type": 0x800}, {"ring_size": 64}):
            with pytest.raises(ValueError, match="open already"):
                NtzcSocket(tap=tap, **useless)
