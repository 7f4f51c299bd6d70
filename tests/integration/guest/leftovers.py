# SPDX-License-Identifier: GPL-2.0-or-later
"""What lies in packet memory where nothing should, in the guest."""

from __future__ import annotations

import mmap

CRC_LEN = 4  # which the card may write behind a frame


def find(memory: mmap.mmap, frames: tuple[tuple[int, int], ...]) -> str:
    """Where *memory* is not zero outside of *frames* (offset, length), or nothing."""
    at = 0
    for offset, length in (*sorted(frames), (len(memory), 0)):
        gap = memory[at:offset]
        if gap.count(0) != len(gap):
            first = next(i for i, byte in enumerate(gap) if byte)
            return f"{gap[first : first + 16].hex()} at {at + first}, of frames {frames}"
        at = offset + length + CRC_LEN
    return ""
