# SPDX-License-Identifier: GPL-2.0-or-later
"""A model of the core in plain Python, and the machine that holds the core against it.

The model knows what each tap must have received, lost, hold and have sent. After every step
the machine compares; the C side (``card_check``) walks every pool, so that a buffer in two
places, or in none, is seen at once.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.core import harness
from tests.unit.core.harness import BATCH, HANDLE_INDEX, HANDLE_TX, HEADROOM, Desc, Frame, Sent

MAX_TAPS = 6
FRAME_SLACK = 12
LENGTHS = [1, 13, 14, 59, 60, 61, 64, 128, 1499, 1514, 1518, 1526]
JUMBO = 9018


def buf_size_for(frame_max: int) -> int:
    """Smallest buffer for such frames."""
    size = 2048
    while size < HEADROOM + frame_max + FRAME_SLACK:
        size *= 2
    return size


@dataclass
class Count:
    """What a tap got and lost on one queue."""

    received: int = 0
    received_bytes: int = 0
    lost_ring: int = 0
    lost_quota: int = 0
    lost_pool: int = 0


@dataclass(eq=False)
class ModelTap:
    """What one tap has."""

    tap: harness.Tap
    card: ModelCard
    queues: list[int]
    ring: int
    quota: int
    promisc: bool
    buf_size: int
    waiting: dict[int, list[Frame]] = field(default_factory=dict)
    held: dict[int, tuple[Frame, int]] = field(default_factory=dict)
    counts: dict[int, Count] = field(default_factory=dict)
    tx_size: int = 0
    tx_buf: int = 0
    reserved: dict[int, Desc] = field(default_factory=dict)
    in_flight: int = 0
    submitted: int = 0
    forwarded: int = 0
    completed: int = 0
    failed: int = 0
    stale: list[int] = field(default_factory=list)

    def held_on(self, queue: int) -> int:
        """Frames held that came in on a queue."""
        return sum(q == queue for _, q in self.held.values())

    def drop(self, handle: int) -> None:
        """Forget a handle that went."""
        self.held.pop(handle, None)
        self.reserved.pop(handle, None)
        self.stale = [*self.stale[-15:], handle]


@dataclass
class Flight:
    """A frame that the card has to send; ``tap`` if the buffer is the tap's own."""

    tap: ModelTap | None
    expect: Sent


@dataclass(eq=False)
class ModelCard:
    """What a card has."""

    card: harness.Card
    n_queues: int
    rx_ring: int
    tx_ring: int
    frame_max: int = 1514
    buf_size: int = 0
    gone: bool = False
    up: bool = False
    take_at_most: int = 1 << 30
    completes: int = 0
    slots: int = 0  # receive descriptors, as the core was told when the card last came up
    sending: list[list[Flight]] = field(default_factory=list)


# which of the things that are there: taken modulo their number
some_picks = st.lists(st.integers(0, 999), min_size=1, max_size=10)
# unlocks before it comes, queue, transmits that end, frames that come, their kind
an_interrupt = st.none() | st.tuples(
    st.integers(1, 4), st.integers(0, 3), st.integers(0, 6), st.integers(0, 12), st.integers(0, 99)
)


