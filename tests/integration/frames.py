# SPDX-License-Identifier: GPL-2.0-or-later
"""Test frames that say which they are, made alike on the host and in the guest."""

from __future__ import annotations

import hashlib
import struct

ETHERTYPE = 0x88B5  # for local experiments; nothing between two cards looks inside
HEADER_LEN = 22

# the fields of struct ntzc_desc, as the tuples of guest/abi.py have them
HANDLE, OFFSET, TIMESTAMP, LEN, HASH, ORIG_LEN, VLAN_TCI, FLAGS, QUEUE, HASH_TYPE = range(10)

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
