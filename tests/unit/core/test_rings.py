# SPDX-License-Identifier: GPL-2.0-or-later
"""The second door: mapped rings in place of read(), write(), TX_RESERVE and TX_SUBMIT."""

from __future__ import annotations

import errno
import select

import pytest

from tests.unit.core import harness
from tests.unit.core.harness import (
    HEADROOM,
    MASK32,
    RX_RINGS,
    RX_RINGS_STEP,
    TX_RINGS,
    Desc,
    RxRings,
    TxRings,
)
from tests.unit.core.stage import Stage, frames, pump


def sender(
    stage: Stage, *, n_bufs: int = 4, tx_ring: int = 8
) -> tuple[harness.Card, harness.Tap, TxRings]:
    card = stage.card(tx_ring=tx_ring)
    tap = stage.tap()
    tap.tx_setup(n_bufs=n_bufs, flags=1)
    return card, tap, tap.tx_rings()


def flood(stage: Stage) -> tuple[harness.Card, harness.Tap, TxRings]:
    """A tap that has eight times as many frames to send as the card has room for."""
    card, tap, rings = sender(stage, n_bufs=16, tx_ring=2)
    rings.send(filled(tap, rings, 16))
    assert tap.kick() == 0
    return card, tap, rings


def rival(stage: Stage) -> tuple[harness.Tap, TxRings]:
    """Another tap, two frames of which find the card full."""
    tap = stage.tap()
    tap.tx_setup(n_bufs=2, flags=1)
    rings = tap.tx_rings()
    rings.send(filled(tap, rings, 2))
    assert tap.kick() == 0
    return tap, rings


def filled(tap: harness.Tap, rings: TxRings, n: int, length: int = 60) -> list[Desc]:
    descs = [desc._replace(len=length) for desc in rings.take(n)]
    for i, desc in enumerate(descs):
        tap.poke(desc.offset, bytes([i + 1]) * length)
    return descs


# ---- receive and release ----


def test_a_frame_may_come_through_one_door_and_go_through_the_other(stage: Stage) -> None:
    card = stage.card()
    tap = stage.tap()
    rings = tap.rx_rings(0)
    card.receive(0, frames(4))
    by_ring, by_call = rings.take(2), tap.read(8)
    assert len(by_ring) == len(by_call) == 2
    assert tap.release([desc.handle for desc in by_ring]) == 2
    rings.release([desc.handle for desc in by_call])
    assert tap.kick() == 0
    assert (tap.stats().held, tap.stats().released, tap.stats().bad_release) == (0, 4, 0)


def test_frames_given_back_before_they_were_told_of_are_not_held(stage: Stage) -> None:
    """A program that looks at the entries, not at the index, is as quick as that."""
    card = stage.card()
    tap = stage.tap()
    card.receive(0, frames(4))
    assert tap.release([desc.handle for desc in tap.read(4)]) == 4
    with tap.untold(0, 1):
        assert (tap.stats().held, tap.stats().released) == (0, 4)


def test_what_was_given_back_feeds_the_card_without_a_call(stage: Stage) -> None:
    card = stage.card(n_bufs=8 + 64)
    tap = stage.tap(quota=64)
    rings = tap.rx_rings(0)
    seen = set[int]()
    for seed in range(0, 4000, 8):
        got = card.receive(0, frames(8, seed=seed))
        card.refill(0)
        descs = rings.take(64)
        assert [desc.handle for desc in descs] == [frame.handle for frame in got]
        assert not rings.release([desc.handle for desc in descs]), "nobody needs a KICK"
        assert not seen & {desc.handle for desc in descs}, "a handle names one use of a buffer"
        seen |= {desc.handle for desc in descs}
    assert tap.stats().received == 4000


def test_frames_given_back_to_an_idle_queue_are_found_before_others_are_lost(stage: Stage) -> None:
    """A poll that runs out of buffers looks at the release rings of all queues."""
    card = stage.card(n_queues=2, n_bufs=16 + 64)
    first, second = stage.tap(queues=1, quota=80), stage.tap(queues=2, quota=80)
    pump(card, 1, 64)
    handles = [desc.handle for desc in second.read(64)]
    second.rx_rings(1).release(handles)
    pump(card, 0, 48)
    assert first.stats().received == 48
    assert first.stats().lost_pool == 0


