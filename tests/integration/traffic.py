# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames of the kinds that filters tell apart, tagged and not."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hypothesis import strategies as st
from scapy.contrib.lldp import LLDPDUChassisID, LLDPDUEndOfLLDPDU, LLDPDUPortID
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, GRE, LLC, STP, Dot3, Ether
from scapy.packet import Packet, Raw

MIN_LEN = 60  # the card pads shorter ones, which a filter on the length would see
MACS = ("02:00:00:00:aa:01", "02:00:00:00:aa:03", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb")
IPV4 = ("192.0.2.1", "192.0.2.2", "10.1.2.3", "224.0.0.251")
IPV6 = ("2001:db8::1", "2001:db8::2", "fe80::1", "ff02::1")
PORTS = (53, 80, 443, 5353)
TPIDS = (0x8100, 0x88A8, 0x9100)
VIDS = (0, 1, 100, 200, 4095)
Tag = tuple[int, int]  # TPID, TCI


def padded(data: bytes, tags: Sequence[Tag] = ()) -> bytes:
    """The frame with VLAN tags, the outermost first, and at least as long as on a wire."""
    head = b"".join(struct.pack("!HH", *tag) for tag in tags)
    return (data[:12] + head + data[12:]).ljust(MIN_LEN, b"\0")


def _ether(dst: str = MACS[0], ethertype: int | None = None) -> Packet:
    packet: Packet = Ether(dst=dst, src="02:00:00:00:aa:02")
    if ethertype is not None:
        packet.type = ethertype
    return packet


def _lldp() -> Packet:
    port = LLDPDUPortID(subtype=7, id=b"1")
    tlvs = LLDPDUChassisID(subtype=7, id=b"x") / port
    return _ether(ethertype=0x88CC) / tlvs / LLDPDUEndOfLLDPDU()


def samples() -> list[bytes]:
    """One of each kind, untagged."""
    ip = IP(src=IPV4[0], dst=IPV4[1])
    ten = IP(src="10.9.8.7", dst="198.51.100.3")
    ip6 = IPv6(src=IPV6[0], dst=IPV6[1])
    packets: list[Packet] = [
        _ether() / ARP(psrc=IPV4[0], pdst=IPV4[1]),
        _ether(dst=MACS[2]) / ARP(psrc="10.0.0.1", pdst="10.0.0.2"),
        _ether() / ip / UDP(sport=5000, dport=53) / b"query",
        _ether() / ten / UDP(sport=53, dport=5000) / b"answer",
        _ether() / ip / UDP(sport=5000, dport=4789) / bytes(100),
        _ether() / ip / TCP(sport=5000, dport=80, flags="S"),
        _ether() / ip / TCP(sport=80, dport=5000, flags="SA"),
        _ether() / ip / TCP(sport=5000, dport=80, flags="A") / b"GET / HTTP/1.1\r\n\r\n",
        _ether() / ten / TCP(sport=5000, dport=443, flags="FA"),
        _ether() / ten / TCP(sport=22, dport=5000, flags="R"),
        _ether() / ip / ICMP() / bytes(56),
        _ether() / ip / ICMP(type=3, code=1) / bytes(40),
        _ether() / IP(src=IPV4[0], dst=IPV4[1], flags="MF") / UDP(dport=53) / bytes(64),
        _ether() / IP(src=IPV4[0], dst=IPV4[1], frag=9, proto=17) / Raw(bytes(64)),
        _ether()
        / IP(src=IPV4[0], dst=IPV4[1], options=[b"\x07\x07\x04\0\0\0\0\0"])
        / UDP(dport=53),
        _ether(dst=MACS[3]) / IP(src=IPV4[0], dst=IPV4[3], ttl=1) / UDP(sport=5353, dport=5353),
        _ether() / ip / GRE() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=53),
        _ether() / ip6 / UDP(sport=5000, dport=53) / b"query",
        _ether() / ip6 / TCP(sport=5000, dport=80, flags="S"),
        _ether() / ip6 / ICMPv6EchoRequest(data=bytes(32)),
        _ether() / ip6 / IPv6ExtHdrHopByHop() / UDP(dport=53),
        _lldp(),
        _ether(ethertype=0x8847) / MPLS(label=1024, s=0, ttl=64) / MPLS(label=7, s=1, ttl=64) / ip,
        _ether(ethertype=0x8847) / MPLS(label=1025, s=1, ttl=64) / ip / UDP(dport=53),
        _ether(ethertype=0x88B5) / Raw(bytes(range(64))),
        _ether(ethertype=0x8863) / Raw(b"\x11\x09\0\0\0\x04\x01\x01\0\0"),
        _ether(ethertype=0x8864) / Raw(b"\x11\0\0\x07\0\x1e\0\x21" + bytes(ip / ICMP())),
        Dot3(dst="01:80:c2:00:00:00", src=MACS[1]) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP(),
        _ether() / ip / UDP(sport=5000, dport=9) / bytes(958),  # 1000 bytes
        _ether() / ip / UDP(sport=5000, dport=9) / bytes(1400),
    ]
    return [bytes(packet) for packet in packets]


