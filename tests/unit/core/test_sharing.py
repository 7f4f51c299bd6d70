# SPDX-License-Identifier: GPL-2.0-or-later
"""Several taps of one card, and what one may cost the others: the hostile cases by example."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.core import harness
from tests.unit.core.harness import HEADROOM, Desc, Frame


class Stage:
    """A core, and a way to leave it clean."""

    def __init__(self) -> None:
        self.core = harness.core()
        self.taps: list[harness.Tap] = []
        self.cards: list[harness.Card] = []

    def card(self, **config: Any) -> harness.Card:
        card = self.core.card(**config)
        self.cards.append(card)
        assert card.up() == 0
        return card

    def tap(self, **attach: Any) -> harness.Tap:
        tap = self.core.tap()
        self.taps.append(tap)
        tap.attach(**attach)
        return tap

    def close(self, tap: harness.Tap) -> None:
        self.taps.remove(tap)
        tap.close()

    def end(self) -> None:
        for card in self.cards:
            card.check()
        for tap in self.taps:
            tap.close()
        for card in self.cards:
            card.remove()
        self.core.settle()
        for card in self.cards:
            card.free()
        assert self.core.live() == harness.NOTHING


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.end()


def frames(n: int, *, seed: int = 0, length: int = 60) -> list[Frame]:
    return [Frame(seed + i, length) for i in range(n)]


def pump(card: harness.Card, queue: int, n: int) -> None:
    """Let n frames arrive, a ringful at a time."""
    while n > 0:
        n -= len(card.receive(queue, frames(min(n, 8))))
        card.refill(queue)


def test_64_readers_of_one_packet_free_it_once(stage: Stage) -> None:
    """Case 61; and the 65th tap on a queue is refused."""
    card = stage.card()
    taps = [stage.tap() for _ in range(64)]
    tap = stage.core.tap()
    with pytest.raises(OSError) as refused:
        tap.attach()
    assert refused.value.errno == errno.EBUSY
    tap.close()
    (frame,) = card.receive(0, frames(1))
    for tap in taps:
        assert [desc.handle for desc in tap.read(8)] == [frame.handle]
        card.check()
        assert tap.release([frame.handle]) == 1
        assert tap.release([frame.handle]) == -errno.ESTALE
    card.check()
    assert card.stats().pool_held == 0


def test_a_slow_reader_loses_its_own_frames_only(stage: Stage) -> None:
    """Case 62."""
    card = stage.card()
    slow, quick = stage.tap(ring_size=8), stage.tap()
    for _ in range(20):
        card.receive(0, frames(8))
        card.refill(0)
        assert quick.release([desc.handle for desc in quick.read(64)]) == 8
    assert quick.stats().received == 160
    assert (slow.stats().received, slow.stats().lost_ring) == (8, 152)


def test_a_hoarder_of_one_queue_leaves_others_their_share(stage: Stage) -> None:
    """Case 63, with the default quota."""
    card = stage.card(n_bufs=8 + 256)
    hoarder, other = stage.tap(), stage.tap()
    pump(card, 0, 400)
    other.release([desc.handle for desc in other.read(64)])
    got = other.stats().received
    pump(card, 0, 8)
    assert hoarder.stats().lost_quota > 0
    assert other.stats().received == got + 8


def test_a_hoarder_of_all_queues_leaves_others_their_share(stage: Stage) -> None:
    """Case 63, with the default quota."""
    card = stage.card(n_queues=4, n_bufs=32 + 512)
    hoarder, other = stage.tap(), stage.tap(queues=1)
    for queue in (1, 2, 3):
        pump(card, queue, 400)
    pump(card, 0, 8)
    assert hoarder.stats().lost_quota > 0
    assert other.stats().received == 8


def test_a_chosen_pool_that_the_rings_outgrew_still_delivers(stage: Stage) -> None:
    """Case 90: PORT_CONFIG for two queues of four, then all four (ethtool -L)."""
    card = stage.card(n_queues=4, rx_ring=64, n_bufs=4 * 64 + 64)
    assert card.set_queues(2) == 0
    assert card.configure(0, 2 * 64 + 64) == 0
    assert card.set_queues(4) == 0
    tap = stage.tap()
    for queue in range(4):
        card.receive(queue, frames(4))
        card.refill(queue)
    assert tap.stats().received > 0


def test_a_pool_that_can_never_be_made_is_refused_at_once(stage: Stage) -> None:
    """Case 42: 2**19 buffers of 16 KiB are 8 GiB, and offsets have 32 bits."""
    card = stage.card()
    card.down()
    assert card.configure(16384, 1 << 19) == -errno.EINVAL


def test_a_refused_forward_does_not_stretch_the_quota(stage: Stage) -> None:
    """Case 63: the poll comes between the taking of the frames and the card's refusal."""
    card = stage.card(rx_ring=8)
    tap = stage.tap(quota=4)
    card.receive(0, frames(4))
    card.refill(0)
    descs = [Desc(d.handle, d.offset, d.len) for d in tap.read(4)]
    card.limit_transmit(0, 0)
    card.arm(1, 0, 0, frames(4, seed=9))
    assert tap.submit(descs) == -errno.ENOSPC
    card.disarm()
    held = tap.stats().held
    tap.release([desc.handle for desc in descs] + [desc.handle for desc in tap.read(64)])
    assert held <= 4


