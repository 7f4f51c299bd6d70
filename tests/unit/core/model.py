# SPDX-License-Identifier: GPL-2.0-or-later
"""A model of the core in plain Python, and the machine that holds the core against it.

The model knows what each tap must have received, lost, hold and have sent, through both doors:
system calls and rings. After every step the machine compares; the C side (``card_check``) walks
every pool, so that a buffer in two places, or in none, is seen at once.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.core import harness
from tests.unit.core.harness import BATCH, HANDLE_INDEX, HANDLE_TX, HEADROOM, MASK32, Desc, Frame
from tests.unit.core.state import (
    BAD_FILTERS,
    EBPF,
    EBPF_OTHER,
    FILTERS,
    ModelCard,
    ModelChan,
    ModelDoor,
    ModelTap,
    Target,
    buf_size_for,
)
from tests.unit.core.world import TX_BATCH, Interrupt, World

MAX_TAPS = 6
LENGTHS = [1, 13, 14, 59, 60, 61, 64, 128, 1499, 1514, 1518, 1526]
JUMBO = 9018
SPOILERS = [0, 1, -1, 8, 64, 1 << 31, MASK32]  # added to an index by a hostile program
RUBBISH = [0, 1, 0xFFFFFFFF, 0x7FFFFFFF, HANDLE_TX, HANDLE_INDEX, 1 << 20, 0x800FFFFF]

# which of the things that are there: taken modulo their number
some_picks = st.lists(st.integers(0, 999), min_size=1, max_size=10)
which = st.integers(0, 5)
# unlocks before it comes, queue, transmits that end, frames that come, their kind
an_interrupt = st.none() | st.tuples(
    st.integers(1, 4), st.integers(0, 3), st.integers(0, 6), st.integers(0, 12), st.integers(0, 99)
)


class CoreMachine(World, RuleBasedStateMachine):
    """Taps come, read, hold, forward, send and die, while frames arrive and cards come and go."""

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        World.__init__(self)

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
        self.config: list[dict[str, Any]] = []
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

    def look(self, card: ModelCard) -> None:
        """Statistics, which look at the release rings first."""
        card.card.stats()
        for tap in self._on(card):
            self.settle_release(tap)
            assert not any(chan.given_back for chan in tap.chans.values())
            assert tap.tap.stats().held == len(tap.held)

    # ---- the wire ----

    @precondition(lambda self: any(card.up for card in self.live))
    @rule(
        pick=which,
        queue=st.integers(0, 2),
        n=st.integers(1, 30),
        salt=st.integers(0, 99),
        refill=st.sampled_from([True, True, True, False]),
    )
    def receive(self, pick: int, queue: int, n: int, salt: int, refill: bool) -> None:
        """Cases 61, 62, 63, 64."""
        card = self._card(0 if pick < 4 else 1, lambda card: card.up)
        queue %= card.n_queues
        frames = self._frames(n, salt, card)
        before = card.card.queue(queue)
        posted, have, wanted = before.posted, before.spare + before.pool_free, before.wanted
        idle = [tap for tap in self._on(card) if not tap.readable]
        had = {tap: tap.total("received") for tap in idle}
        for tap in idle:
            tap.tap.sleep()
        got = card.card.receive(queue, frames)
        assert len(got) == min(len(frames), posted)
        have += sum(self.settle_release(tap) for tap in self._on(card))
        may = 0 if have < wanted else min(len(got), have - wanted)
        lost = sum(tap.total("lost_pool") for tap in self._on(card))
        self.delivered(card, queue, got, may)
        if sum(tap.total("lost_pool") for tap in self._on(card)) > lost:
            given_back = [c.given_back for tap in self._on(card) for c in tap.chans.values()]
            assert not any(given_back), "lost for want of buffers that were given back"
        for tap in idle:
            came = tap.total("received") > had[tap]
            assert tap.tap.woken() == came, "case 46: no lost wake-up"
        if refill:
            card.card.refill(queue)
            # case 63: whatever taps hold, the card's ring does not drain
            assert card.card.queue(queue).posted >= posted

    @precondition(lambda self: any(any(card.sending) for card in self.live))
    @rule(
        pick=which,
        queue=st.integers(0, 2),
        n=st.integers(1, 20),
        ok=st.booleans(),
        newest=st.booleans(),
    )
    def complete(self, pick: int, queue: int, n: int, ok: bool, newest: bool) -> None:
        card = self._card(pick, lambda card: any(card.sending))
        busy = [q for q, flights in enumerate(card.sending) if flights]
        queue = busy[queue % len(busy)]
        n = min(n, len(card.sending[queue]))
        assert card.card.complete(queue, n, 0 if ok else -errno.EIO, newest) == n
        self.completed(card, queue, n, ok=ok, newest=newest)

    # ---- taps ----

    def _attach_error(
        self, card: ModelCard, queues: int, ring: int, fanout: int, mask: list[int]
    ) -> int:
        if card.gone:
            return errno.ENODEV
        if queues >> card.n_queues or ring in (3, 1 << 17):
            return errno.EINVAL
        group = [tap for tap in self.taps if fanout and tap.fanout == fanout]
        # of a card that went, taps are in nobody's way
        others = [tap for tap in group if not tap.card.gone]
        clash = any(tap.card is not card or [*tap.chans] != mask for tap in others)
        return errno.EINVAL if clash else 0

    @precondition(lambda self: len(self.taps) < MAX_TAPS)
    @rule(
        pick=st.sampled_from([0, 0, 0, 1]),
        queues=st.sampled_from([0, 0, 0, 1, 1, 2, 3, 6, 8]),
        ring=st.sampled_from([0, 1, 8, 8, 64, 64, 3, 1 << 17]),
        quota=st.sampled_from([0, 1, 5, 40]),
        promisc=st.booleans(),
        fanout=st.sampled_from([0, 0, 1, 1, 2]),
        first=st.integers(-10, 9),
    )
    def attach(
        self,
        pick: int,
        queues: int,
        ring: int,
        quota: int,
        promisc: bool,
        fanout: int,
        first: int,
    ) -> None:
        card = self.live[pick]
        tap = self.core.tap()
        chosen = None
        if first >= 0:  # no frame ever gets by
            chosen = FILTERS[first % len(FILTERS)]
            self._apply_filter(tap, chosen)
        mask = [q for q in range(card.n_queues) if not queues or queues >> q & 1]
        expect = self._attach_error(card, queues, ring, fanout, mask)
        fields: dict[str, Any] = {"name": card.card.name, "queues": queues, "ring_size": ring}
        try:
            got = tap.attach(**fields, quota=quota, flags=promisc, fanout=fanout)
        except OSError as error:
            assert error.errno == expect
            tap.close()
            return
        assert not expect
        assert [q for q in range(64) if got.queues >> q & 1] == mask
        if quota or card.quota:
            asked = min(quota or card.quota, card.quota_max or MASK32)
            assert got.quota == min(asked, got.n_bufs)
        assert not card.quota_max or got.quota <= card.quota_max
        assert got.rx_bytes == got.n_bufs * got.buf_size
        assert got.buf_size >= buf_size_for(card.frame_max)
        chans = {}
        for queue in mask:
            slots: list[Frame | None] = [None] * got.ring_size
            chans[queue] = ModelChan(got.ring_size, tap.rx_rings(queue), slots=slots)
        target = Target(card, mask[0])
        self.taps.append(ModelTap(tap, card, got, chans, promisc, fanout, [target], chosen))
        for queue in mask:
            card.join(queue, self.taps[-1])

    def attach_again(self, pick: int) -> None:
        card = self._card(pick)
        if not card.gone:
            try:
                self._tap(pick).tap.attach(name=card.card.name)
            except OSError as error:
                assert error.errno == errno.EBUSY
            else:
                raise AssertionError("attached twice")

    @precondition(lambda self: len(self.taps) > 1)
    @rule(pick=which, irq=an_interrupt)
    def close(self, pick: int, irq: Any) -> None:
        """Cases 52, 74: whatever it held or had in flight is back, or comes back."""
        tap = self._tap(pick)
        # of a group, it would matter when the frames come
        interrupt = self._arm(None if tap.fanout else irq, pick)
        self.taps.remove(tap)
        tap.card.leave(tap)
        tap.tap.close()
        interrupt.over_whenever()

    def _apply_filter(self, tap: harness.Tap, chosen: Any) -> None:
        if chosen.program is None:
            assert tap.filter(None, kind=2, fd=EBPF) == 0
        else:
            assert tap.filter(chosen.program) == 0

    @precondition(lambda self: self.taps)
    @rule(pick=which, choice=st.integers(0, 3 * len(FILTERS)))
    def set_filter(self, pick: int, choice: int) -> None:
        """At any time; what is refused changes nothing."""
        tap = self._tap(pick)
        if choice < 2 * len(FILTERS):
            tap.filter = FILTERS[choice % len(FILTERS)]
            self._apply_filter(tap.tap, tap.filter)
        elif choice < 2 * len(FILTERS) + len(BAD_FILTERS):
            program = BAD_FILTERS[choice - 2 * len(FILTERS)]
            assert tap.tap.filter(program, kind=1) == -errno.EINVAL
            assert tap.tap.filter(None, kind=2, fd=EBPF_OTHER) == -errno.EINVAL
            assert tap.tap.filter(None, kind=2, fd=99) == -errno.EBADF
        else:
            tap.filter = None
            assert tap.tap.filter(None) == 0

    def add_target(self, pick: int, number: int) -> None:
        tap, card = self._tap(pick), self.live[number]
        expect = 0
        if card.gone:
            expect = errno.ENODEV
        elif any(target.card is card for target in tap.targets):
            expect = errno.EINVAL if tap.card is card else errno.EBUSY
        try:
            got = tap.tap.target(card.card.name)
        except OSError as error:
            assert error.errno == expect
            return
        assert not expect
        assert got == len(tap.targets)
        tap.targets.append(Target(card, tap.targets[0].queue % card.n_queues))

    @precondition(lambda self: self.taps)
    @rule(pick=which, number=st.integers(0, 1))
    def new_target(self, pick: int, number: int) -> None:
        self.add_target(pick, number)

    # ---- reading and giving back ----

    def _expect_desc(self, tap: ModelTap, desc: Desc, frame: Frame | None, queue: int) -> None:
        if frame is None:  # the program wrote there
            return
        assert desc.handle == frame.handle
        assert desc.offset == (desc.handle & HANDLE_INDEX) * tap.buf_size + HEADROOM
        assert (desc.len, desc.orig_len, desc.hash) == (frame.len, frame.len, frame.hash)
        assert (desc.flags, desc.vlan_tci) == (frame.flags, frame.vlan_tci)
        assert (desc.hash_type, desc.queue) == (frame.hash_type, queue)
        assert desc.timestamp > 0
        if desc.handle in tap.held:
            self._check_bytes(tap, desc.handle)

    @precondition(lambda self: self.taps)
    @rule(pick=which, n=st.sampled_from([1, 3, 64]), fault=st.sampled_from([None] * 6 + [0, 40]))
    def read(self, pick: int, n: int, fault: int | None) -> None:
        tap = self._tap(pick)
        whole = n if fault is None else min(n, fault // 32)
        ready = {
            queue: [chan.slots[(chan.rings.rx.cons + i) % chan.size] for i in range(chan.waiting)]
            for queue, chan in tap.chans.items()
        }
        total = sum(map(len, ready.values()))
        got = tap.tap.read_some(n, missing=fault)
        if not total:
            assert got == (-errno.ENODEV if tap.card.gone else -errno.EAGAIN)
            return
        if not whole:
            assert got == -errno.EFAULT
            return
        assert isinstance(got, list)
        assert len(got) == min(whole, total)
        # queue by queue, in order, from whichever comes next
        for queue, frames in ready.items():
            chan = tap.chans[queue]
            assert chan.waiting <= len(frames)
            taken = frames[: len(frames) - chan.waiting]
            if not taken:
                continue
            at = next(
                at
                for at in range(len(got) - len(taken) + 1)
                if all(
                    frame is None or desc.handle == frame.handle
                    for desc, frame in zip(got[at:], taken, strict=False)
                )
            )
            for desc, frame in zip(got[at:], taken, strict=False):
                self._expect_desc(tap, desc, frame, queue)

    @precondition(lambda self: self.taps)
    @rule(pick=which, queue=st.integers(0, 2), n=st.sampled_from([1, 3, 64]))
    def read_ring(self, pick: int, queue: int, n: int) -> None:
        """The other door: descriptors from the mapped ring."""
        tap = self._tap(pick)
        queue = [*tap.chans][queue % len(tap.chans)]
        chan = tap.chans[queue]
        waiting, cons = chan.waiting, chan.rings.rx.cons
        if chan.rings.rx.prod != chan.received & MASK32:  # the program wrote there
            return
        if not waiting:
            chan.rings.rx.cons = chan.rings.rx.prod  # what a program does that lost its place
            return
        for i, desc in enumerate(chan.rings.take(min(n, waiting))):
            self._expect_desc(tap, desc, chan.slots[(cons + i) % chan.size], queue)

    def _handle(self, tap: ModelTap, pick: int) -> int:
        """A handle to give to the core: mostly one that it holds."""
        own = [*tap.held, *tap.reserved]
        if own and pick % 8:
            return own[pick // 8 % len(own)]
        others = [h for other in self.taps for h in (*other.held, *other.reserved)]
        # of this use of the buffer, of the last, of the next; held by this tap, or by another
        around = [h + d for h in own[:4] for d in (-(1 << 20), 1 << 20) if 0 <= h + d < 1 << 32]
        choices = [*tap.stale, *others, *around, *RUBBISH]
        return choices[pick // 8 % len(choices)]

    @precondition(lambda self: self.taps)
    @rule(pick=which, picks=some_picks, irq=an_interrupt)
    def release(self, pick: int, picks: list[int], irq: Any) -> None:
        """Cases 25, 26, 27, 28, 30: each once, in any order, and only its own."""
        tap = self._busy_tap(pick)
        handles = [self._handle(tap, p) for p in picks]
        interrupt = self._arm(irq, pick)
        got = tap.tap.release(handles)
        expect = 0
        for handle in handles:
            if handle not in tap.held and handle not in tap.reserved:
                break
            if handle in tap.held:
                self._check_bytes(tap, handle)
            tap.drop(handle)
            expect += 1
        assert got == (expect or -errno.ESTALE)
        interrupt.unlocked()
        interrupt.over()

    @precondition(lambda self: any(tap.held for tap in self.taps))
    @rule(pick=which, queue=st.integers(0, 2), picks=some_picks, kick=st.sampled_from([0, 0, 1, 2]))
    def release_ring(self, pick: int, queue: int, picks: list[int], kick: int) -> None:
        """The other door: handles into the release ring; the core looks when it wants to."""
        tap = self._busy_tap(pick)
        chan = tap.chans[[*tap.chans][queue % len(tap.chans)]]
        asked = chan.rings.release([self._handle(tap, p) for p in picks][: chan.rings.room()])
        if kick == 2 or (kick and asked):
            self.kick(tap)

    def kick(self, tap: ModelTap) -> None:
        """The core looks at all of the tap's rings."""
        got = tap.tap.kick()
        self.settle_release(tap)
        assert not any(chan.given_back for chan in tap.chans.values())
        err = self.door_run(tap) if tap.door is not None else 0
        assert got == (0 if err == -errno.ENOSPC else err)

    # ---- sending ----

    def tx_setup(self, pick: int, n_bufs: int, buf_size: int, *, rings: bool) -> None:
        tap = self._tap(pick)
        least = buf_size_for(tap.card.frame_max)
        if tap.tx_size:
            expect = errno.EBUSY
        elif tap.card.gone:
            expect = errno.ENODEV
        elif buf_size in (1024, 5000) or (buf_size and buf_size < least) or n_bufs == 1 << 21:
            expect = errno.EINVAL
        else:
            expect = 0
        try:
            got = tap.tap.tx_setup(n_bufs=n_bufs, buf_size=buf_size, flags=int(rings))
        except OSError as error:
            assert error.errno == expect
            return
        assert not expect
        assert got.n_bufs >= n_bufs
        assert got.tx_bytes == got.n_bufs * got.buf_size
        tap.tx_size, tap.tx_buf = got.n_bufs, got.buf_size
        assert not any(tap.tap.peek(0, got.buf_size, tx=True) or b""), "memory starts cleared"
        if rings:
            tap.door = ModelDoor(tap.tap.tx_rings(), got.ring_size)
            self.door_run(tap)
            assert len(tap.reserved) == tap.tx_size, "all are there at first"

    @precondition(lambda self: any(tap.tx_size for tap in self.taps))
    @rule(pick=which, n=st.sampled_from([1, 2, 64]), take_back=st.integers(0, 5))
    def reserve(self, pick: int, n: int, take_back: int) -> None:
        tap = [tap for tap in self.taps if tap.tx_size][
            pick % sum(bool(t.tx_size) for t in self.taps)
        ]
        free = tap.tx_size - len(tap.reserved) - tap.in_flight
        if tap.card.gone:
            assert tap.tap.reserve_some(n) == -errno.ENODEV
            return
        if free and not take_back:  # case 24: the program could not be told
            before = tap.tap.marks(tx=True)
            assert tap.tap.reserve_some(n, missing=0) == -errno.EFAULT
            assert tap.tap.marks(tx=True) == before
            return
        descs = tap.tap.reserve(n)
        assert len(descs) == min(n, free)
        for desc in descs:
            index = desc.handle & HANDLE_INDEX
            assert desc.handle & HANDLE_TX
            assert desc.handle not in tap.reserved
            assert desc == Desc(
                desc.handle, index * tap.tx_buf + HEADROOM, tap.tx_buf - HEADROOM
            ), "all else is zero"
        tap.reserved |= {desc.handle: desc for desc in descs}

    def _own_desc(self, tap: ModelTap, handle: int, pick: int) -> Desc:
        """A descriptor for a reserved buffer, filled."""
        self.seed += 1
        start = (handle & HANDLE_INDEX) * tap.tx_buf
        at = [HEADROOM, 0, HEADROOM + 14, 1][pick % 4]
        lens = [14, 15, 59, 60, 61, 1514, tap.card.frame_max, tap.tx_buf - at]
        length = max(min(lens[pick // 4 % len(lens)], tap.tx_buf - at, tap.card.frame_max), 14)
        assert tap.tap.poke(start, b"\xee" * tap.tx_buf)  # case 70: what padding must not show
        assert tap.tap.poke(start + at, self.core.frame_bytes(length, self.seed))
        vlan = pick % 3 == 0
        return Desc(handle, start + at, length, pick if vlan else 0, harness.VLAN if vlan else 0)

    def _spoil(self, tap: ModelTap, desc: Desc, pick: int) -> Desc:
        """Cases 38, 68, 69, 71: what a program must not say."""
        buf = tap.tx_buf if desc.handle & HANDLE_TX else tap.buf_size
        index = desc.handle & HANDLE_INDEX
        spoilt = [
            {"timestamp": 1},
            {"hash": 1},
            {"orig_len": 60},
            {"queue": 7},
            {"queue": len(tap.targets)},
            {"hash_type": 1},
            {"flags": desc.flags | 0x8000},
            {"flags": 0, "vlan_tci": 5},
            {"len": 0},
            {"len": 13},
            {"len": tap.card.frame_max + 1},
            {"len": 0xFFFF},
            {"len": 0xFFFFFFFF},
            {"offset": desc.offset + buf},
            {"offset": desc.offset - buf},
            {"offset": 0xFFFFFFFF},
            {"offset": index * buf + buf - 59, "len": 14},
            {"offset": index * buf + buf - 1},
        ]
        change = spoilt[pick % len(spoilt)]
        return desc._replace(**{name: value & 0xFFFFFFFF for name, value in change.items()})

    def _batch(self, tap: ModelTap, picks: list[int]) -> list[Desc]:
        """Descriptors to send, most of them good."""
        out = []
        filled: dict[int, Desc] = {}
        for pick in picks:
            handle = self._handle(tap, pick)
            if handle in tap.reserved:
                if handle not in filled:  # the program fills each buffer once
                    filled[handle] = self._own_desc(tap, handle, pick)
                desc = filled[handle]
            elif handle in tap.held:
                desc = self.received_desc(tap, handle)
            else:
                desc = Desc(handle, 0, 60)
            desc = desc._replace(queue=picks[0] // 3 % len(tap.targets))
            out.append(self._spoil(tap, desc, pick // 5) if pick % 5 == 0 else desc)
        return out

    @precondition(lambda self: any(tap.held or tap.reserved for tap in self.taps))
    @rule(pick=which, picks=some_picks, irq=an_interrupt)
    def submit(self, pick: int, picks: list[int], irq: Any) -> None:
        """Cases 25, 27, 28, 29, 30, 68, 69, 70, 73, and forwarding while others hold."""
        tap = self._busy_tap(pick)
        descs = self._batch(tap, picks)
        interrupt = self._arm(irq, pick)
        got = tap.tap.submit(descs)
        done, err = 0, 0
        while done < len(descs):
            sent = self.send(tap, descs[done : done + TX_BATCH])
            if tap.door and self.rests(tap):
                tap.door.asks = False
            interrupt.unlocked()
            if sent < 0:
                err = sent
                break
            done += sent
        assert got == (done or err)
        interrupt.over()

    @precondition(lambda self: any(tap.door and (tap.held or tap.reserved) for tap in self.taps))
    @rule(pick=which, picks=some_picks, take=st.integers(0, 8), kick=st.sampled_from([0, 1, 1, 2]))
    def submit_ring(self, pick: int, picks: list[int], take: int, kick: int) -> None:
        """The other door: descriptors into the transmit ring; the core goes on by itself."""
        busy = [tap for tap in self.taps if tap.door and (tap.held or tap.reserved)]
        tap = busy[pick % len(busy)]
        door = tap.door
        assert door is not None
        door.rings.take(take)
        room = max(door.size - door.pending, 0)
        asked = door.rings.send(self._batch(tap, picks)[:room])
        if kick == 2 or (kick and asked):
            self.kick(tap)

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