def test_frames_that_an_idle_queue_took_back_are_there_for_the_others(stage: Stage) -> None:
    """In a small pool it keeps none for its own next refill, which may be long in coming."""
    card = stage.card(n_queues=2, n_bufs=16 + 64)
    first, second = stage.tap(queues=1, quota=80), stage.tap(queues=2, quota=80)
    pump(card, 1, 64)
    second.rx_rings(1).release([desc.handle for desc in second.read(64)])
    card.receive(1, frames(1))
    pump(card, 0, 48)
    assert first.stats().received == 48
    assert first.stats().lost_pool == 0


def test_only_frames_of_the_queue_can_go_through_its_release_ring(stage: Stage) -> None:
    card = stage.card(n_queues=2)
    tap = stage.tap()
    card.receive(0, frames(1))
    card.receive(1, frames(1))
    zero, one = sorted(tap.read(2), key=lambda desc: desc.queue)
    tap.rx_rings(0).release([one.handle, zero.handle])
    assert tap.kick() == 0
    assert tap.marks() == {one.handle}
    assert tap.stats().bad_release == 1


@pytest.mark.parametrize("handle", [0xFFFFFFFF, 0, 0x80000000, 0x000FFFFF, 0x7FF00000])
def test_rubbish_in_the_release_ring_is_counted_and_ignored(stage: Stage, handle: int) -> None:
    """Hostile case rings."""
    card = stage.card()
    hostile, other = stage.tap(), stage.tap()
    card.receive(0, frames(2))
    held = [desc.handle for desc in hostile.read(2)]
    for stale in (handle, held[0] + (1 << 20), held[0] ^ 0x40000000):
        hostile.rx_rings(0).release([stale])
    hostile.kick()
    bad = hostile.stats().bad_release
    assert bad == (3 if handle != held[0] else 2)
    assert hostile.marks() == set(held) - {handle}
    assert len(other.marks()) == 2


@pytest.mark.parametrize("held", [1, 1000])
def test_rubbish_in_a_long_release_ring_is_not_others_work(stage: Stage, held: int) -> None:
    """Hostile case rings: each look at it ends soon; what is good behind it comes back later."""
    card = stage.card(n_bufs=4096)
    tap = stage.tap(quota=1024)
    rings = tap.rx_rings(0)
    for n in range(held):
        card.receive(0, frames(1, seed=n))
        card.refill(0)
        (good,) = tap.read(1)
    size = rings.release_size
    rings.release([*[MASK32] * (size - 1), good.handle])
    assert size == 1024
    looks = 0
    ways = (lambda: pump(card, 0, 1), card.stats, tap.kick, tap.stats)
    while rings.back.cons < size:
        before = rings.back.cons
        ways[looks % len(ways)]()
        assert before < rings.back.cons <= before + 2 * 64
        looks += 1
    assert looks >= size / (2 * 64)
    assert tap.stats().bad_release == size - 1
    assert good.handle not in tap.marks()


def test_a_frame_given_back_twice_is_given_back_once(stage: Stage) -> None:
    card = stage.card()
    tap, other = stage.tap(), stage.tap()
    card.receive(0, frames(1))
    (desc,) = tap.read(1)
    tap.rx_rings(0).release([desc.handle] * 5)
    tap.kick()
    assert tap.stats().bad_release == 4
    assert other.marks() == {desc.handle}, "the other's reference is untouched"


@pytest.mark.parametrize("by", [65, 4096, 1 << 31, -1, -4096])
def test_a_spoiled_release_index_costs_nobody_anything(stage: Stage, by: int) -> None:
    """Hostile case rings."""
    card = stage.card()
    tap = stage.tap(quota=64)
    rings = tap.rx_rings(0)
    card.receive(0, frames(4))
    held = tap.marks()
    rings.back.prod = by & MASK32
    tap.kick()
    card.check()
    assert tap.marks() == held
    assert tap.stats().bad_release == 1
    assert rings.back.cons == by & MASK32, "the ring can be used again from there"
    rings.release([*held])
    tap.kick()
    assert not tap.marks()


@pytest.mark.parametrize("by", [1, 9, -1, 1 << 31])
def test_a_spoiled_read_index_loses_the_taps_own_frames_only(stage: Stage, by: int) -> None:
    """Hostile case rings."""
    card = stage.card()
    tap, other = stage.tap(ring_size=8), stage.tap()
    rings = tap.rx_rings(0)
    rings.rx.cons = by & MASK32
    card.receive(0, frames(4))
    card.check()
    assert tap.stats().received + tap.stats().lost_ring == 4
    assert len(other.read(8)) == 4
    assert tap.counters().waiting <= 8
    assert len(tap.read(64)) <= 8
    card.check()
    rings.rx.cons = rings.rx.prod  # it finds its place again
    card.refill(0)
    card.receive(0, frames(2))
    assert len(rings.take(8)) == 2