TAGGINGS: tuple[tuple[Tag, ...], ...] = (
    (),
    ((0x8100, 100),),
    ((0x8100, 0x6000 | 200),),  # with a priority
    ((0x8100, 100), (0x8100, 200)),
    ((0x88A8, 100), (0x8100, 200)),
    ((0x9100, 5), (0x8100, 100), (0x8100, 200)),
)


def tagged_samples() -> list[bytes]:
    """Every kind with every tagging."""
    return [padded(data, tags) for tags in TAGGINGS for data in samples()]


# Hypothesis: frames and filters of one small world, so that they often meet


def _l4() -> st.SearchStrategy[Packet]:
    ports = {"sport": st.sampled_from(PORTS), "dport": st.sampled_from(PORTS)}
    return st.one_of(
        st.builds(UDP, **ports),
        st.builds(TCP, flags=st.integers(0, 63), **ports),
        st.builds(ICMP, type=st.sampled_from((0, 3, 8))),
    )


def _l3() -> st.SearchStrategy[Packet]:
    v4, v6 = st.sampled_from(IPV4), st.sampled_from(IPV6)
    fragment = st.sampled_from((0, 0, 0, 5))
    packets = st.one_of(
        st.builds(lambda ip, l4: ip / l4, st.builds(IP, src=v4, dst=v4, frag=fragment), _l4()),
        st.builds(lambda ip, l4: ip / l4, st.builds(IPv6, src=v6, dst=v6), _l4()),
    )
    return st.one_of(
        packets,
        st.builds(ARP, psrc=v4, pdst=v4, op=st.sampled_from((1, 2))),
        st.builds(lambda label, inner: MPLS(label=label, s=1) / inner, st.integers(0, 3), packets),
        st.builds(Raw, st.binary(min_size=46, max_size=64)),
    )


_TAGS = st.lists(
    st.tuples(st.sampled_from(TPIDS), st.builds(lambda v, p: v | p << 13, st.sampled_from(VIDS),
                                                 st.integers(0, 7))),
    max_size=2,
)  # fmt: skip

FRAMES = st.builds(
    lambda dst, l3, payload, tags: padded(bytes(Ether(dst=dst, src=MACS[1]) / l3 / payload), tags),
    st.sampled_from(MACS),
    _l3(),
    st.sampled_from((b"", bytes(60), bytes(500))),
    _TAGS,
)

_SIDES = st.sampled_from(("", "src ", "dst "))
_WORDS = "ip ip6 arp tcp udp icmp icmp6 vlan mpls broadcast multicast".split()
_PRIMITIVES = st.one_of(
    st.sampled_from(_WORDS),
    st.sampled_from([
        "ip multicast", "ip6 multicast", "greater 100", "less 100", "len % 2 = 0",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "icmp[icmptype] = icmp-echo",
        "ip[6:2] & 0x1fff = 0", "ip6[6] = 17", "udp[4:2] > 20", "ether[0] & 1 = 1",
        "ether[12:2] = 0x8100", "ether proto 0x8847", "ip proto 17", "ip6 proto 58",
    ]),
    st.builds("vlan {}".format, st.sampled_from(VIDS)),
    st.builds("mpls {}".format, st.integers(0, 3)),
    st.builds("{}host {}".format, _SIDES, st.sampled_from(IPV4 + IPV6)),
    st.builds("net {}".format, st.sampled_from(("10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"))),
    st.builds(
        "{}{}port {}".format,
        st.sampled_from(("", "udp ", "tcp ")),
        _SIDES,
        st.sampled_from(PORTS),
    ),
    st.builds("portrange {}-{}".format, st.just(50), st.sampled_from((60, 100, 6000))),
    st.builds("ether {} {}".format, st.sampled_from(("src", "dst", "host")), st.sampled_from(MACS)),
)  # fmt: skip

FILTERS = st.recursive(
    _PRIMITIVES,
    lambda inner: st.one_of(
        st.builds("not ({})".format, inner),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(("and", "or")), inner),
    ),
    max_leaves=4,
)
