# SPDX-License-Identifier: GPL-2.0-or-later
"""Test frames that say which they are, made alike on the host and in the guest."""

from __future__ import annotations

import hashlib
import struct

ETHERTYPE = 0x88B5  # for local experiments; nothing between two cards looks inside
HEADER_LEN = 22

# the fields of struct ntzc_desc, as the tuples of guest/abi.py have them
HANDLE, OFFSET, TIMESTAMP, LEN, HASH, ORIG_LEN, VLAN_TCI, FLAGS, QUEUE, HASH_TYPE = range(10)
RX_VLAN = 0x0001  # in FLAGS

_DST = bytes.fromhex("02000000aa01")
_SRC = bytes.fromhex("02000000aa02")


def frame(number: int, len_bytes: int = 60) -> bytes:
    """Frame *number*, *len_bytes* long without FCS (22 or more)."""
    head = _DST + _SRC + struct.pack("!HQ", ETHERTYPE, number)
    return head + hashlib.shake_128(head).digest(len_bytes - HEADER_LEN)


def number(data: bytes | memoryview) -> int:
    """Which frame this is."""
    return int(struct.unpack_from("!Q", data, 14)[0])


def is_intact(data: bytes | memoryview) -> bool:
    """Whether every byte is as :func:`frame` made it."""
    return frame(number(data), len(data)) == data


def _addresses(flow: int) -> tuple[int, int, int, int]:
    """Source and destination of a flow, in 10.0.0.0/8, as 16-bit words.

    Flows differ in many bits, not in the few of a counter: a card's hash is the exclusive or
    of parts of its key that the address bits choose, so that of flows that differ in six bits
    only, one random key in 64 sends all to one queue.
    """
    high, low, high_too, low_too = struct.unpack(
        "!BHBH", hashlib.shake_128(struct.pack("!H", flow)).digest(6)
    )
    return 0x0A00 | high, low, 0x0A00 | high_too, low_too


def flow_frame(flow: int, number: int) -> bytes:
    """UDP frame *number* of one of 65,536 flows; see :func:`flow_of`."""
    payload = struct.pack("!HI", flow, number)
    payload += hashlib.shake_128(payload).digest(16)
    # version, length, time to live, protocol, checksum, addresses
    ip = [0x4500, 28 + len(payload), 0, 0, 0x4011, 0, *_addresses(flow)]
    ip[5] = 0xFFFF - (sum(ip) % 0xFFFF)
    udp = struct.pack("!HHHxx", 1000 + flow % 50000, 53, 8 + len(payload))
    return _DST + _SRC + struct.pack("!H10H", 0x0800, *ip) + udp + payload


def flow_of(data: bytes | memoryview) -> tuple[int, int]:
    """Flow and number of a :func:`flow_frame`; (-1, -1) if a byte is wrong."""
    if len(data) < 48:
        return -1, -1
    flow, number = struct.unpack_from("!HI", data, 42)
    return (flow, number) if flow_frame(flow, number) == data else (-1, -1)


def digest(data: bytes) -> bytes:
    """A short name of any frame, made here or not, that no other has."""
    return hashlib.sha256(data).digest()[:8]


def with_tag(desc: tuple[int, ...], data: bytes) -> bytes:
    """The frame as it was on the wire, a stripped VLAN tag put back."""
    if not desc[FLAGS] & RX_VLAN:
        return data
    return data[:12] + struct.pack("!HH", 0x8100, desc[VLAN_TCI]) + data[12:]
