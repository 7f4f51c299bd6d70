# SPDX-License-Identifier: GPL-2.0-or-later
"""Registers of a card, behind its driver's back; the kernel must be told iomem=relaxed."""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from collections.abc import Iterator


@contextlib.contextmanager
def _mapped(resource: str) -> Iterator[memoryview]:
    """The 32-bit registers of the PCI resource at *resource* in sysfs."""
    fd = os.open(resource, os.O_RDWR | os.O_SYNC)
    try:
        with (
            mmap.mmap(fd, 0x20000) as registers,
            memoryview(registers) as view,
            view.cast("I") as words,
        ):
            yield words
    finally:
        os.close(fd)


def poke(resource: str, offset: int, value: int) -> None:
    """Write a register."""
    with _mapped(resource) as words:
        words[offset // 4] = value


def peek(resource: str, offset: int) -> int:
    """Read one, with what its reading does."""
    with _mapped(resource) as words:
        return words[offset // 4]


def hold(resource: str, offset: int, value: int) -> None:
    """Write one again and again, for ever: a reset of the card forgets it."""
    with _mapped(resource) as words:
        while True:
            words[offset // 4] = value
            time.sleep(0.0005)