def test_the_kernels_own_index_is_not_read_back(stage: Stage) -> None:
    card = stage.card()
    tap = stage.tap()
    rings = tap.rx_rings(0)
    card.receive(0, frames(2))
    rings.rx.prod, rings.back.cons = 12345, 54321
    assert len(tap.read(8)) == 2
    card.receive(0, frames(1))
    assert rings.rx.prod == 3
    tap.release([*tap.marks()])
    assert tap.stats().held == 0


def test_who_gives_frames_back_is_asked_for_a_kick_while_the_card_starves(stage: Stage) -> None:
    card = stage.card(rx_ring=8, n_bufs=8 + 128)
    tap = stage.tap(quota=128)
    rings = tap.rx_rings(0)
    pump(card, 0, 128)
    held = [desc.handle for desc in tap.read(128)]
    assert not rings.asks()
    assert card.set_ring(72) == 0, "longer than there are buffers left for"
    assert card.queue(0).posted < 72
    assert rings.asks()
    late = stage.tap(quota=8)
    assert late.rx_rings(0).asks(), "also who comes later"
    assert rings.release(held)
    assert not card.queue(0).refill_asked
    assert tap.kick() == 0
    assert card.queue(0).refill_asked
    card.refill(0)
    assert card.queue(0).posted == 72
    assert not rings.asks()


def test_hunger_finds_what_was_given_back_before_it_asked(stage: Stage) -> None:
    card = stage.card(rx_ring=8, n_bufs=8 + 128)
    tap = stage.tap(quota=128)
    rings = tap.rx_rings(0)
    pump(card, 0, 128)
    rings.release([desc.handle for desc in tap.read(128)])
    assert card.set_ring(72) == 0
    assert tap.counters().held == 0, "looked at when the refill came up short"
    card.refill(0)
    assert card.queue(0).posted == 72


def test_rings_are_mapped_whole_where_they_should_be(stage: Stage) -> None:
    stage.card(n_queues=2)
    tap = stage.tap(queues=2, ring_size=64, quota=5)
    assert (tap.got.release_size, tap.got.ring_size) == (8, 64)
    assert tap.got.rings_bytes == 4096 + 4096
    RxRings(tap, 1)
    shared = 1 | 2 | 8 | 0x10 | 0x20 | 0x80
    assert tap.mmap(RX_RINGS, 4096, shared)[0] == -errno.EINVAL, "a queue that it has not"
    past = RX_RINGS + RX_RINGS_STEP + tap.got.rings_bytes
    assert tap.mmap(past, 4096, shared)[0] == -errno.EINVAL
    assert tap.mmap(RX_RINGS + 9 * RX_RINGS_STEP, 4096, shared)[0] == -errno.EINVAL
    assert tap.mmap(TX_RINGS, 4096, shared)[0] == -errno.ENOTCONN
    tap.tx_setup(n_bufs=2)
    assert tap.mmap(TX_RINGS, 4096, shared)[0] == -errno.EINVAL, "it did not want any"


@pytest.mark.parametrize("quota", [1, 3, 64, 65])
def test_the_release_ring_takes_all_that_may_be_held(stage: Stage, quota: int) -> None:
    card = stage.card(n_bufs=8 + 128)
    tap = stage.tap(quota=quota)
    pump(card, 0, 128)
    held = [desc.handle for desc in tap.read(128)]
    assert len(held) == quota <= tap.got.release_size
    tap.rx_rings(0).release(held)
    assert tap.stats().held == 0


# ---- transmit ----


def test_all_buffers_are_free_at_first_and_come_back(stage: Stage) -> None:
    card, tap, rings = sender(stage)
    for turn in range(20):
        descs = filled(tap, rings, 4)
        assert len(descs) == 4
        assert {desc.offset % 2048 for desc in descs} == {HEADROOM}
        assert rings.send(descs), "nothing is in flight: KICK"
        assert tap.kick() == 0
        assert not rings.asks(), "the completion will look"
        assert rings.take(4) == []
        card.complete(0, 4, 0, False)
        assert rings.asks()
        assert [sent.data[:1] for sent in card.sent()] == [b"\1", b"\2", b"\3", b"\4"], turn
    assert tap.stats().tx_completed == 80


