# SPDX-License-Identifier: GPL-2.0-or-later
"""One line that says what a frame is. Protocols are taken apart by dpkt."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

import dpkt

_ENOUGH = 2048  # bytes to look at: headers, and a DNS message
_DNS_PORTS = {53, 5353}
_TCP_FLAGS = (
    (dpkt.tcp.TH_SYN, "S"),
    (dpkt.tcp.TH_FIN, "F"),
    (dpkt.tcp.TH_RST, "R"),
    (dpkt.tcp.TH_PUSH, "P"),
    (dpkt.tcp.TH_ACK, "."),
    (dpkt.tcp.TH_URG, "U"),
)
_DNS_TYPES = {
    getattr(dpkt.dns, name): name.removeprefix("DNS_")
    for name in ("DNS_A", "DNS_AAAA", "DNS_CNAME", "DNS_MX", "DNS_NS", "DNS_PTR", "DNS_SOA")
} | {dpkt.dns.DNS_SRV: "SRV", dpkt.dns.DNS_TXT: "TXT"}
_ICMP = {0: "echo reply", 3: "unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded"}
_ICMP6 = {
    1: "unreachable",
    2: "packet too big",
    3: "time exceeded",
    128: "echo request",
    129: "echo reply",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbor solicitation",
    136: "neighbor advertisement",
}
_PROTOCOLS = {2: "IGMP", 47: "GRE", 50: "ESP", 51: "AH", 89: "OSPF", 112: "VRRP", 132: "SCTP"}
# what dpkt raises on bytes that are not what they say
_BAD_BYTES = (dpkt.Error, struct.error, ValueError, IndexError, KeyError, TypeError, AttributeError)


def summarize(frame: bytes | memoryview, vlan_id: int | None = None) -> str:
    """Return what *frame*, an Ethernet frame without FCS, is; at most some 120 characters.

    *vlan_id* is that of a tag which the card took out. Never raises because of the bytes.
    """
    tag = f"vlan {vlan_id} " if vlan_id is not None else ""
    head = bytes(frame[:_ENOUGH])
    try:
        ethernet = dpkt.ethernet.Ethernet(head)
        for inner in getattr(ethernet, "vlan_tags", ()):
            tag += f"vlan {inner.id} "
        return tag + _network(ethernet, len(frame))
    except _BAD_BYTES:
        return tag + _plain(head)


def _plain(head: bytes) -> str:
    if len(head) < 14:
        return f"{len(head)} bytes, too short for Ethernet"
    source, destination = _mac(head[6:12]), _mac(head[:6])
    return f"{source} > {destination} type 0x{int.from_bytes(head[12:14], 'big'):04x}"


def _network(ethernet: Any, length: int) -> str:
    data = ethernet.data
    if isinstance(data, dpkt.arp.ARP):
        return _arp(data)
    if isinstance(data, (dpkt.ip.IP, dpkt.ip6.IP6)):
        return _ip(data)
    source, destination = _mac(ethernet.src), _mac(ethernet.dst)
    if isinstance(data, dpkt.llc.LLC):
        return f"{source} > {destination} LLC"
    return f"{source} > {destination} type 0x{ethernet.type:04x}"


def _arp(arp: Any) -> str:
    sender, target = ip_address(arp.spa), ip_address(arp.tpa)
    if arp.op == dpkt.arp.ARP_OP_REQUEST:
        return f"ARP who has {target}, tell {sender}"
    if arp.op == dpkt.arp.ARP_OP_REPLY:
        return f"ARP {sender} is at {_mac(arp.sha)}"
    return f"ARP operation {arp.op}"


def _ip(ip: Any) -> str:
    is_v6 = isinstance(ip, dpkt.ip6.IP6)
    source, destination = str(ip_address(ip.src)), str(ip_address(ip.dst))
    inner = ip.data
    if isinstance(inner, (dpkt.tcp.TCP, dpkt.udp.UDP)):
        if is_v6:
            source, destination = f"[{source}]", f"[{destination}]"
        ends = f"{source}:{inner.sport} > {destination}:{inner.dport}"
        return f"{ends} {_tcp(ip, inner) if isinstance(inner, dpkt.tcp.TCP) else _udp(inner)}"
    ends = f"{source} > {destination}"
    if isinstance(inner, dpkt.icmp.ICMP):
        return f"{ends} ICMP {_ICMP.get(inner.type, f'type {inner.type}')}{_echo(inner)}"
    if isinstance(inner, dpkt.icmp6.ICMP6):
        return f"{ends} ICMPv6 {_ICMP6.get(inner.type, f'type {inner.type}')}{_echo(inner)}"
    number = getattr(ip, "p", getattr(ip, "nxt", 0))
    name = "IPv6" if is_v6 else "IPv4"
    if not is_v6 and ip.offset:
        return f"{ends} IPv4 fragment of {_PROTOCOLS.get(number, f'protocol {number}')}"
    return f"{ends} {_PROTOCOLS.get(number, f'{name} protocol {number}')}"


def _echo(icmp: Any) -> str:
    echo = icmp.data
    return f" id {echo.id} seq {echo.seq}" if hasattr(echo, "seq") and hasattr(echo, "id") else ""


def _tcp(ip: Any, tcp: Any) -> str:
    flags = "".join(letter for bit, letter in _TCP_FLAGS if tcp.flags & bit) or "none"
    if isinstance(ip, dpkt.ip6.IP6):
        extra = sum(len(header) for header in getattr(ip, "all_extension_headers", ()))
        payload = ip.plen - extra - tcp.off * 4
    else:
        payload = ip.len - ip.hl * 4 - tcp.off * 4
    acked = f" ack {tcp.ack}" if tcp.flags & dpkt.tcp.TH_ACK else ""
    return f"TCP [{flags}] seq {tcp.seq}{acked} win {tcp.win} len {max(payload, 0)}"


def _udp(udp: Any) -> str:
    if _DNS_PORTS & {udp.sport, udp.dport} and len(udp.data) >= 12:
        try:
            return _dns(dpkt.dns.DNS(bytes(udp.data)))
        except _BAD_BYTES:
            pass
    return f"UDP len {max(udp.ulen - 8, 0)}"


def _dns(dns: Any) -> str:
    name = "DNS response" if dns.qr else "DNS query"
    text = f"{name} {dns.id}"
    for question in dns.qd[:1]:
        kind = _DNS_TYPES.get(question.type, f"type {question.type}")
        text += f" {kind} {_clean(question.name)}"
    if dns.qr:
        text += f", {len(dns.an)} answers" if dns.rcode == 0 else f", error {dns.rcode}"
        addresses = [str(ip_address(rr.rdata)) for rr in dns.an if rr.type in (1, 28)]
        if addresses:
            text += ": " + " ".join(addresses[:2])
    return text


def _clean(name: str) -> str:
    """Return a name from the wire with nothing in it that a terminal would obey."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in name[:64])


def _mac(address: bytes) -> str:
    return address.hex(":")
