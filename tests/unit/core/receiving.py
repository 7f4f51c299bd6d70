# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's steps, second part: frames come, taps get them and give them back."""

from __future__ import annotations

import errno
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.unit.core import harness
from tests.unit.core.cards import Cards, an_interrupt, some_picks, which
from tests.unit.core.harness import HANDLE_INDEX, HANDLE_TX, HEADROOM, MASK32, Desc, Frame
from tests.unit.core.state import (
    BAD_FILTERS,
    EBPF,
    EBPF_OTHER,
    FILTERS,
    ModelCard,
    ModelChan,
    ModelTap,
    Target,
    buf_size_for,
)

MAX_TAPS = 6
RUBBISH = [0, 1, 0xFFFFFFFF, 0x7FFFFFFF, HANDLE_TX, HANDLE_INDEX, 1 << 20, 0x800FFFFF]


class Receiving(Cards):
    """Taps come, read, hold, give back and die, while frames arrive."""

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
        assert got == (0 if err in (-errno.ENOSPC, -errno.EBUSY) else err)
