# SPDX-License-Identifier: GPL-2.0-or-later
"""What may be mapped, and which page a fault finds (cases 1 to 7, 21)."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from tests.unit.core import harness
from tests.unit.core.harness import HANDLE_INDEX, HEADROOM, PAGE

READ, WRITE, EXEC, SHARED = 1, 2, 4, 8
MAYREAD, MAYWRITE, MAYEXEC, MAYSHARE = 0x10, 0x20, 0x40, 0x80
IO, DONTEXPAND, DONTDUMP, MIXED = 0x100, 0x200, 0x400, 0x1000
USUAL = READ | SHARED | MAYREAD | MAYWRITE | MAYEXEC | MAYSHARE
TX = 0x1000000000


class Mapped:
    """A card that is up, and a tap with both memories."""

    def __init__(self, order: int = 10) -> None:
        self.core = harness.core()
        self.core.limit_order(order)
        self.card = self.core.card(n_queues=1, rx_ring=40, n_bufs=200)
        assert self.card.up() == 0
        self.tap = self.core.tap()
        self.rx_bytes = self.tap.attach(quota=200).rx_bytes
        self.tx_bytes = self.tap.tx_setup(n_bufs=7).tx_bytes

    def end(self) -> None:
        self.tap.close()
        self.card.remove()
        self.core.settle()
        self.card.free()
        assert self.core.live() == harness.NOTHING


@pytest.fixture
def mapped() -> Iterator[Mapped]:
    mapped = Mapped()
    yield mapped
    mapped.end()


def test_a_page_more_than_there_is_is_refused(mapped: Mapped) -> None:
    for base, size in ((0, mapped.rx_bytes), (TX, mapped.tx_bytes)):
        assert mapped.tap.mmap(base, size, USUAL)[0] == 0
        assert mapped.tap.mmap(base, size + PAGE, USUAL)[0] == -errno.EINVAL
        assert mapped.tap.mmap(base + size - PAGE, PAGE, USUAL)[0] == 0
        assert mapped.tap.mmap(base + size - PAGE, 2 * PAGE, USUAL)[0] == -errno.EINVAL
        assert mapped.tap.mmap(base + size, PAGE, USUAL)[0] == -errno.EINVAL


@pytest.mark.parametrize(
    "offset", [TX - PAGE, 3 * TX, 4 * TX, 1 << 52, (1 << 63) - PAGE, (1 << 64) - PAGE]
)
def test_offsets_far_outside_are_refused(mapped: Mapped, offset: int) -> None:
    for pages in (1, 2, 1 << 40):
        assert mapped.tap.mmap(offset, pages * PAGE, USUAL)[0] == -errno.EINVAL


def test_receive_memory_cannot_be_made_writable(mapped: Mapped) -> None:
    assert mapped.tap.mmap(0, PAGE, USUAL | WRITE)[0] == -errno.EACCES
    err, flags = mapped.tap.mmap(0, PAGE, USUAL)
    assert not err and not flags & MAYWRITE, "not by a later mprotect either"


def test_transmit_memory_can_be_written(mapped: Mapped) -> None:
    err, flags = mapped.tap.mmap(TX, PAGE, USUAL | WRITE)
    assert not err and flags & MAYWRITE


@pytest.mark.parametrize("base", [0, TX])
def test_nothing_is_executable_private_pinned_or_dumped(mapped: Mapped, base: int) -> None:
    assert mapped.tap.mmap(base, PAGE, USUAL | EXEC)[0] == -errno.EACCES
    assert mapped.tap.mmap(base, PAGE, READ | MAYREAD | MAYWRITE)[0] == -errno.EINVAL
    _, flags = mapped.tap.mmap(base, PAGE, USUAL)
    assert not flags & MAYEXEC
    assert flags & IO and flags & DONTEXPAND and flags & DONTDUMP and flags & MIXED


def test_without_memory_there_is_nothing_to_map() -> None:
    core = harness.core()
    tap = core.tap()
    assert tap.mmap(0, PAGE, USUAL)[0] == -errno.ENOTCONN
    assert tap.mmap(TX, PAGE, USUAL)[0] == -errno.ENOTCONN
    tap.close()


@pytest.mark.parametrize("order", [0, 1, 3, 10])
def test_every_buffer_shows_at_its_offset(order: int) -> None:
    """Hostile case 3: base + offset is the frame's first byte, in whatever chunks memory came."""
    mapped = Mapped(order)
    seen = set()
    for seed in range(0, 160, 40):
        frames = [harness.Frame(seed + i, 60 + 30 * i) for i in range(40)]
        mapped.card.receive(0, frames)
        mapped.card.refill(0)
        for desc, frame in zip(mapped.tap.read(40), frames, strict=True):
            assert desc.offset == (desc.handle & HANDLE_INDEX) * 2048 + HEADROOM
            data = mapped.core.frame_bytes(frame.len, frame.seed)
            assert mapped.tap.peek(desc.offset, desc.len) == data
            seen.add(desc.offset)
    assert len(seen) == 160
    mapped.end()