def test_a_completion_sends_what_came_meanwhile(stage: Stage) -> None:
    card, tap, rings = sender(stage)
    first, *rest = filled(tap, rings, 4)
    assert rings.send([first])
    tap.kick()
    assert not rings.send(rest), "no KICK: the card is at work"
    card.complete(0, 1, 0, False)
    assert card.queue(0).sending == 3
    assert rings.pending() == 0


def test_a_full_card_keeps_the_rest_for_its_completions(stage: Stage) -> None:
    card, tap, rings = sender(stage, tx_ring=2)
    rings.send(filled(tap, rings, 4))
    assert tap.kick() == 0, "want of room is no error"
    assert (card.queue(0).sending, rings.pending()) == (2, 2)
    for left in (1, 0, 0, 0):
        card.complete(0, 1, 0, False)
        assert rings.pending() == left
    assert len(card.sent()) == 4


def test_a_bad_entry_is_counted_and_its_buffer_comes_back(stage: Stage) -> None:
    card, tap, rings = sender(stage, n_bufs=8)
    good, *others = filled(tap, rings, 4)
    bad = [others[0]._replace(hash=1), others[1]._replace(len=2000), Desc(0x80000077, 0, 60)]
    bad += [others[2]._replace(queue=3), good]  # no such target; in flight by then
    rings.send([good, *bad])
    assert tap.kick() == 0
    assert tap.stats().bad_submit == 5
    assert not tap.marks(tx=True) & {desc.handle for desc in others}
    assert len(tap.marks(tx=True)) == 7, "in the free ring again, by other handles"
    assert card.queue(0).sending == 1
    assert len({desc.offset for desc in rings.take(8)}) == 7


def test_frames_that_were_short_enough_until_the_mtu_changed_cost_no_buffer(stage: Stage) -> None:
    card, tap, rings = sender(stage, n_bufs=8)
    card.receive(0, frames(1, length=1500))
    (received,) = tap.read(1)
    long = [desc._replace(len=1500) for desc in rings.take(7)]
    assert card.set_frame(1000) == 0
    rings.send([*long, Desc(received.handle, received.offset, 1500)])
    assert tap.kick() == 0
    assert (tap.stats().bad_submit, tap.stats().held) == (8, 0)
    assert len(rings.take(8)) == 8
    assert card.stats().pool_held == 0


def test_much_that_is_no_frame_is_looked_at_a_part_at_a_time(stage: Stage) -> None:
    """Rings: what a program writes there must not keep the card's poll from others."""
    card, tap, rings = sender(stage, n_bufs=1024)
    good, *_ = filled(tap, rings, 1)
    rings.send([good])
    assert tap.kick() == 0
    rings.send([Desc(0x80000000 + n, 0, 60, hash=1) for n in range(1023)])
    card.complete(0, 1, 0, False)
    assert rings.pending() == 1023 - harness.BATCH
    assert rings.asks(), "for the rest the program has to call"
    assert tap.kick() == 0
    assert (rings.pending(), tap.stats().bad_submit) == (0, 1023)


@pytest.mark.parametrize("by", [5, 100, 1 << 31, -1])
def test_a_spoiled_transmit_index_sends_nothing(stage: Stage, by: int) -> None:
    """Hostile case rings."""
    card, tap, rings = sender(stage)
    descs = filled(tap, rings, 2)
    rings.tx.prod = by & MASK32
    assert tap.kick() == 0
    assert card.queue(0).sending == 0
    assert tap.stats().bad_submit == 1
    assert len(tap.marks(tx=True)) == 4
    rings.send(descs)  # from there on it can be used again
    tap.kick()
    assert card.queue(0).sending == 2


@pytest.mark.parametrize("by", [1, 100, 1 << 31])
def test_a_spoiled_free_index_stops_its_own_supply(stage: Stage, by: int) -> None:
    """Hostile case rings."""
    card, tap, rings = sender(stage)
    descs = filled(tap, rings, 2)
    rings.free.cons = (rings.free.cons + 2 + by) & MASK32
    rings.send(descs)
    tap.kick()
    card.complete(0, 2, 0, False)
    card.check()
    stats = tap.stats()
    assert stats.tx_free + stats.tx_reserved == 4


