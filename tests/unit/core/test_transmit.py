# SPDX-License-Identifier: GPL-2.0-or-later
"""Every length at every offset that a program may name (cases 68, 69, 70)."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from tests.unit.core import harness
from tests.unit.core.harness import HEADROOM, MIN_FRAME, PAD_FRAME, Desc

FRAME_MAX = 1514
JUMBO_MAX = 9018
BUF = 2048
LENGTHS = [0, 1, 13, 14, 15, 59, 60, 61, 1513, 1514, 1515, 1518, 1920, 1921, 2047, 2048, 2049]
LENGTHS += [9018, 9019, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
# from the buffer's first byte
OFFSETS = [0, 1, 14, HEADROOM, HEADROOM + 1, BUF - FRAME_MAX, BUF - FRAME_MAX + 1, BUF - 61]
OFFSETS += [BUF - 60, BUF - 59, BUF - 14, BUF - 13, BUF - 1, BUF, BUF + HEADROOM, -1, -BUF]
OFFSETS += [1 << 31, (1 << 32) - 1]


class Sender:
    """A tap with four transmit buffers of 2,048 bytes, the second of them reserved."""

    def __init__(self, tx_ring: int = 64) -> None:
        self.core = harness.core()
        self.card = self.core.card(tx_ring=tx_ring)
        assert self.card.up() == 0
        self.tap = self.core.tap()
        self.tap.attach()
        self.tap.tx_setup(n_bufs=4)
        first, self.desc = self.tap.reserve(2)
        assert self.desc.handle == first.handle + 1

    def end(self) -> None:
        self.tap.close()
        self.card.remove()
        self.core.settle()
        self.card.free()
        assert self.core.live() == harness.NOTHING


@pytest.fixture
def sender() -> Iterator[Sender]:
    sender = Sender()
    yield sender
    sender.end()


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_frame_lies_in_its_buffer_or_is_refused(sender: Sender, offset: int) -> None:
    """Hostile cases 68, 69 and 70: padding covers what the buffer held before."""
    start = BUF  # the second buffer
    for length in LENGTHS:
        at = (start + offset) & 0xFFFFFFFF
        fits = 0 <= offset < BUF and offset + max(length, PAD_FRAME) <= BUF
        good = fits and MIN_FRAME <= length <= FRAME_MAX
        for other in range(4):
            sender.tap.poke(other * BUF, bytes([0xA0 + other]) * BUF)
        done = sender.tap.submit([Desc(sender.desc.handle, at, length)])
        sender.card.check()
        if not good:
            assert done == -errno.EINVAL, (offset, length)
            assert sender.tap.marks(tx=True) >= {sender.desc.handle}, "still the program's"
            continue
        assert done == 1, (offset, length)
        assert sender.card.complete(0, 1, 0, False) == 1
        data = b"\xa1" * length + bytes(max(PAD_FRAME - length, 0))
        assert [sent.data for sent in sender.card.sent()] == [data]
        for other in (0, 2, 3):
            assert sender.tap.peek(other * BUF, BUF, tx=True) == bytes([0xA0 + other]) * BUF
        (sender.desc,) = sender.tap.reserve(1)  # last in, first out: the same buffer
        assert sender.desc.offset == start + HEADROOM


def test_a_larger_mtu_does_not_enlarge_buffers() -> None:
    """Hostile case 68: what the port would take is longer than the tap's own buffers."""
    core = harness.core()
    card = core.card(n_bufs=8 + 64)
    assert card.configure(16384, 0) == 0
    assert card.up() == 0
    tap = core.tap()
    tap.attach()
    tap.tx_setup(n_bufs=2, buf_size=2048)
    assert card.set_frame(JUMBO_MAX) == 0
    (desc,) = tap.reserve(1)
    for length in (BUF - HEADROOM + 1, BUF, BUF + 1, 4096, JUMBO_MAX):
        assert tap.submit([desc._replace(len=length)]) == -errno.EINVAL
    assert tap.submit([desc._replace(len=BUF - HEADROOM)]) == 1
    tap.close()
    card.remove()
    core.settle()
    card.free()
    assert core.live() == harness.NOTHING


def test_a_batch_stops_at_the_first_bad_descriptor(sender: Sender) -> None:
    """Hostile cases 25, 29, 30: exact counts, the bad one first or later, one handle twice."""
    good = sender.desc._replace(len=60)
    bad = good._replace(hash=1)
    assert sender.tap.submit([bad, good]) == -errno.EINVAL
    assert sender.tap.submit([good, good, bad]) == 1
    assert sender.tap.submit([good]) == -errno.ESTALE
    assert sender.tap.release([good.handle]) == -errno.ESTALE, "case 28: it is in flight"


def test_a_full_ring_accepts_what_fits_and_says_so() -> None:
    """Hostile case 73."""
    sender = Sender(tx_ring=2)
    descs = [sender.desc, *sender.tap.reserve(2)]
    sender.card.limit_transmit(0, 0)
    batch = [desc._replace(len=60) for desc in descs]
    assert sender.tap.submit(batch) == -errno.ENOSPC
    assert not sender.tap.can_send(), "case 50: no POLLOUT while the ring is full"
    sender.card.limit_transmit(1 << 30, 0)
    assert sender.tap.submit(batch) == 2
    assert sender.tap.submit(batch[2:]) == -errno.ENOSPC
    assert sender.card.stats().tx_bytes == 2 * 60
    assert sender.card.complete(0, 1, -errno.EIO, False) == 1
    assert sender.card.stats().tx_bytes == 60
    assert sender.tap.submit(batch[2:]) == 1
    assert sender.card.complete(0, 2, -errno.EIO, False) == 2
    assert sender.tap.stats().tx_failed == 3
    assert sender.card.stats().tx_bytes == 0, "of what is sent"
    assert sender.tap.can_send()
    sender.end()


def test_a_completion_between_the_cards_two_looks_is_not_missed(sender: Sender) -> None:
    """Hostile case 73: or a waiting sender would sleep for ever."""
    batch = [sender.desc._replace(len=60), *(d._replace(len=60) for d in sender.tap.reserve(2))]
    sender.card.limit_transmit(2, 2)
    assert sender.tap.submit(batch) == 3
    assert not sender.card.queue(0).tx_full
    assert sender.card.queue(0).sending == 1


def test_who_waits_for_the_card_is_woken_when_it_takes_none_after_all(sender: Sender) -> None:
    """It saw frames in flight that another thread was about to have refused."""
    sender.tap.sleep_drain()
    sender.card.limit_transmit(0, 0)
    assert sender.tap.submit([sender.desc._replace(len=60)]) == -errno.ENOSPC
    assert sender.tap.drained()
    assert sender.tap.woken_drain()


def test_buffers_that_nobody_was_told_of_are_free_though_one_was_given_back(
    sender: Sender,
) -> None:
    """Hostile case 24: a thread saw the first, in the part that was there, and was quicker."""
    first = sender.desc.handle + 1
    with sender.core.beside(lambda: sender.tap.release([first])) as came:
        assert sender.tap.reserve_some(2, missing=40) == -errno.EFAULT
    assert came == [1]
    assert (sender.tap.stats().tx_reserved, sender.tap.stats().tx_free) == (2, 2)