class CoreMachine(RuleBasedStateMachine):
    """Taps come, read, hold, forward, send and die, while frames arrive and cards come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.core = harness.core()
        self.cards: list[ModelCard] = []
        self.taps: list[ModelTap] = []
        self.seed = 0

    # ---- small things ----

    @property
    def now(self) -> ModelCard:
        """The card that is plugged in, or was last."""
        return self.cards[-1]

    def _tap(self, pick: int) -> ModelTap:
        return self.taps[pick % len(self.taps)]

    def _busy_tap(self, pick: int) -> ModelTap:
        """A tap that holds something, if one does."""
        busy = [tap for tap in self.taps if tap.held or tap.reserved] or self.taps
        return busy[pick % len(busy)]

    def _frames(self, n: int, salt: int, card: ModelCard) -> list[Frame]:
        out = []
        for pick in range(salt, salt + n):
            self.seed += 1
            choices = [*(n for n in LENGTHS if n <= card.frame_max + 8), card.frame_max + 8]
            vlan = pick % 5 == 0
            out.append(
                Frame(
                    seed=self.seed,
                    len=choices[pick % len(choices)],
                    hash=self.seed * 7,
                    vlan_tci=pick if vlan else 0,
                    flags=(harness.VLAN if vlan else 0) | (2 if pick % 3 else 0),
                )
            )
        return out

    def _bytes(self, frame: Frame) -> bytes:
        return self.core.frame_bytes(frame.len, frame.seed)

    def _check_bytes(self, tap: ModelTap, handle: int) -> None:
        """A held frame is what the card wrote, at its place in the mapping."""
        frame, _ = tap.held[handle]
        offset = (handle & HANDLE_INDEX) * tap.buf_size + HEADROOM
        assert tap.tap.peek(offset, frame.len) == self._bytes(frame)

    # ---- what follows from things that happened ----

    def _delivered(
        self, card: ModelCard, queue: int, frames: list[Frame], may: int | None = None
    ) -> None:
        """Frames were delivered; ``may``: how many could leave the queue, where that is known."""
        n = len(frames)
        for tap in self.taps:
            if tap.card is not card or queue not in tap.queues:
                continue
            state, count = tap.tap.queue(queue), tap.counts[queue]
            assert state is not None
            took = state.received - count.received
            lost = [
                state.lost_ring - count.lost_ring,
                state.lost_quota - count.lost_quota,
                state.lost_pool - count.lost_pool,
            ]
            assert took + sum(lost) == n, "received + losses = delivered"
            if may is not None:
                space = tap.ring - len(tap.waiting[queue])
                left = max(tap.quota - tap.held_on(queue), 0)
                expect = min(may, space, left)
                assert took == expect
                over = may - expect
                assert lost == ([over, 0, n - may] if space <= left else [0, over, n - may])
            for frame in frames[:took]:
                assert frame.handle not in tap.stale, "a handle names one use of a buffer"
                tap.waiting[queue].append(frame)
                tap.held[frame.handle] = (frame, queue)
                count.received_bytes += frame.len
            count.received += took
            count.lost_ring += lost[0]
            count.lost_quota += lost[1]
            count.lost_pool += lost[2]

    def _completed(
        self, card: ModelCard, queue: int, n: int, *, ok: bool = True, newest: bool = False
    ) -> None:
        flights = card.sending[queue]
        if newest:
            done, card.sending[queue] = flights[len(flights) - n :], flights[: len(flights) - n]
        else:
            done, card.sending[queue] = flights[:n], flights[n:]
        for flight in done:
            if flight.tap is not None:
                flight.tap.in_flight -= 1
                flight.tap.completed += ok
                flight.tap.failed += not ok
        sent = card.card.sent()
        assert sent == ([flight.expect for flight in done] if ok else [])

    def _stopped(self, card: ModelCard) -> None:
        """The card was stopped: all that it had to send failed."""
        for queue in range(len(card.sending)):
            self._completed(card, queue, len(card.sending[queue]), ok=False)

    def _restarted(self, card: ModelCard) -> None:
        """The card went down and up again, if it was up."""
        self._stopped(card)
        if card.up:
            card.slots = card.n_queues * card.rx_ring

    def _arm(self, irq: Any, card: ModelCard) -> Callable[[], tuple[int, int]]:
        """Arm an interrupt for the next call; the result settles it with the model."""
        if irq is None or card.gone or not card.up:
            unlocks, queue, complete, frames = 0, 0, 0, list[Frame]()
        else:
            unlocks, queue, complete = irq[0], irq[1] % card.n_queues, irq[2]
            frames = self._frames(irq[3], irq[4], card)
        card.card.arm(unlocks, queue, complete, frames)

        def settle() -> tuple[int, int]:
            received, completed = card.card.disarm()
            self._delivered(card, queue, received)
            return queue, completed

        return settle

    # ---- cards ----

    @initialize(
        n_queues=st.integers(1, 3),
        rx_ring=st.sampled_from([4, 24, 60]),
        tx_ring=st.sampled_from([2, 5, 16]),
        bounces=st.booleans(),
        order=st.sampled_from([0, 1, 3, 10]),
        max_mapping=st.sampled_from([0, 16384, 65536]),
        taps=st.lists(
            st.tuples(st.sampled_from([1, 8, 64]), st.sampled_from([0, 5, 40])),
            min_size=1,
            max_size=4,
        ),
    )
    def boot(
        self,
        n_queues: int,
        rx_ring: int,
        tx_ring: int,
        bounces: bool,
        order: int,
        max_mapping: int,
        taps: list[tuple[int, int]],
    ) -> None:
        self.core.limit_order(max(order, 2))  # a jumbo buffer is 4 pages
        self.config: dict[str, Any] = {
            "n_queues": n_queues,
            "rx_ring": rx_ring,
            "tx_ring": tx_ring,
            "n_bufs": n_queues * rx_ring + BATCH,
            "bounces": bounces,
            "max_mapping": max_mapping,
        }
        self._plug()
        self.up(fail=False)
        for number, (ring, quota) in enumerate(taps):
            self.attach(0, ring, quota, promisc=False)
            self.tx_setup(number, 16, 0)

    def _plug(self) -> None:
        self.cards.append(
            ModelCard(
                self.core.card(**self.config),
                self.config["n_queues"],
                self.config["rx_ring"],
                self.config["tx_ring"],
                slots=self.config["n_queues"] * self.config["rx_ring"],
                sending=[[] for _ in range(self.config["n_queues"])],
            )
        )

    @precondition(lambda self: not self.now.gone and not self.now.up)
    @rule(fail=st.sampled_from([False, False, True]))
    def up(self, fail: bool) -> None:
        card = self.now
        card.slots = card.n_queues * card.rx_ring
        if fail:
            card.card.fail_start(-errno.EIO)
            assert card.card.up() == -errno.EIO
            card.card.fail_start(0)
            return
        assert card.card.up() == 0
        card.up = True
        for queue in range(card.n_queues):
            # only what taps hold can be missing
            assert card.card.queue(queue).posted <= card.rx_ring

    def down(self) -> None:
        """Case 90: taps stay attached; what the card had to send comes back."""
        self.now.card.down()
        self.now.up = False
        self._stopped(self.now)

    def unplug(self) -> None:
        """Cases 56, 85: the card goes, with everything outstanding."""
        card = self.now
        card.card.remove()
        card.gone, card.up = True, False
        self._stopped(card)

    @precondition(lambda self: self.now.gone and len(self.cards) < 3)
    @rule()
    def replug(self) -> None:
        """Case 57: a card of the same name; the old files stay with the old one."""
        self._plug()
        self.up(fail=False)

    def _here(self) -> list[ModelTap]:
        return [tap for tap in self.taps if tap.card is self.now]

    def change_mtu(self, frame_max: int) -> None:
        """Case 90."""
        card, need = self.now, buf_size_for(frame_max)
        taps = self._here()
        if need > 16384 or (card.buf_size and card.buf_size < need):
            expect = -errno.EINVAL
        elif taps and taps[0].buf_size < need:
            expect = -errno.EBUSY
        else:
            expect = 0
        assert card.card.set_frame(frame_max) == expect
        if not expect:
            card.frame_max = frame_max
            self._restarted(card)

    def configure(self, buf_size: int, n_bufs: int) -> None:
        card = self.now
        least = card.slots + BATCH
        sizes = [n for n in (2048, 4096, 8192, 16384) if n >= buf_size_for(card.frame_max)]
        bad_size = buf_size and buf_size not in sizes
        if bad_size or (n_bufs and (n_bufs < least or n_bufs > 1 << 19)):
            expect = -errno.EINVAL
        elif self._here():
            expect = -errno.EBUSY
        else:
            expect = 0
        n_bufs = n_bufs or least  # not the default: that is thousands
        assert card.card.configure(buf_size, n_bufs) == expect
        if not expect:
            card.buf_size = buf_size
            self._stopped(card)
            if card.up:
                assert card.card.pool_size() >= n_bufs

    def change_queues(self, pick: int) -> None:
        """Case 90."""
        card = self.now
        n = 1 + pick % self.config["n_queues"]
        expect = -errno.EBUSY if self._here() and n != card.n_queues else 0
        assert card.card.set_queues(n) == expect
        if not expect:
            card.n_queues = n
        self._restarted(card)

    @rule(what=st.integers(0, 15), choice=st.integers(0, 99))
    def upset(self, what: int, choice: int) -> None:
        """What is rare: together one rule, so that traffic is not."""
        card, queue = self.now, choice % self.now.n_queues
        if what < 2:
            self.core.settle()
        elif what < 4 and self.taps:
            self.attach_again(choice)
        elif what < 6 and self.taps:
            self.tx_setup(
                choice, [1, 3, 16, 1 << 21][choice % 4], [0, 1024, 2048, 4096, 5000][choice % 5]
            )
        elif what == 6 and not card.gone:
            self.change_queues(choice)
        elif what == 7 and not card.gone:
            self.change_mtu([1514, 1518, 4000, JUMBO, 20000][choice % 5])
        elif what == 8 and not card.gone:
            self.configure(
                [0, 1, 2048, 3000, 4096, 16384, 32768][choice % 7],
                [0, 1, 80, 200, 1 << 20][choice % 5],
            )
        elif what < 11 and card.up:
            self.down()
        elif what < 13 and card.up:
            card.card.refill(queue)
        elif what == 13 and card.up:
            card.card.reject(queue, choice)  # bad frames: no tap hears of them
        elif what == 14 and not card.gone and choice % 4 == 0:
            self.unplug()
        elif what == 15:
            at_most = [0, 1, 3, 1 << 30, 1 << 30][choice % 5]
            card.take_at_most, card.completes = at_most, choice // 5
            card.card.limit_transmit(at_most, choice // 5)

    # ---- the wire ----

    @precondition(lambda self: self.now.up)
    @rule(
        queue=st.integers(0, 2),
        n=st.integers(1, 30),
        salt=st.integers(0, 99),
        refill=st.sampled_from([True, True, True, False]),
    )
    def receive(self, queue: int, n: int, salt: int, refill: bool) -> None:
        """Cases 61, 62, 63, 64."""
        card = self.now
        queue %= card.n_queues
        frames = self._frames(n, salt, card)
        before = card.card.queue(queue)
        posted, have, wanted = before.posted, before.spare + before.pool_free, before.wanted
        idle = [tap for tap in self._here() if not tap.tap.readable()]
        had = {tap: sum(count.received for count in tap.counts.values()) for tap in idle}
        for tap in idle:
            tap.tap.sleep()
        got = card.card.receive(queue, frames)
        assert len(got) == min(len(frames), posted)
        may = 0 if have < wanted else min(len(got), have - wanted)
        self._delivered(card, queue, got, may)
        for tap in idle:
            came = sum(count.received for count in tap.counts.values()) > had[tap]
            assert tap.tap.woken() == came, "case 46: no lost wake-up"
        if refill:
            card.card.refill(queue)
            # case 63: whatever taps hold, the card's ring does not drain
            assert card.card.queue(queue).posted >= posted

    @precondition(lambda self: any(self.now.sending))
    @rule(queue=st.integers(0, 2), n=st.integers(1, 20), ok=st.booleans(), newest=st.booleans())
    def complete(self, queue: int, n: int, ok: bool, newest: bool) -> None:
        card = self.now
        busy = [q for q, flights in enumerate(card.sending) if flights]
        queue = busy[queue % len(busy)]
        n = min(n, len(card.sending[queue]))
        assert card.card.complete(queue, n, 0 if ok else -errno.EIO, newest) == n
        self._completed(card, queue, n, ok=ok, newest=newest)

    # ---- taps ----

    @precondition(lambda self: len(self.taps) < MAX_TAPS)
    @rule(
        queues=st.sampled_from([0, 0, 0, 1, 1, 2, 3, 6, 8]),
        ring=st.sampled_from([0, 1, 8, 8, 64, 64, 3, 1 << 17]),
        quota=st.sampled_from([0, 1, 5, 40]),
        promisc=st.booleans(),
    )
    def attach(self, queues: int, ring: int, quota: int, promisc: bool) -> None:
        card = self.now
        tap = self.core.tap()
        bad = queues >> card.n_queues or ring in (3, 1 << 17)
        expect = errno.ENODEV if card.gone else errno.EINVAL if bad else 0
        try:
            got = tap.attach(queues=queues, ring_size=ring, quota=quota, flags=promisc)
        except OSError as error:
            assert error.errno == expect
            tap.close()
            return
        assert not expect
        mask = [q for q in range(card.n_queues) if not queues or queues >> q & 1]
        assert [q for q in range(64) if got.queues >> q & 1] == mask
        model = ModelTap(tap, card, mask, got.ring_size, got.quota, promisc, got.buf_size)
        for q in mask:
            model.waiting[q] = []
            model.counts[q] = Count()
        self.taps.append(model)
        assert got.rx_bytes == got.n_bufs * got.buf_size
        assert got.buf_size >= buf_size_for(card.frame_max)

    def attach_again(self, pick: int) -> None:
        if not self.now.gone:
            try:
                self._tap(pick).tap.attach()
            except OSError as error:
                assert error.errno == errno.EBUSY
            else:
                raise AssertionError("attached twice")

    @precondition(lambda self: len(self.taps) > (0 if self.now.gone else 1))
    @rule(pick=st.integers(0, 5), irq=an_interrupt)
    def close(self, pick: int, irq: Any) -> None:
        """Cases 52, 74: whatever it held or had in flight is back, or comes back."""
        tap = self._tap(pick)
        done = self._arm(irq, tap.card)
        self.taps.remove(tap)
        tap.tap.close()
        queue, completed = done()
        self._completed(tap.card, queue, completed)

    @precondition(lambda self: self.taps)
    @rule(pick=st.integers(0, 5), n=st.sampled_from([1, 3, 64]))
    def read(self, pick: int, n: int) -> None:
        tap = self._tap(pick)
        total = sum(map(len, tap.waiting.values()))
        descs = tap.tap.read(n)
        assert len(descs) == min(n, total)
        last = 0
        for desc in descs:
            frame = tap.waiting[desc.queue].pop(0)  # in order, per queue
            assert desc.handle == frame.handle
            assert desc.offset == (desc.handle & HANDLE_INDEX) * tap.buf_size + HEADROOM
            assert (desc.len, desc.orig_len, desc.hash) == (frame.len, frame.len, frame.hash)
            assert (desc.flags, desc.vlan_tci) == (frame.flags, frame.vlan_tci)
            assert desc.hash_type == 1
            assert desc.timestamp > 0
            last = max(last, desc.timestamp)
            if desc.handle in tap.held:
                self._check_bytes(tap, desc.handle)

    def _handle(self, tap: ModelTap, pick: int) -> int:
        """A handle to give to the core: mostly one that it holds."""
        own = [*tap.held, *tap.reserved]
        if own and pick % 8:
            return own[pick // 8 % len(own)]
        others = [h for other in self.taps for h in (*other.held, *other.reserved)]
        rubbish = [0, 1, 0xFFFFFFFF, 0x7FFFFFFF, HANDLE_TX, HANDLE_INDEX, 1 << 20, 0x800FFFFF]
        # of this use of the buffer, of the last, of the next; held by this tap, or by another
        around = [h + d for h in own[:4] for d in (-(1 << 20), 1 << 20) if 0 <= h + d < 1 << 32]
        choices = [*tap.stale, *others, *around, *rubbish]
        return choices[pick // 8 % len(choices)]

    @precondition(lambda self: self.taps)
    @rule(pick=st.integers(0, 5), picks=some_picks, irq=an_interrupt)
    def release(self, pick: int, picks: list[int], irq: Any) -> None:
        """Cases 25, 26, 27, 28, 30: each once, in any order, and only its own."""
        tap = self._busy_tap(pick)
        handles = [self._handle(tap, p) for p in picks]
        expect = 0
        for handle in handles:
            if handle in tap.held:
                self._check_bytes(tap, handle)
            if handle not in tap.held and handle not in tap.reserved:
                break
            tap.drop(handle)
            expect += 1
        done = self._arm(irq, tap.card)
        assert tap.tap.release(handles) == (expect or -errno.ESTALE)
        queue, completed = done()
        self._completed(tap.card, queue, completed)

    def tx_setup(self, pick: int, n_bufs: int, buf_size: int) -> None:
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
            got = tap.tap.tx_setup(n_bufs=n_bufs, buf_size=buf_size)
        except OSError as error:
            assert error.errno == expect
            return
        assert not expect
        assert got.n_bufs >= n_bufs
        assert got.tx_bytes == got.n_bufs * got.buf_size
        tap.tx_size, tap.tx_buf = got.n_bufs, got.buf_size
        assert not any(tap.tap.peek(0, got.buf_size, tx=True) or b""), "memory starts cleared"

    @precondition(lambda self: any(tap.tx_size for tap in self.taps))
    @rule(pick=st.integers(0, 5), n=st.sampled_from([1, 2, 64]), take_back=st.integers(0, 5))
    def reserve(self, pick: int, n: int, take_back: int) -> None:
        tap = [tap for tap in self.taps if tap.tx_size][
            pick % sum(bool(t.tx_size) for t in self.taps)
        ]
        free = tap.tx_size - len(tap.reserved) - tap.in_flight
        descs = tap.tap.reserve(n)
        assert len(descs) == min(n, free)
        for desc in descs:
            index = desc.handle & HANDLE_INDEX
            assert desc.handle & HANDLE_TX
            assert desc.handle not in tap.reserved
            assert desc == Desc(
                desc.handle, index * tap.tx_buf + HEADROOM, tap.tx_buf - HEADROOM
            ), "all else is zero"
        if descs and not take_back:  # case 24: the program could not be told
            tap.tap.unreserve(descs)
            tap.stale += [desc.handle for desc in descs[:4]]
            return
        tap.reserved |= {desc.handle: desc for desc in descs}

    # ---- sending ----

    def _own_desc(self, tap: ModelTap, handle: int, pick: int) -> tuple[Desc, bytes]:
        """A descriptor for a reserved buffer, filled, and what should be sent of it."""
        self.seed += 1
        start = (handle & HANDLE_INDEX) * tap.tx_buf
        at = [HEADROOM, 0, HEADROOM + 14, 1][pick % 4]
        lens = [14, 15, 59, 60, 61, 1514, tap.card.frame_max, tap.tx_buf - at]
        length = max(min(lens[pick // 4 % len(lens)], tap.tx_buf - at, tap.card.frame_max), 14)
        data = self.core.frame_bytes(length, self.seed)
        assert tap.tap.poke(start, b"\xee" * tap.tx_buf)  # case 70: what padding must not show
        assert tap.tap.poke(start + at, data)
        vlan = pick % 3 == 0
        desc = Desc(handle, start + at, length, pick if vlan else 0, harness.VLAN if vlan else 0)
        return desc, data.ljust(harness.PAD_FRAME, b"\0")

    def _spoil(self, tap: ModelTap, desc: Desc, pick: int) -> Desc:
        """Cases 38, 68, 69, 71: what a program must not say."""
        buf = tap.tx_buf if desc.handle & HANDLE_TX else tap.buf_size
        index = desc.handle & HANDLE_INDEX
        spoilt = [
            {"timestamp": 1},
            {"hash": 1},
            {"orig_len": 60},
            {"queue": 1},
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

    def _received_desc(self, tap: ModelTap, handle: int) -> tuple[Desc, bytes]:
        frame, _ = tap.held[handle]
        offset = (handle & HANDLE_INDEX) * tap.buf_size + HEADROOM
        return Desc(handle, offset, frame.len), self._bytes(frame)

    def _verdict(self, tap: ModelTap, desc: Desc) -> int:
        """What the core must say of one descriptor, when nothing else is in the way."""
        rest = (desc.timestamp, desc.hash, desc.orig_len, desc.queue, desc.hash_type)
        if any(rest) or desc.flags & ~1 or (desc.vlan_tci and not desc.flags):
            return -errno.EINVAL
        if desc.handle & HANDLE_TX:
            if desc.handle not in tap.reserved:
                return -errno.ESTALE
            start = (desc.handle & HANDLE_INDEX) * tap.tx_buf
            end = desc.offset + max(desc.len, harness.PAD_FRAME)
            fits = start <= desc.offset and end <= start + tap.tx_buf
            return 0 if fits and 14 <= desc.len <= tap.card.frame_max else -errno.EINVAL
        if desc.handle not in tap.held:
            return -errno.ESTALE
        true, _ = self._received_desc(tap, desc.handle)
        same = desc == true and desc.len <= tap.card.frame_max
        return 0 if same else -errno.EINVAL

    def _batch(self, tap: ModelTap, picks: list[int]) -> list[tuple[Desc, bytes, int, int]]:
        """Descriptors, what each should send, and its VLAN tag and flags."""
        out = []
        filled: dict[int, tuple[Desc, bytes]] = {}
        for pick in picks:
            handle = self._handle(tap, pick)
            if handle in tap.reserved:
                if handle not in filled:  # the program fills each buffer once
                    filled[handle] = self._own_desc(tap, handle, pick)
                desc, data = filled[handle]
                tag = (desc.vlan_tci, desc.flags)
            elif handle in tap.held:
                desc, data = self._received_desc(tap, handle)
                frame, _ = tap.held[handle]
                tag = (frame.vlan_tci, frame.flags & harness.VLAN)
            else:
                desc, data, tag = Desc(handle, 0, 60), b"", (0, 0)
            if pick % 5 == 0:
                desc = self._spoil(tap, desc, pick // 5)
            out.append((desc, data, *tag))
        return out

    def _capacity(self, card: ModelCard, queue: int, k: int) -> int:
        """How many of k frames the card takes in two looks; the model of completions moves on."""
        room = card.tx_ring - len(card.sending[queue])
        first = min(k, room, card.take_at_most)
        if first == k:
            return k
        finished = min(card.completes, len(card.sending[queue]) + first)
        room += finished - first
        return first + min(k - first, room, card.take_at_most)

    @precondition(lambda self: any(tap.held or tap.reserved for tap in self.taps))
    @rule(pick=st.integers(0, 5), picks=some_picks, irq=an_interrupt)
    def submit(self, pick: int, picks: list[int], irq: Any) -> None:
        """Cases 25, 27, 28, 29, 30, 68, 69, 70, 73, and forwarding while others hold."""
        tap = self._busy_tap(pick)
        card, queue = tap.card, tap.queues[0]
        batch = self._batch(tap, picks)
        k, err, taken = 0, 0, set[int]()
        for desc, *_ in batch:
            if k and (desc.handle ^ batch[0][0].handle) & HANDLE_TX:
                break
            err = self._verdict(tap, desc)
            if not err and desc.handle in taken:
                err = -errno.ESTALE
            if err:
                break
            taken.add(desc.handle)
            k += 1
        if irq is not None:  # one of the two: an interrupt, or completions from elsewhere
            card.completes = 0
            card.card.limit_transmit(card.take_at_most, 0)
        expect = 0
        if not k:
            pass
        elif not card.up:
            err = -errno.ENODEV if card.gone else -errno.ENETDOWN
        else:
            expect = self._capacity(card, queue, k)
            if expect < k:
                err = -errno.ENOSPC
        done = self._arm(irq, card)
        got = tap.tap.submit([desc for desc, *_ in batch])
        if irq is None:
            assert got == (expect or err)
        accepted = max(got, 0)
        assert accepted <= k
        for desc, data, tci, flags in batch[:accepted]:
            own = desc.handle in tap.reserved
            tap.drop(desc.handle)
            tap.in_flight += own
            tap.forwarded += not own
            expect_sent = Sent(data, queue, tci, flags)
            card.sending[queue].append(Flight(tap if own else None, expect_sent))
        tap.submitted += accepted
        # which of the card's queues the completions were on: the interrupt's, or this one's
        where, completed = done()
        self._completed(card, where if irq is not None else queue, completed)
        card.completes = 0
        card.card.limit_transmit(card.take_at_most, 0)

    # ---- what must always hold ----

    @invariant()
    def every_buffer_is_in_one_place(self) -> None:
        for card in self.cards:
            card.card.check()

    @invariant()
    def taps_hold_what_they_should(self) -> None:
        for tap in self.taps:
            assert tap.tap.marks() == set(tap.held)
            assert tap.tap.marks(tx=True) == set(tap.reserved)
            assert all(tap.held_on(q) <= tap.quota for q in tap.queues)
            assert tap.tap.readable() == any(tap.waiting.values())
            assert tap.tap.drained() == (not tap.in_flight)

    @invariant()
    def counters_tell_the_truth(self) -> None:
        for tap in self.taps:
            stats = tap.tap.stats()
            total = {
                name: sum(getattr(count, name) for count in tap.counts.values())
                for name in ("received", "received_bytes", "lost_ring", "lost_quota", "lost_pool")
            }
            total |= {
                "waiting": sum(map(len, tap.waiting.values())),
                "held": len(tap.held),
                "released": total["received"] - len(tap.held),
                "tx_reserved": len(tap.reserved),
                "tx_submitted": tap.submitted,
                "tx_forwarded": tap.forwarded,
                "tx_completed": tap.completed,
                "tx_failed": tap.failed,
                "tx_in_flight": tap.in_flight,
                "tx_free": tap.tx_size - tap.in_flight - len(tap.reserved),
            }
            assert {name: getattr(stats, name) for name in total} == total
        if self.cards and not self.now.gone:
            assert self.now.card.promiscuity() == sum(tap.promisc for tap in self._here())

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
            self.close(len(self.taps) // 2, None)
            self.every_buffer_is_in_one_place()
        self.core.settle()
        if not self.now.gone:
            self.unplug()
        self.core.settle()
        for card in self.cards:
            card.card.free()
        assert self.core.live() == harness.NOTHING