def test_a_forwarded_frame_outlives_its_holders(stage: Stage) -> None:
    """Case 28: in flight, held by nobody; then free."""
    card = stage.card()
    first, second = stage.tap(), stage.tap()
    (frame,) = card.receive(0, frames(1, seed=3, length=200))
    card.refill(0)
    desc = first.read(1)[0]
    assert first.submit([Desc(desc.handle, desc.offset, desc.len)]) == 1
    assert first.release([desc.handle]) == -errno.ESTALE
    assert second.release([frame.handle]) == 1
    stage.close(first)
    card.check()
    assert card.stats().pool_in_flight == 1
    card.complete(0, 1, 0, False)
    assert card.sent()[0].data == stage.core.frame_bytes(200, 3)
    assert card.stats().pool_in_flight == 0


def test_transmit_memory_outlives_its_tap_until_the_card_is_done(stage: Stage) -> None:
    """Case 52: killed while holding and sending."""
    card = stage.card()
    tap = stage.tap()
    tap.tx_setup(n_bufs=4)
    descs = tap.reserve(4)
    assert tap.submit([desc._replace(len=60) for desc in descs[:3]]) == 3
    stage.close(tap)
    stage.core.settle()
    card.check()
    before = stage.core.live()
    card.complete(0, 3, 0, False)
    stage.core.settle()
    assert stage.core.live().mappings < before.mappings
    assert [len(sent.data) for sent in card.sent()] == [60] * 3


def test_padding_is_zero_in_a_buffer_that_was_used_before(stage: Stage) -> None:
    """Case 70."""
    card = stage.card()
    tap = stage.tap()
    tap.tx_setup(n_bufs=2)
    for length in (1514, 14):
        desc = tap.reserve(1)[0]
        tap.poke(desc.offset, b"\xff" * length)
        assert tap.submit([desc._replace(len=length)]) == 1
        card.complete(0, 1, 0, False)
    assert card.sent()[1].data == b"\xff" * 14 + bytes(46)


def test_the_card_starves_and_recovers_again_and_again(stage: Stage) -> None:
    """Cases 64, 67: the last frames go to the card, not to the tap, and the ring fills again."""
    card = stage.card(n_bufs=8 + 64)
    tap = stage.tap(quota=1000)
    for _ in range(100):
        pump(card, 0, 100)
        assert card.queue(0).posted == 8
        assert tap.stats().lost_pool > 0
        held = [desc.handle for desc in tap.read(1000)]
        for at in range(0, len(held), 64):
            tap.release(held[at : at + 64])
        card.check()


def test_a_starved_queue_is_told_when_there_are_buffers(stage: Stage) -> None:
    card = stage.card(n_bufs=8 + 64)
    tap = stage.tap(quota=1000)
    pump(card, 0, 100)
    held = [desc.handle for desc in tap.read(64)]
    # the taps' buffers outlive the card's: it comes up again with fewer than its ring takes
    card.down()
    assert card.up() == 0
    assert card.queue(0).posted == 8
    assert not card.queue(0).refill_asked
    tap.release(held[:1])
    assert not card.queue(0).refill_asked, "it had all that it wanted"


def test_the_card_goes_while_everything_is_outstanding(stage: Stage) -> None:
    """Cases 56, 57: what is held stays readable; sending says ENODEV for ever."""
    card = stage.card()
    tap = stage.tap()
    tap.tx_setup(n_bufs=4)
    reserved = tap.reserve(2)
    (frame,) = card.receive(0, frames(1, seed=7))
    assert tap.submit([reserved[0]._replace(len=60)]) == 1
    card.remove()
    stage.cards.remove(card)
    assert stage.core.live().mappings == 0
    assert tap.submit([reserved[1]._replace(len=60)]) == -errno.ENODEV
    (desc,) = tap.read(4)
    assert tap.peek(desc.offset, 60) == stage.core.frame_bytes(60, 7)
    assert desc.offset % 2048 == HEADROOM
    stage.card()  # another of the same name
    assert tap.submit([reserved[1]._replace(len=60)]) == -errno.ENODEV
    assert tap.release([frame.handle, reserved[1].handle]) == 2
    assert tap.stats().tx_failed == 1
    card.check()
    stage.close(tap)
    stage.core.settle()
    card.free()


def test_names_and_indices_find_the_port(stage: Stage) -> None:
    stage.card()
    stage.tap(name=b"", ifindex=2)
    for wrong in ({"name": b"eth0"}, {"name": b"", "ifindex": 3}, {"name": b"tap"}):
        with pytest.raises(OSError) as refused:
            stage.tap(**wrong)
        assert refused.value.errno == errno.ENODEV


@pytest.mark.parametrize(
    "bad",
    [
        {"queues": 2},
        {"queues": 1 << 63},
        {"ring_size": 3},
        {"ring_size": 1 << 17},
        {"desc_size": 8},
    ],
)
def test_attach_refuses_and_changes_nothing(stage: Stage, bad: dict[str, Any]) -> None:
    """Cases 38, 42: the same file can still attach properly."""
    stage.card()
    tap = stage.core.tap()
    stage.taps.append(tap)
    with pytest.raises(OSError) as refused:
        tap.attach(**bad)
    assert refused.value.errno == errno.EINVAL
    tap.attach()


def test_info_tells_what_there_is(stage: Stage) -> None:
    card = stage.card(n_queues=2, n_bufs=16 + 64)
    stage.tap()
    info = card.info()
    assert (info.n_queues, info.buf_size, info.n_bufs, info.n_taps) == (2, 2048, 80, 1)
    assert (info.headroom, info.frame_max, info.flags) == (HEADROOM, 1514, 3)
    assert 80 * (2048 + 64) <= info.pool_bytes <= 80 * (2048 + 80) + 4096