def test_frames_are_forwarded_through_the_ring(stage: Stage) -> None:
    card, tap, rings = sender(stage)
    card.receive(0, frames(2, seed=5))
    received = tap.read(2)
    rings.send([Desc(d.handle, d.offset, d.len) for d in received])
    tap.kick()
    assert not rings.asks(), "when they are sent, the ring will be looked at"
    card.complete(0, 2, 0, False)
    assert rings.asks()
    assert [sent.data for sent in card.sent()] == [
        stage.core.frame_bytes(60, 5),
        stage.core.frame_bytes(60, 6),
    ]
    assert tap.stats().tx_forwarded == 2


def test_forwarding_goes_on_by_itself_while_frames_are_on_their_way(stage: Stage) -> None:
    card, tap, rings = sender(stage)
    card.receive(0, frames(3, seed=5))
    first, *rest = [Desc(d.handle, d.offset, d.len) for d in tap.read(3)]
    assert tap.submit([first]) == 1, "by the other door"
    assert not rings.asks()
    rings.send(rest)
    assert rings.pending() == 2
    card.complete(0, 1, 0, False)
    assert rings.pending() == 0
    assert not rings.asks()
    card.complete(0, 2, 0, False)
    assert rings.asks()


def test_a_card_that_is_down_says_so_and_keeps_the_entries(stage: Stage) -> None:
    card, tap, rings = sender(stage)
    rings.send(filled(tap, rings, 2))
    card.down()
    assert tap.kick() == -errno.ENETDOWN
    assert rings.pending() == 2
    assert card.up() == 0
    assert tap.kick() == 0
    assert rings.pending() == 0


def test_a_ring_that_found_the_card_full_of_others_goes_on_when_there_is_room(
    stage: Stage,
) -> None:
    """Nothing of its own is in flight whose completion would have the core look again."""
    card, tap, rings = sender(stage, tx_ring=2)
    other = stage.tap()
    other.tx_setup(n_bufs=2)
    assert other.submit([d._replace(len=60) for d in other.reserve(2)]) == 2
    rings.send(filled(tap, rings, 2))
    assert tap.kick() == 0
    assert rings.pending() == 2
    card.complete(0, 2, 0, False)
    assert rings.pending() == 0
    assert card.queue(0).sending == 2


def test_taps_whose_rings_wait_for_one_card_take_turns(stage: Stage) -> None:
    """A flood fills all the room that its own completions make, and was there first."""
    card, _, rings = flood(stage)
    _, theirs = rival(stage)
    assert (card.queue(0).sending, rings.pending(), theirs.pending()) == (2, 14, 2)
    for _ in range(4):
        card.complete(0, 1, 0, False)
    assert rings.pending() > 0
    assert theirs.pending() == 0


def test_the_host_comes_before_the_rings_that_fill_the_card(stage: Stage) -> None:
    card, tap, _ = flood(stage)
    other, _ = rival(stage)
    for _ in range(4):
        card.host_waits()
        card.complete(0, 1, 0, False)
        assert card.host_room() == 1
    assert card.queue(0).sending == 2, "here the host leaves the room to the rings"
    assert tap.stats().tx_in_flight + other.stats().tx_in_flight == 2


def test_a_flood_leaves_room_to_who_sleeps_in_a_call_and_goes_on(stage: Stage) -> None:
    card, _, rings = flood(stage)
    other = stage.tap()
    other.tx_setup(n_bufs=2)
    descs = [d._replace(len=60) for d in other.reserve(2)]
    assert other.submit(descs) == -errno.ENOSPC
    other.sleep_tx()
    card.complete(0, 1, 0, False)
    assert other.woken_tx()
    assert other.submit(descs) == 1
    assert rings.pending() == 14
    # not even somebody who sleeps for ever keeps it waiting
    for _ in range(20):
        other.sleep_tx()
        card.complete(0, 1, 0, False)
    assert rings.pending() == 0


def test_a_flood_goes_on_where_what_has_landed_was_not_counted_yet(stage: Stage) -> None:
    """Nothing else is on its way: nobody would come by a second time."""
    card, tap, rings = flood(stage)
    tap.sleep_tx()
    with card.uncounted(0, 1):
        assert card.complete(0, 2, 0, False) == 2
    assert card.queue(0).sending == 2
    assert rings.pending() == 12


def test_what_its_card_is_not_full_of_the_ring_asks_for(stage: Stage) -> None:
    """Another port's card is full: that one's completions look at others' rings."""
    card, tap, rings = sender(stage)
    there = stage.card(number=1, tx_ring=1)
    assert tap.target(b"tap1") == 1
    away = [d._replace(queue=1) for d in filled(tap, rings, 3)]
    rings.send(away)
    assert tap.kick() == 0
    assert (there.queue(0).sending, rings.pending()) == (1, 2)
    assert rings.asks()
    there.complete(0, 1, 0, False)
    assert tap.kick() == 0
    assert rings.pending() == 1
    card.check()


