# SPDX-License-Identifier: GPL-2.0-or-later
"""A line a frame: right for what it knows, and never an error whatever the wire brings."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import example, given
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from pyntzc._summary import summarize

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
IP4 = IP(src="192.0.2.1", dst="192.0.2.2")
IP6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
QUESTION = DNSQR(qname="example.net")


@pytest.mark.parametrize(
    ("packet", "line"),
    [
        (ARP(psrc="10.0.0.1", pdst="10.0.0.2"), "ARP who has 10.0.0.2, tell 10.0.0.1"),
        (
            ARP(op=2, psrc="10.0.0.1", hwsrc="02:00:00:00:00:01"),
            "ARP 10.0.0.1 is at 02:00:00:00:00:01",
        ),
        (
            IP4 / TCP(sport=1, dport=80, flags="SA", seq=5, ack=6, window=7) / b"abc",
            "192.0.2.1:1 > 192.0.2.2:80 TCP [S.] seq 5 ack 6 win 7 len 3",
        ),
        (
            IP6 / TCP(sport=1, dport=80, flags="F", seq=5, window=7) / b"abcd",
            "[2001:db8::1]:1 > [2001:db8::2]:80 TCP [F] seq 5 win 7 len 4",
        ),
        (IP4 / UDP(sport=1, dport=2) / b"abc", "192.0.2.1:1 > 192.0.2.2:2 UDP len 3"),
        (
            IP4 / UDP(sport=9, dport=53) / DNS(id=4, qd=QUESTION),
            "192.0.2.1:9 > 192.0.2.2:53 DNS query 4 A example.net",
        ),
        (
            IP4
            / UDP(sport=53, dport=9)
            / DNS(id=4, qr=1, qd=QUESTION, an=DNSRR(rrname="example.net", rdata="1.2.3.4")),
            "192.0.2.1:53 > 192.0.2.2:9 DNS response 4 A example.net, 1 answers: 1.2.3.4",
        ),
        (
            IP4 / ICMP(id=1, seq=2) / b"ping",
            "192.0.2.1 > 192.0.2.2 ICMP echo request id 1 seq 2",
        ),
        (
            IP6 / ICMPv6EchoRequest(id=1, seq=2),
            "2001:db8::1 > 2001:db8::2 ICMPv6 echo request id 1 seq 2",
        ),
        (
            IP6 / ICMPv6ND_NS(tgt="fe80::2"),
            "2001:db8::1 > 2001:db8::2 ICMPv6 neighbor solicitation",
        ),
        (
            Dot1Q(vlan=5) / IP4 / UDP(sport=1, dport=2),
            "vlan 5 192.0.2.1:1 > 192.0.2.2:2 UDP len 0",
        ),
        (IP(src="192.0.2.1", dst="192.0.2.2", proto=89), "192.0.2.1 > 192.0.2.2 OSPF"),
    ],
)
def test_it_says_what_the_frame_is(packet: Packet, line: str) -> None:
    assert summarize(bytes(ETHER / packet)) == line
    assert summarize(memoryview(bytes(ETHER / packet)).toreadonly(), 9) == f"vlan 9 {line}"


def test_an_unknown_type_is_told_by_number() -> None:
    frame = bytes(ETHER)[:12] + b"\x88\xb5" + bytes(46)
    assert summarize(frame) == "02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x88b5"


TYPES = st.sampled_from([0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8, 0x8847, 0x8863, 0x88CC, 40])
PROTOCOLS = st.sampled_from([0, 1, 2, 6, 17, 41, 43, 44, 47, 50, 51, 58, 60, 89, 132])


@given(st.binary(max_size=200))
@example(b"")
def test_random_bytes_are_no_error(data: bytes) -> None:
    check(data)


@given(TYPES, st.binary(max_size=200))
def test_random_bytes_of_a_known_type_are_no_error(ethertype: int, data: bytes) -> None:
    check(bytes(12) + ethertype.to_bytes(2, "big") + data)


@given(PROTOCOLS, st.integers(0, 255), st.binary(max_size=200))
def test_random_bytes_of_a_known_protocol_are_no_error(
    protocol: int, first: int, data: bytes
) -> None:
    head4 = bytes([0x45, 0]) + (len(data) + 20).to_bytes(2, "big") + bytes(5)
    check(bytes(12) + b"\x08\x00" + head4 + bytes([protocol]) + bytes(10) + data)
    head6 = bytes([0x60, 0, 0, 0]) + len(data).to_bytes(2, "big") + bytes([protocol, 64])
    check(bytes(12) + b"\x86\xdd" + head6 + bytes(32) + data)


@given(st.binary(max_size=300), st.booleans())
def test_random_names_are_printable(data: bytes, response: bool) -> None:
    dns = b"\0\1" + bytes([0x81 if response else 1, 0]) + b"\0\1\0\1\0\0\0\0" + data
    check(bytes(ETHER / IP4 / UDP(sport=53, dport=53) / dns))


@given(st.data())
def test_damaged_frames_are_no_error(data: st.DataObject) -> None:
    whole = bytearray(
        bytes(
            ETHER / IP4 / UDP(sport=53, dport=9) / DNS(qr=1, qd=QUESTION, an=DNSRR(rdata="1.2.3.4"))
        )
    )
    for _ in range(data.draw(st.integers(0, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(whole[: data.draw(st.integers(0, len(whole)))]))


def check(frame: bytes) -> None:
    line = summarize(frame)
    assert line.isprintable()
    assert len(line) < 250
