# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's steps, first part: cards come, change and go; what the other parts share."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.unit.core import harness
from tests.unit.core.harness import BATCH, HANDLE_INDEX, HEADROOM, Frame
from tests.unit.core.state import ModelCard, ModelTap, buf_size_for
from tests.unit.core.world import Interrupt, World

LENGTHS = [1, 13, 14, 59, 60, 61, 64, 128, 1499, 1514, 1518, 1526]

which = st.integers(0, 5)
"""Which of the things that are there: taken modulo their number."""
some_picks = st.lists(st.integers(0, 999), min_size=1, max_size=10)
"""The same, of several."""
an_interrupt = st.none() | st.tuples(
    st.integers(1, 4), st.integers(0, 3), st.integers(0, 6), st.integers(0, 12), st.integers(0, 99)
)
"""Unlocks before it comes, queue, transmits that end, frames that come, their kind."""


class Cards(World, RuleBasedStateMachine):
    """Cards come, go down and up, change, and go."""

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        World.__init__(self)
        self.config: list[dict[str, Any]] = []  # how each card was made

    # ---- small things ----

    def _card(self, pick: int, fits: Callable[[ModelCard], bool] = lambda card: True) -> ModelCard:
        cards = [card for card in self.live if fits(card)]
        return cards[pick % len(cards)]

    def _tap(self, pick: int) -> ModelTap:
        return self.taps[pick % len(self.taps)]

    def _busy_tap(self, pick: int) -> ModelTap:
        """A tap that holds something, if one does."""
        busy = [tap for tap in self.taps if tap.held or tap.reserved] or self.taps
        return busy[pick % len(busy)]

    def _on(self, card: ModelCard) -> list[ModelTap]:
        return [tap for tap in self.taps if tap.card is card]

    def _frames(self, n: int, salt: int, card: ModelCard) -> list[Frame]:
        out = []
        for pick in range(salt, salt + n):
            self.seed += 1
            choices = [*(n for n in LENGTHS if n <= card.frame_max + 8), card.frame_max + 8]
            length = choices[pick % len(choices)]
            vlan = pick % 5 == 0 and length >= 14
            hashed = bool(pick % 4)
            out.append(
                Frame(
                    seed=self.seed,
                    len=length,
                    hash=self.seed * 7 if hashed else 0,
                    vlan_tci=pick if vlan else 0,
                    flags=(harness.VLAN if vlan else 0) | (2 if pick % 3 else 0),
                    hash_type=int(hashed),
                )
            )
        return out

    def _check_bytes(self, tap: ModelTap, handle: int) -> None:
        """A held frame is what the card wrote, at its place in the mapping."""
        frame, _ = tap.held[handle]
        offset = (handle & HANDLE_INDEX) * tap.buf_size + HEADROOM
        assert tap.tap.peek(offset, frame.len) == self.frame_data(frame)

    def _arm(self, irq: Any, pick: int) -> Interrupt:
        """Arm an interrupt for the next call."""
        if irq is None or not any(card.up for card in self.live):
            return Interrupt(self, None, (0, 0, 0), [])
        card = self._card(pick, lambda card: card.up)
        unlocks, queue, complete, n, salt = irq
        frames = self._frames(n, salt, card)
        return Interrupt(self, card, (unlocks, queue % card.n_queues, complete), frames)

    # ---- cards ----

    def _plug(self, number: int) -> None:
        config = self.config[number]
        queues = config["n_queues"]
        card = ModelCard(
            self.core.card(**config), number, queues, config["rx_ring"], config["tx_ring"]
        )
        card.slots = queues * card.rx_ring
        card.sending = [[] for _ in range(queues)]
        card.full = [False] * queues
        card.behind = [False] * queues
        card.turn = [0] * queues
        card.taken, card.done = [0] * queues, [0] * queues
        card.order = {queue: [] for queue in range(queues)}
        self.cards.append(card)
        self.live[number:] = [card, *self.live[number + 1 :]]

    def _bring_up(self, card: ModelCard) -> None:
        card.slots = card.n_queues * card.rx_ring
        assert card.card.up() == 0
        card.up = True
        card.full = [False] * len(card.full)

    @precondition(lambda self: any(not card.gone and not card.up for card in self.live))
    @rule(pick=which, fail=st.sampled_from([False, False, True]))
    def up(self, pick: int, fail: bool) -> None:
        card = self._card(pick, lambda card: not card.gone and not card.up)
        if not fail:
            self._bring_up(card)
            return
        card.slots = card.n_queues * card.rx_ring
        card.card.fail_start(-errno.EIO)
        assert card.card.up() == -errno.EIO
        card.card.fail_start(0)

    def down(self, card: ModelCard) -> None:
        """Case 90: taps stay attached; what the card had to send comes back."""
        card.card.down()
        card.up = False
        self.stopped(card)

    def unplug(self, card: ModelCard) -> None:
        """Cases 56, 85: the card goes, with everything outstanding."""
        card.card.remove()
        card.gone, card.up = True, False
        card.order = {queue: [] for queue in card.order}
        self.stopped(card)

    def _restarted(self, card: ModelCard) -> None:
        """The card went down and up again, if it was up."""
        if card.up:
            self.stopped(card)
            card.slots = card.n_queues * card.rx_ring

    @precondition(lambda self: any(card.gone for card in self.live) and len(self.cards) < 4)
    @rule(pick=which)
    def replug(self, pick: int) -> None:
        """Case 57: a card of the same name; the old files stay with the old one."""
        number = self._card(pick, lambda card: card.gone).number
        self._plug(number)
        self._bring_up(self.live[number])

    def change_mtu(self, card: ModelCard, frame_max: int) -> None:
        """Case 90."""
        need, taps = buf_size_for(frame_max), self._on(card)
        if need > 16384 or (card.buf_size and card.buf_size < need):
            expect = -errno.EINVAL
        elif taps and taps[0].buf_size < need:
            expect = -errno.EBUSY
        else:
            expect = 0
        assert card.card.set_frame(frame_max) == expect
        if not expect:
            self._restarted(card)
            card.frame_max = frame_max

    def configure(self, card: ModelCard, buf_size: int, n_bufs: int) -> None:
        least = card.slots + BATCH
        sizes = [n for n in (2048, 4096, 8192, 16384) if n >= buf_size_for(card.frame_max)]
        bad_size = buf_size and buf_size not in sizes
        if bad_size or (n_bufs and (n_bufs < least or n_bufs > 1 << 19)):
            expect = -errno.EINVAL
        elif self._on(card):
            expect = -errno.EBUSY
        else:
            expect = 0
        n_bufs = n_bufs or least  # not the default: that is thousands
        assert card.card.configure(buf_size, n_bufs) == expect
        if not expect:
            card.buf_size = buf_size
            self.stopped(card)
            if card.up:
                assert card.card.pool_size() >= n_bufs

    def change_queues(self, card: ModelCard, pick: int) -> None:
        """Case 90."""
        n = 1 + pick % self.config[card.number]["n_queues"]
        used = any(target.card is card for tap in self.taps for target in tap.targets)
        expect = -errno.EBUSY if used and n != card.n_queues else 0
        assert card.card.set_queues(n) == expect
        if card.up:
            self.stopped(card)
        if not expect:
            card.n_queues = n
        if card.up:
            card.slots = card.n_queues * card.rx_ring

    def change_ring(self, card: ModelCard, n: int) -> None:
        """Taps keep the pool as it is: rings that it cannot fill are refused."""
        fits = not self._on(card) or card.card.pool_size() >= card.n_queues * n + BATCH
        assert card.card.set_ring(n) == (0 if fits else -errno.EBUSY)
        card.rx_ring = n if fits else card.rx_ring
        self._restarted(card)

    def change_policy(self, card: ModelCard, choice: int) -> None:
        quota, most = [0, 3, 1000][choice % 3], [0, 2, 70][choice // 3 % 3]
        card.card.policy(quota=quota, quota_max=most)
        card.quota, card.quota_max = quota, most

    def look(self, card: ModelCard) -> None:
        """Statistics, which look at the release rings first."""
        card.card.stats()
        for tap in self._on(card):
            self.settle_release(tap)
            assert not any(chan.given_back for chan in tap.chans.values())
            assert tap.tap.stats().held == len(tap.held)
