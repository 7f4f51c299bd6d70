# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames that no honest sender sends: a grammar, for Hypothesis.

Headers are stacked as they come: lengths that lie, sums that are wrong, tags upon tags, and
at the end a cut anywhere, down to one byte, or more bytes than fit.
"""

from __future__ import annotations

import struct

from hypothesis import strategies as st

MACS = (
    bytes.fromhex("02000000aa01"), bytes(6), b"\xff" * 6, bytes.fromhex("01005e0000fb"),
    bytes.fromhex("0180c2000001"), bytes.fromhex("333300000001"),
)  # fmt: skip
TAGS = (0x8100, 0x88A8, 0x9100)
# turning points of lengths: header sizes, a minimal and a maximal frame, a buffer, the card's most
CUTS = (1, 12, 13, 14, 15, 17, 18, 22, 33, 34, 41, 42, 53, 54, 59, 60, 61, 63, 64)
GROWN = (1513, 1514, 1515, 1518, 1519, 1522, 1523, 2047, 2048, 2049, 4096, 9018, 9216, 9728, 16383)

_u8, _u16, _u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
_length = st.one_of(st.sampled_from((0, 1, 7, 8, 19, 20, 28, 40, 60, 1500, 0xFFFF)), _u16)


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return 0xFFFF - (total + total // 0x10000) % 0xFFFF


def _ipv4(ihl: int, length: int, frag: int, protocol: int, good: bool, rest: bytes) -> bytes:
    claimed = length if not good else (20 + len(rest)) & 0xFFFF
    words = [0x4000 | ihl << 8, claimed, 1, frag, 0x4000 | protocol, 0, 0x0A01, 1, 0x0A02, 2]
    head = struct.pack("!10H", *words)
    words[5] = _checksum(head) if good else length
    return struct.pack("!10H", *words) + rest


def _ipv6(length: int, following: int, rest: bytes) -> bytes:
    return struct.pack("!IHBB", 6 << 28, length, following, 64) + bytes(32) + rest


_LEAVES = st.one_of(
    st.just((0x88B5, b"")),
    st.builds(lambda data: (0x88B5, data), st.binary(max_size=80)),
    st.builds(lambda data: (len(data), data), st.binary(max_size=80)),  # 802.3: a length
    st.builds(lambda kind, data: (kind, data), _u16, st.binary(max_size=40)),
    st.builds(lambda data: (0x0806, data), st.binary(max_size=40)),
)
_TRANSPORTS = st.one_of(
    st.builds(lambda a, b, n, c: (17, struct.pack("!4H", a, b, n, c)), _u16, _u16, _length, _u16),
    st.builds(
        lambda a, b, flags, c: (6, struct.pack("!HHIIHHHH", a, b, 1, 2, flags, 99, c, 0)),
        _u16, _u16, _u16, _u16,
    ),
    st.builds(lambda a, c: (1, struct.pack("!BBHI", a, 0, c, 0)), _u8, _u16),
    st.builds(lambda p, data: (p, data), _u8, st.binary(max_size=24)),
)  # fmt: skip
_NETWORKS = st.one_of(
    st.builds(
        lambda ihl, n, frag, t, good, pay: (0x0800, _ipv4(ihl, n, frag, t[0], good, t[1] + pay)),
        st.sampled_from((5, 5, 5, 0, 4, 6, 15)), _length, st.sampled_from((0, 0, 0x2000, 0x1FFF)),
        _TRANSPORTS, st.booleans(), st.binary(max_size=64),
    ),
    st.builds(
        lambda n, t, pay: (0x86DD, _ipv6(n, t[0], t[1] + pay)),
        _length, _TRANSPORTS, st.binary(max_size=64),
    ),
    # extension headers that name each other, with lengths that lie
    st.builds(
        lambda chain: (0x86DD, _ipv6(0xFFFF, chain[0], bytes(chain))),
        st.lists(st.sampled_from((0, 43, 44, 60, 51, 135, 255)), min_size=2, max_size=60),
    ),
)  # fmt: skip


def _tagged(inner: tuple[int, bytes], tpid: int, tci: int) -> tuple[int, bytes]:
    return tpid, struct.pack("!HH", tci, inner[0]) + inner[1]


_STACKS = st.recursive(
    st.one_of(_LEAVES, _NETWORKS),
    lambda inner: st.one_of(
        st.builds(_tagged, inner, st.sampled_from(TAGS), _u16),
        st.builds(lambda i, label: (0x8847, struct.pack("!I", label) + i[1]), inner, _u32),
        st.builds(lambda i: (0x0800, _ipv4(5, 0, 0, 4, True, i[1])), inner),
    ),
    max_leaves=3,
)


def _frame(dst: bytes, stack: tuple[int, bytes], cut: int | None, grown: int | None) -> bytes:
    data = dst + bytes.fromhex("02000000aa02") + struct.pack("!H", stack[0]) + stack[1]
    if grown is not None:
        return data.ljust(grown, b"\xa5")[:grown]
    return data if cut is None else data[:cut]


FRAMES = st.builds(
    _frame,
    st.sampled_from(MACS),
    _STACKS,
    st.one_of(st.none(), st.none(), st.sampled_from(CUTS), st.integers(1, 120)),
    st.one_of(st.none(), st.none(), st.none(), st.sampled_from(GROWN)),
)
