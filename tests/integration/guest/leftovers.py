# SPDX-License-Identifier: GPL-2.0-or-later
"""What lies in packet memory where nothing should, in the guest."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import abi

CRC_LEN = 4  # which the card may write behind a frame
RING_BYTES = 192  # struct ntzc_ring
_INDICES = tuple((ring + at, 4) for ring in (0, RING_BYTES) for at in (0, 64, 128))
_TX_BUF_BYTES = 8  # struct ntzc_tx_buf


def find(memory: mmap.mmap, frames: tuple[tuple[int, int], ...], slack: int = CRC_LEN) -> str:
    """Where *memory* is not zero outside of *frames* (offset, length), or nothing."""
    at = 0
    for offset, length in (*sorted(frames), (len(memory), 0)):
        gap = memory[at:offset]
        if gap.count(0) != len(gap):
            first = next(i for i, byte in enumerate(gap) if byte)
            return f"{gap[first : first + 16].hex()} at {at + first}, of frames {frames}"
        at = offset + length + slack
    return ""


def litter(memory: mmap.mmap) -> None:
    """Write something into all of it."""
    memory[:] = b"\xa5" * len(memory)


def _rings(tap: abi.Tap) -> Iterator[tuple[mmap.mmap, tuple[tuple[int, int], ...]]]:
    """Every mapping of rings of a tap, and what is in it before a frame came or went."""
    setup = tap.tx_setup_out
    assert setup
    free = (setup.free_offset, setup.n_bufs * _TX_BUF_BYTES)
    places = [
        (abi.MMAP_RX_RINGS + queue * abi.MMAP_RX_RINGS_STEP, tap.field("rings_bytes"), _INDICES)
        for queue in range(tap.field("n_queues"))
    ]
    places.append((abi.MMAP_TX_RINGS, setup.rings_bytes, (*_INDICES, free)))
    for offset, len_bytes, known in places:
        with mmap.mmap(tap.fd, len_bytes, offset=offset) as memory:
            yield memory, known


def litter_rings(tap: abi.Tap) -> None:
    """Write something into all rings of a tap."""
    for memory, _ in _rings(tap):
        litter(memory)


def find_in_rings(tap: abi.Tap) -> str:
    """Where a new tap's rings are not zero, but for indices and free buffers, or nothing."""
    return "".join(find(memory, known, slack=0) for memory, known in _rings(tap))
