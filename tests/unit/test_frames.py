# SPDX-License-Identifier: GPL-2.0-or-later
"""The test frames of the integration tests do for every card, whatever its hash key is."""

from __future__ import annotations

import random

from tests.integration.frames import flow_frame, flow_of

KEYS = 500
ADDRESSES = slice(26, 34)  # source and destination, what the card's hash is of


def toeplitz(key: int, data: bytes) -> int:
    """The 32-bit hash of receive side scaling; *key* has 40 bytes.

    https://learn.microsoft.com/windows-hardware/drivers/network/rss-hashing-functions
    """
    bits = int.from_bytes(data, "big")
    result = 0
    for i in range(8 * len(data)):
        if bits >> (8 * len(data) - 1 - i) & 1:
            result ^= key >> (320 - 32 - i) & 0xFFFFFFFF
    return result


def test_the_hash_is_that_of_receive_side_scaling() -> None:
    # the first of Microsoft's own examples: 66.9.149.187 to 161.142.100.80, addresses alone
    key = int(
        "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa", 16
    )
    assert toeplitz(key, bytes([66, 9, 149, 187, 161, 142, 100, 80])) == 0x323E8FC2


def test_flows_are_spread_over_two_queues_by_any_key() -> None:
    rng = random.Random(1)
    for _ in range(KEYS):
        key = rng.getrandbits(320)
        hashes = [toeplitz(key, flow_frame(flow, 0)[ADDRESSES]) for flow in range(32)]
        upper_half = sum(h >> 6 & 1 for h in hashes)  # of a table of 128 entries
        assert 4 <= upper_half <= 28


def test_a_flow_keeps_its_addresses_and_a_changed_byte_is_seen() -> None:
    first, second = flow_frame(7, 1), flow_frame(7, 2)
    assert first[ADDRESSES] == second[ADDRESSES] != flow_frame(8, 1)[ADDRESSES]
    assert (flow_of(first), flow_of(second)) == ((7, 1), (7, 2))
    assert flow_of(first[:30] + b"\xff" + first[31:]) == (-1, -1)