def test_a_pool_full_of_buffers_is_offered_a_part_at_a_time(stage: Stage) -> None:
    """Whoever needs the lock meanwhile, polls of the card's queues among them, waits for that."""
    card, tap, rings = sender(stage, n_bufs=4096)
    assert len(tap.marks(tx=True)) == 4096, "all at first"
    first, *descs = [desc._replace(len=60) for desc in rings.take(4096)]
    for at in range(0, len(descs), 64):
        tap.release([desc.handle for desc in descs[at : at + 64]])
    assert tap.submit([first]) == 1
    card.complete(0, 1, 0, False)
    assert 0 < len(tap.marks(tx=True)) <= 512
    assert tap.kick() == 0
    assert len(tap.marks(tx=True)) == 4096


def test_closing_with_full_rings_gives_all_back(stage: Stage) -> None:
    card, tap, rings = sender(stage, tx_ring=2)
    rings.send(filled(tap, rings, 4))
    tap.kick()
    stage.close(tap)
    card.complete(0, 2, 0, False)
    stage.core.settle()
    card.check()


def test_poll_says_writable_while_a_free_buffer_waits_in_the_ring(stage: Stage) -> None:
    card, tap, rings = sender(stage, n_bufs=2)
    assert tap.can_send(), "in the free ring"
    descs = filled(tap, rings, 2)
    assert not tap.can_send()
    rings.send(descs)
    tap.kick()
    card.complete(0, 1, 0, False)
    assert tap.can_send()


def test_poll_waits_for_room_in_a_ring_that_will_be_served(stage: Stage) -> None:
    """Who forwards faster than the card sends must not look again and again in vain."""
    card, tap, rings = sender(stage, n_bufs=4)
    card.receive(0, frames(5, seed=5))
    first, *rest = [Desc(d.handle, d.offset, d.len) for d in tap.read(5)]
    assert tap.submit([first]) == 1
    assert not rings.asks()
    rings.send(rest[:3])
    assert tap.can_send()
    rings.send(rest[3:])
    assert rings.pending() == rings.size
    assert not tap.can_send()
    tap.sleep_tx()
    card.complete(0, 1, 0, False)
    assert tap.woken_tx()
    assert rings.pending() == 0
    assert tap.can_send()


def test_poll_says_writable_where_the_program_has_to_kick(stage: Stage) -> None:
    _, tap, rings = sender(stage, n_bufs=4)
    descs = filled(tap, rings, 3)
    rings.send([*descs, descs[0]])
    assert rings.asks()
    assert rings.pending() == rings.size
    assert tap.can_send()


# ---- busy polling ----


def test_a_busy_reader_finds_the_frame_itself(stage: Stage) -> None:
    card = stage.card()
    tap = stage.tap(busy_poll_us=100)
    card.wire(0, frames(3))
    assert len(tap.read(8)) == 3
    assert card.polls(0) == 1
    card.wire(0, frames(1))
    assert tap.poll(select.EPOLLIN) & select.EPOLLIN


def test_who_does_not_wait_does_not_poll_the_card_either(stage: Stage) -> None:
    """poll() of several files, one of which is ready; or with a timeout of 0."""
    card = stage.card()
    tap = stage.tap(busy_poll_us=100)
    card.wire(0, frames(1))
    assert not tap.poll(select.EPOLLIN, waits=False) & select.EPOLLIN
    assert card.polls(0) == 0


def test_a_busy_reader_gives_up_in_time(stage: Stage) -> None:
    card = stage.card()
    tap = stage.tap(busy_poll_us=100)
    card.wire(0, [])
    assert tap.read_some(8) == -errno.EAGAIN
    assert 10 < card.polls(0) <= 100


def test_who_did_not_choose_it_does_not_poll(stage: Stage) -> None:
    card = stage.card()
    tap = stage.tap()
    card.wire(0, frames(3))
    assert tap.read_some(8) == -errno.EAGAIN
    assert card.polls(0) == 0


def test_a_blocking_reader_would_sleep(stage: Stage) -> None:
    card = stage.card()
    tap = stage.tap()
    tap.set_blocking(True)
    assert tap.read_some(8) == -512, "woken by a signal: to be restarted"
    card.receive(0, frames(1))
    assert len(tap.read(8)) == 1
