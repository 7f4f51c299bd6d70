# SPDX-License-Identifier: GPL-2.0-or-later
"""Several taps of one card, and what one may cost the others: the hostile cases by example."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from tests.unit.core.harness import HEADROOM, Desc
from tests.unit.core.stage import Stage, frames, pump


def test_64_readers_of_one_packet_free_it_once(stage: Stage) -> None:
    """Hostile case 61; and the 65th tap on a queue is refused."""
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


def test_buffers_that_several_held_serve_one_alone_afterwards(stage: Stage) -> None:
    """Given back through rings: there the last of several can't know that it is the last."""
    card = stage.card(n_bufs=64)
    taps = [stage.tap()]
    for together in (True, False, True, False):
        if together:
            taps.append(stage.tap())
        else:
            stage.close(taps.pop())
        rings = [tap.rx_rings(0) for tap in taps]
        for _ in range(16):  # every buffer, more than once
            card.receive(0, frames(8))
            card.refill(0)
            for ring in rings:
                ring.release([desc.handle for desc in ring.take(64)])
        assert all(tap.poll() >= 0 for tap in taps)  # a look at the release rings
        assert card.stats().pool_held == 0
        card.check()


def test_a_slow_reader_loses_its_own_frames_only(stage: Stage) -> None:
    """Hostile case 62."""
    card = stage.card()
    slow, quick = stage.tap(ring_size=8), stage.tap()
    for _ in range(20):
        card.receive(0, frames(8))
        card.refill(0)
        assert quick.release([desc.handle for desc in quick.read(64)]) == 8
    assert quick.stats().received == 160
    assert (slow.stats().received, slow.stats().lost_ring) == (8, 152)


def test_a_hoarder_of_one_queue_leaves_others_their_share(stage: Stage) -> None:
    """Hostile case 63, with the default quota."""
    card = stage.card(n_bufs=8 + 256)
    hoarder, other = stage.tap(), stage.tap()
    pump(card, 0, 400)
    other.release([desc.handle for desc in other.read(64)])
    got = other.stats().received
    pump(card, 0, 8)
    assert hoarder.stats().lost_quota > 0
    assert other.stats().received == got + 8


def test_a_hoarder_of_all_queues_leaves_others_their_share(stage: Stage) -> None:
    """Hostile case 63, with the default quota."""
    card = stage.card(n_queues=4, n_bufs=32 + 512)
    hoarder, other = stage.tap(), stage.tap(queues=1)
    for queue in (1, 2, 3):
        pump(card, queue, 400)
    pump(card, 0, 8)
    assert hoarder.stats().lost_quota > 0
    assert other.stats().received == 8


def test_a_chosen_pool_that_the_rings_outgrew_still_delivers(stage: Stage) -> None:
    """Hostile case 90: PORT_CONFIG for two queues of four, then all four (ethtool -L)."""
    card = stage.card(n_queues=4, rx_ring=64, n_bufs=4 * 64 + 64)
    assert card.set_queues(2) == 0
    assert card.configure(0, 2 * 64 + 64) == 0
    assert card.set_queues(4) == 0
    tap = stage.tap()
    for queue in range(4):
        card.receive(queue, frames(4))
        card.refill(queue)
    assert tap.stats().received > 0


def test_rings_that_a_pool_in_use_cannot_fill_are_refused(stage: Stage) -> None:
    """Hostile case 90: the card would have every buffer, and no tap a frame any more."""
    card = stage.card(n_queues=1, rx_ring=8, n_bufs=8 + 128)
    tap = stage.tap()
    assert card.set_ring(8 + 128) == -errno.EBUSY
    assert card.set_ring(64) == 0
    card.receive(0, frames(4))
    assert tap.stats().received == 4


def test_a_pool_that_can_never_be_made_is_refused_at_once(stage: Stage) -> None:
    """Hostile case 42: 2**19 buffers of 16 KiB are 8 GiB, and offsets have 32 bits."""
    card = stage.card()
    card.down()
    assert card.configure(16384, 1 << 19) == -errno.EINVAL


