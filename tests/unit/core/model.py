# SPDX-License-Identifier: GPL-2.0-or-later
"""A model of the core in plain Python, and the machine that holds the core against it.

The model knows what each tap must have received, lost, hold and have sent, through both doors:
system calls and rings. After every step the machine compares; the C side (``card_check``) walks
every pool, so that a buffer in two places, or in none, is seen at once. The steps are in
cards.py, receiving.py and sending.py; here is how it begins, what is rare, and what must hold.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from tests.unit.core import harness
from tests.unit.core.cards import which
from tests.unit.core.harness import BATCH, MASK32
from tests.unit.core.sending import Sending

JUMBO = 9018
SPOILERS = [0, 1, -1, 8, 64, 1 << 31, MASK32]  # added to an index by a hostile program


class CoreMachine(Sending):
    """Taps come, read, hold, forward, send and die, while frames arrive and cards come and go."""

    @initialize(
        n_queues=st.tuples(st.integers(1, 3), st.integers(1, 2)),
        rx_ring=st.sampled_from([4, 24, 60]),
        tx_ring=st.sampled_from([2, 5, 16]),
        bounces=st.tuples(st.booleans(), st.booleans()),
        order=st.sampled_from([0, 1, 3, 10]),
        max_mapping=st.sampled_from([0, 16384, 65536]),
        taps=st.lists(
            st.tuples(st.sampled_from([1, 8, 64]), st.sampled_from([0, 5, 40]), st.booleans()),
            min_size=1,
            max_size=4,
        ),
    )
    def boot(
        self,
        n_queues: tuple[int, int],
        rx_ring: int,
        tx_ring: int,
        bounces: tuple[bool, bool],
        order: int,
        max_mapping: int,
        taps: list[tuple[int, int, bool]],
    ) -> None:
        self.core.limit_order(max(order, 2))  # a jumbo buffer is 4 pages
        for number in range(2):
            # the first may map less at once: what is mapped for both is cut for its own card
            config = {"n_queues": n_queues[number], "rx_ring": rx_ring, "tx_ring": tx_ring}
            config |= {"n_bufs": n_queues[number] * rx_ring + BATCH, "bounces": bounces[number]}
            self.config.append(config | {"max_mapping": max_mapping, "number": number})
            self._plug(number)
            self._bring_up(self.live[number])
        for number, (ring, quota, rings) in enumerate(taps):
            self.attach(number % 4 // 3, 0, ring, quota, promisc=False, fanout=0, first=-1)
            self.tx_setup(number, 16, 0, rings=rings)
        if self.taps and len(taps) > 1:
            self.add_target(0, 1)

    @rule(what=st.integers(0, 18), choice=st.integers(0, 99), pick=which)
    def upset(self, what: int, choice: int, pick: int) -> None:
        """What is rare: together one rule, so that traffic is not."""
        card = self._card(pick)
        queue = choice % card.n_queues
        if what < 2:
            self.core.settle()
        elif what < 4 and self.taps:
            self.attach_again(choice)
        elif what < 6 and self.taps:
            n_bufs, size = [1, 3, 16, 1 << 21][choice % 4], [0, 1024, 2048, 4096, 5000][choice % 5]
            self.tx_setup(choice, n_bufs, size, rings=bool(choice % 2))
        elif what == 6 and not card.gone:
            self.change_queues(card, choice)
        elif what == 7 and not card.gone:
            self.change_mtu(card, [1514, 1518, 4000, JUMBO, 20000][choice % 5])
        elif what == 8 and not card.gone:
            sizes, numbers = [0, 1, 2048, 3000, 4096, 16384, 32768], [0, 1, 80, 200, 1 << 20]
            self.configure(card, sizes[choice % 7], numbers[choice % 5])
        elif what < 11 and card.up:
            self.down(card)
        elif what < 13 and card.up:
            card.card.refill(queue)
        elif what == 13 and card.up:
            card.card.reject(queue, choice)  # bad frames: no tap hears of them
        elif what == 14 and not card.gone and choice % 4 == 0:
            self.unplug(card)
        elif what == 15:
            at_most = [0, 1, 3, 1 << 30, 1 << 30][choice % 5]
            card.take_at_most, card.completes = at_most, choice // 5
            card.card.limit_transmit(at_most, choice // 5)
        elif what == 16 and not card.gone:
            self.change_policy(card, choice)
        elif what == 17 and card.up:
            self.change_ring(card, [4, 24, 60, 100][choice % 4])
        elif what == 18 and not card.gone:
            self.look(card)

    @precondition(lambda self: self.taps)
    @rule(pick=which, what=st.integers(0, 9), by=st.sampled_from(SPOILERS), at=st.integers(0, 63))
    def scribble(self, pick: int, what: int, by: int, at: int) -> None:
        """A hostile program writes to all that it can: it spoils its own rings only."""
        tap = self._tap(pick)
        chan = [*tap.chans.values()][at % len(tap.chans)]
        ffi = self.core.ffi
        rx, back = chan.rings.rx, chan.rings.back
        rings: list[tuple[Any, str]] = [(rx, "cons"), (rx, "prod"), (back, "prod"), (back, "cons")]
        if tap.door is not None:
            tx, free = tap.door.rings.tx, tap.door.rings.free
            rings += [(tx, "prod"), (tx, "cons"), (free, "prod"), (free, "cons")]
        if what < 8:
            ring, index = rings[what % len(rings)]
            setattr(ring, index, (getattr(ring, index) + by) & MASK32)
        elif what == 8:
            place = at % chan.size
            ffi.memmove(chan.rings.descs + place, b"\xa5" * 32, 32)
            chan.slots[place] = None
        else:
            chan.rings.handles[at % chan.rings.release_size] = by & MASK32

    # ---- what must always hold ----

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        """One: several would run in the order of their names."""
        self.settle_all()
        self.sent_as_expected()
        self.every_buffer_is_in_one_place()
        self.taps_hold_what_they_should()
        self.who_is_waited_for_is_asked()
        self.counters_tell_the_truth()

    def every_buffer_is_in_one_place(self) -> None:
        for card in self.cards:
            card.card.check()

    def taps_hold_what_they_should(self) -> None:
        for tap in self.taps:
            assert tap.tap.marks() == set(tap.held)
            assert tap.tap.marks(tx=True) == set(tap.reserved)
            assert all(tap.held_on(q) <= tap.got.quota for q in tap.chans)
            assert tap.tap.readable() == tap.readable
            assert tap.tap.drained() == (not tap.in_flight)
            self.door_is_as_expected(tap)

    def who_is_waited_for_is_asked(self) -> None:
        """While the pool cannot fill the card's ring, release rings ask for a KICK."""
        for card in self.live:
            hungry = any(card.card.queue(q).wanted for q in range(card.n_queues))
            for tap in self._on(card) if card.up and hungry else []:
                assert all(chan.rings.asks() for chan in tap.chans.values())

    def counters_tell_the_truth(self) -> None:
        for tap in self.taps:
            stats = tap.tap.counters()
            names = "received received_bytes lost_ring lost_quota lost_pool filtered bad_release"
            total = {name: tap.total(name) for name in names.split()}
            total |= {
                "waiting": tap.total("waiting"),
                "held": len(tap.held),
                "released": total["received"] - len(tap.held),
                "tx_reserved": len(tap.reserved),
                "tx_submitted": tap.submitted,
                "tx_forwarded": tap.forwarded,
                "tx_completed": tap.completed,
                "tx_failed": tap.failed,
                "tx_in_flight": tap.in_flight,
                "tx_free": tap.tx_size - tap.in_flight - len(tap.reserved),
                "bad_submit": tap.door.bad_submit if tap.door is not None else 0,
            }
            assert {name: getattr(stats, name) for name in total} == total
        for card in self.live:
            if not card.gone:
                assert card.card.promiscuity() == sum(tap.promisc for tap in self._on(card))
                full = [card.card.queue(queue).tx_full for queue in range(card.n_queues)]
                assert full == card.full[: card.n_queues]

    def teardown(self) -> None:
        """Close everything: nothing may remain."""
        try:
            if self.cards and not self.core.broken():
                self._end()
        finally:
            self.core.reset()

    def _end(self) -> None:
        for tap in self.taps:
            for handle in tap.held:
                self._check_bytes(tap, handle)
        while self.taps:
            tap = self.taps.pop(len(self.taps) // 2)
            tap.tap.close()
            self.every_buffer_is_in_one_place()
        self.core.settle()
        for card in self.live:
            if not card.gone:
                self.unplug(card)
        self.core.settle()
        for card in self.cards:
            card.card.free()
        assert self.core.live() == harness.NOTHING
