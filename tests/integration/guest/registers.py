# SPDX-License-Identifier: GPL-2.0-or-later
"""Registers of a card, behind its driver's back; the kernel must be told iomem=relaxed."""

from __future__ import annotations

import mmap
import os
import time


def poke(resource: str, offset: int, value: int) -> None:
    """Write a 32-bit register of the PCI resource at *resource* in sysfs."""
    fd = os.open(resource, os.O_RDWR | os.O_SYNC)
    try:
        with mmap.mmap(fd, 0x20000) as registers:
            words = memoryview(registers).cast("I")
            words[offset // 4] = value
            words.release()
    finally:
        os.close(fd)


def peek(resource: str, offset: int) -> int:
    """Read one, with what its reading does."""
    fd = os.open(resource, os.O_RDWR | os.O_SYNC)
    try:
        with (
            mmap.mmap(fd, 0x20000) as registers,
            memoryview(registers) as view,
            view.cast("I") as words,
        ):
            return words[offset // 4]
    finally:
        os.close(fd)


def hold(resource: str, offset: int, value: int) -> None:
    """Write one again and again, for ever: a reset of the card forgets it."""
    fd = os.open(resource, os.O_RDWR | os.O_SYNC)
    words = memoryview(mmap.mmap(fd, 0x20000)).cast("I")
    while True:
        words[offset // 4] = value
        time.sleep(0.0005)