def test_a_refused_forward_does_not_stretch_the_quota(stage: Stage) -> None:
    """Hostile case 63: the poll comes between the taking of the frames and the card's refusal."""
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


def test_frames_that_come_while_a_tap_attaches_are_its_own_or_nobodys(stage: Stage) -> None:
    """The poll comes wherever the call can be interrupted."""
    card = stage.card()
    came = 0
    for unlocks in range(1, 9):
        tap = stage.core.tap()
        card.arm(unlocks, 0, 0, frames(2, seed=unlocks))
        tap.attach()
        came += card.disarm() is not None
        handles = [desc.handle for desc in tap.read(8)]
        assert tap.stats().held == len(handles)
        if handles:
            assert tap.release(handles) == len(handles)
        tap.close()
        card.check()
    assert came


def test_a_tap_that_cannot_attach_gives_back_what_it_got_meanwhile(stage: Stage) -> None:
    """The first queue delivers, the second is full."""
    card = stage.card(n_queues=2)
    for _ in range(64):
        stage.tap(queues=2)
    came = 0
    for unlocks in range(1, 9):
        tap = stage.core.tap()
        card.arm(unlocks, 0, 0, frames(2, seed=unlocks))
        with pytest.raises(OSError) as refused:
            tap.attach()
        assert refused.value.errno == errno.EBUSY
        came += card.disarm() is not None
        card.check()
        assert card.stats().pool_held == 0
        tap.close()
    assert came


def test_a_forwarded_frame_outlives_its_holders(stage: Stage) -> None:
    """Hostile case 28: in flight, held by nobody; then free."""
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
    """Hostile case 52: killed while holding and sending."""
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
    """Hostile case 70."""
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
    """Hostile cases 64, 67: the last frames go to the card, and its ring fills again."""
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
    """Hostile cases 56, 57: what is held stays readable; sending says ENODEV for ever."""
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


def test_nothing_comes_after_the_end_was_told(stage: Stage) -> None:
    """Hostile case 57: a card may receive until its interface is down, which is later."""
    card = stage.card()
    tap = stage.tap()
    card.receive(0, frames(2))
    card.detach()
    card.receive(0, frames(3, seed=2))
    assert len(tap.read(8)) == 2
    card.receive(0, frames(3, seed=5))
    assert tap.read_some(8) == -errno.ENODEV
    assert tap.stats().received == 2
    card.remove()
    stage.cards.remove(card)
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
    """Hostile cases 38, 42: the same file can still attach properly."""
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


def test_a_tap_is_counted_once_it_gets_frames(stage: Stage) -> None:
    """Somebody who sends when it is would lose them; the pool is its own from the start."""
    card = stage.card(n_queues=4)
    tap = stage.core.tap()
    stage.taps.append(tap)

    waits = iter(range(100))

    def look() -> tuple[int, int] | None:
        # the tap's own memory comes first; later ones are waited for with a lock
        return (card.info().n_taps, card.configure(4096, 0)) if next(waits) < 3 else None

    with stage.core.beside(look) as came:
        tap.attach()
    assert came[:3] == [(0, -errno.EBUSY)] * 3
    assert card.info().n_taps == 1
    card.receive(0, frames(1))
    assert tap.stats().received == 1
    stage.close(tap)
    assert card.info().n_taps == 0
    assert card.configure(4096, 0) == 0


def test_what_the_card_missed_is_told_as_long_as_there_is_a_card(stage: Stage) -> None:
    """A tap is told of what came after it, by both calls; and not below zero once it is gone."""
    card = stage.card()
    early = stage.tap()
    arrived = card.receive(0, frames(60))
    first = 60 - len(arrived)
    assert first > 0
    late = stage.tap()
    missed = 60 - len(card.receive(0, frames(60)))
    assert (early.stats().missed, late.stats().missed) == (first + missed, missed)
    assert (early.info(0).stats.missed, early.info(1).stats.missed) == (first + missed, missed)
    card.remove()
    stage.cards.remove(card)
    assert (early.stats().missed, late.stats().missed) == (0, 0)
    stage.close(early)
    stage.close(late)
    stage.core.settle()
    card.free()
