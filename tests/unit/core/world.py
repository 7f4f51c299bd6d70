# SPDX-License-Identifier: GPL-2.0-or-later
"""What follows from things that happened, in plain Python.

Each function is called after the core did something, and does the same to the model; where
the core had a choice that is its own (which buffers it gives), it is looked up.
"""

from __future__ import annotations

import errno
from itertools import groupby

from tests.unit.core import harness
from tests.unit.core.harness import HANDLE_INDEX, HANDLE_TX, HEADROOM, MASK32, Desc, Frame, Sent
from tests.unit.core.state import Flight, ModelCard, ModelTap, seen_by_filters

TX_BATCH = 32  # descriptors that TX_SUBMIT copies at a time
BATCH = harness.BATCH


def malformed(desc: Desc) -> bool:
    """Whether fields are set that mean nothing."""
    rest = (desc.timestamp, desc.hash, desc.orig_len, desc.hash_type)
    return any(rest) or bool(desc.flags & ~1) or bool(desc.vlan_tci and not desc.flags)


class World:
    """The cards, the taps, and what is on its way between them."""

    def __init__(self) -> None:
        self.core = harness.core()
        self.cards: list[ModelCard] = []  # all that were ever there
        self.live: list[ModelCard] = []  # the last of each number
        self.taps: list[ModelTap] = []
        self.seed = 0

    def frame_data(self, frame: Frame) -> bytes:
        """The frame's bytes, as the card wrote them."""
        return self.core.frame_bytes(frame.len, frame.seed)

    # ---- who holds a buffer ----

    def is_free(self, card: ModelCard, handle: int) -> bool:
        """Whether nobody has a receive buffer of the card any more."""
        if any(tap.card is card and handle in tap.held for tap in self.taps):
            return False
        flights = (flight for c in self.cards for queue in c.sending for flight in queue)
        return not any(f.tap is None and f.source is card and f.handle == handle for f in flights)

    # ---- receive ----

    def settle_release(self, tap: ModelTap) -> int:
        """The core looked at release rings; return how many buffers that freed."""
        freed = 0
        for queue, chan in tap.chans.items():
            state = tap.tap.queue(queue)
            assert state is not None
            consumed = (state.release_cons - chan.release_cons) & MASK32
            waiting = chan.given_back
            assert consumed <= waiting
            if waiting > chan.rings.release_size and consumed:
                assert consumed == waiting, "none of the entries means anything"
                chan.bad_release += 1
                consumed = 0
            for i in range(consumed):
                at = (chan.release_cons + i) % chan.rings.release_size
                handle = chan.rings.handles[at]
                if tap.held.get(handle, (None, -1))[1] != queue:
                    chan.bad_release += 1
                    continue
                tap.drop(handle)
                freed += self.is_free(tap.card, handle)
            chan.release_cons = state.release_cons
            assert state.bad_release == chan.bad_release
        return freed

    def settle_all(self) -> None:
        """The same for all taps."""
        for tap in self.taps:
            self.settle_release(tap)

    def _flow_hash(self, frame: Frame) -> int:
        if frame.hash_type:
            return frame.hash
        if frame.len < 14:
            return 0
        addresses = self.core.ffi.from_buffer(self.frame_data(frame)[:12])
        keys = self.core.ffi.cast("struct flow_keys *", addresses)
        return int(self.core.lib.flow_hash_from_keys(keys))

    def is_member(self, tap: ModelTap, frame: Frame, queue: int) -> bool:
        """Whether the frame is of a flow that is the tap's share of its group."""
        if not tap.fanout:
            return True
        group = [
            t
            for t in self.taps
            if t.card is tap.card and t.fanout == tap.fanout and queue in t.chans
        ]
        flow = self._flow_hash(frame)
        score = self.core.lib.jhash_2words
        return max(group, key=lambda t: score(flow, t.got.tap_id, 0)) is tap

    def delivered(self, card: ModelCard, queue: int, frames: list[Frame], may: int | None) -> None:
        """Frames were delivered; ``may``: how many could leave the queue, where that is known."""
        for tap in self.taps:
            if frames and tap.card is card and queue in tap.chans:
                self._delivered_to(tap, queue, frames, may)

    def _delivered_to(
        self, tap: ModelTap, queue: int, frames: list[Frame], may: int | None
    ) -> None:
        state, chan = tap.tap.queue(queue), tap.chans[queue]
        assert state is not None
        share = [i for i, frame in enumerate(frames) if self.is_member(tap, frame, queue)]
        want = share
        if tap.filter is not None:
            admits = tap.filter.admits
            want = [
                i for i in share if admits(seen_by_filters(frames[i], self.frame_data(frames[i])))
            ]
        space, left = chan.space, max(tap.got.quota - tap.held_on(queue), 0)
        if may is None:
            lost_pool, took = state.lost_pool - chan.lost_pool, state.received - chan.received
        else:
            lost_pool = sum(i >= may for i in want)
            took = min(len(want) - lost_pool, space, left)
        over = len(want) - lost_pool - took
        assert took >= 0 and lost_pool >= 0 and over >= 0, "received + filtered + lost = offered"
        ring_is_why = space <= left if may is not None else state.lost_ring > chan.lost_ring
        for i in want[:took]:
            frame = frames[i]
            assert frame.handle not in tap.stale, "a handle names one use of a buffer"
            chan.slots[chan.received % chan.size] = frame
            chan.received += 1
            chan.received_bytes += frame.len
            tap.held[frame.handle] = (frame, queue)
        chan.filtered += len(share) - len(want)
        chan.lost_pool += lost_pool
        chan.lost_ring += over if ring_is_why else 0
        chan.lost_quota += 0 if ring_is_why else over
        for name in ("received", "received_bytes", "filtered", "lost_pool"):
            assert getattr(state, name) == getattr(chan, name), name
        assert (state.lost_ring, state.lost_quota) == (chan.lost_ring, chan.lost_quota)
        if may is not None and over and not ring_is_why:
            assert not chan.given_back, "lost to the quota with frames given back"

    # ---- transmit ----

    def received_desc(self, tap: ModelTap, handle: int) -> Desc:
        """The descriptor that forwards a frame."""
        frame, _ = tap.held[handle]
        return Desc(handle, (handle & HANDLE_INDEX) * tap.buf_size + HEADROOM, frame.len)

    def verdict(self, tap: ModelTap, desc: Desc, frame_max: int) -> int:
        """What the core must say of one descriptor, when nothing else is in the way."""
        if malformed(desc):
            return -errno.EINVAL
        if desc.handle & HANDLE_TX:
            if desc.handle not in tap.reserved:
                return -errno.ESTALE
            start = (desc.handle & HANDLE_INDEX) * tap.tx_buf
            end = desc.offset + max(desc.len, harness.PAD_FRAME)
            fits = start <= desc.offset and end <= start + tap.tx_buf
            return 0 if fits and 14 <= desc.len <= frame_max else -errno.EINVAL
        if desc.handle not in tap.held:
            return -errno.ESTALE
        same = desc._replace(queue=0) == self.received_desc(tap, desc.handle)
        return 0 if same and desc.len <= frame_max else -errno.EINVAL

    def _launch(self, tap: ModelTap, desc: Desc, card: ModelCard, queue: int) -> None:
        own = bool(desc.handle & HANDLE_TX)
        if own:
            data = tap.tap.peek(desc.offset, desc.len, tx=True)
            assert data is not None
            data, tag = data.ljust(harness.PAD_FRAME, b"\0"), (desc.vlan_tci, desc.flags)
        else:
            frame, _ = tap.held[desc.handle]
            data, tag = self.frame_data(frame), (frame.vlan_tci, frame.flags & harness.VLAN)
        tap.drop(desc.handle)
        tap.in_flight += own
        tap.forwarded += not own
        tap.submitted += 1
        expect = Sent(data, queue, *tag)
        card.taken[queue] += 1
        card.sending[queue].append(Flight(tap if own else None, tap.card, desc.handle, expect))

    def _run(self, tap: ModelTap, descs: list[Desc], frame_max: int) -> tuple[list[Desc], int]:
        """The first of the descriptors that are of one memory, good, and for one target."""
        good: list[Desc] = []
        for desc in descs[:BATCH]:
            if (desc.handle ^ descs[0].handle) & HANDLE_TX or desc.queue != descs[0].queue:
                break
            if any(desc.handle == other.handle for other in good) and not malformed(desc):
                err = -errno.ESTALE
            else:
                err = self.verdict(tap, desc, frame_max)
            if err:
                return good, err
            good.append(desc)
        return good, 0

    def send(self, tap: ModelTap, descs: list[Desc]) -> int:
        """The core was told to send; return what it must have said."""
        number = descs[0].queue
        if number >= len(tap.targets):
            return -errno.EINVAL
        target = tap.targets[number]
        card, queue = target.card, target.queue
        good, err = self._run(tap, descs, card.frame_max)
        if not good:
            return err
        if not card.sends(queue):
            return -errno.ENODEV if card.gone else -errno.ENETDOWN
        took = 0
        for look in range(2):
            n = min(len(good) - took, card.tx_ring - len(card.sending[queue]), card.take_at_most)
            for desc in good[took : took + n]:
                self._launch(tap, desc, card, queue)
            took += n
            card.full[queue] = took < len(good) or (card.full[queue] and not look)
            if took == len(good):
                break
            self._complete_elsewhere(card, queue)
            card.full[queue] = True
        if took and number == 0 and not good[0].handle & HANDLE_TX:
            tap.place = card.taken[queue]
        return took or -errno.ENOSPC

    def _has_rings(self, flight: Flight) -> bool:
        tap = flight.tap
        return tap is not None and tap.door is not None and tap in self.taps

    def _complete_elsewhere(self, card: ModelCard, queue: int) -> None:
        n = 0
        if card.behind[queue]:
            card.completes = 0
            return
        for flight in card.sending[queue][: card.completes]:
            if self._has_rings(flight):
                break
            n += 1
        card.completes = 0
        self.completed(card, queue, n)

    def completed(
        self, card: ModelCard, queue: int, n: int, *, ok: bool = True, newest: bool = False
    ) -> None:
        """The card was done with frames; what taps have in their rings goes out."""
        flights = card.sending[queue]
        if newest:
            done, card.sending[queue] = flights[len(flights) - n :], flights[: len(flights) - n]
        else:
            done, card.sending[queue] = flights[:n], flights[n:]
        card.done[queue] += len(done)
        if done:
            card.full[queue] = False
        if ok:
            card.expected += [flight.expect for flight in done]
        runs = [list(run) for _, run in groupby(done, key=lambda flight: id(flight.tap))]
        shared = card.behind[queue]
        for run in runs:
            self._land(run, ok=ok)
            if not shared:
                self._serve(run[0])
        if not shared:
            return
        if done or not card.up:
            self._resume(card, queue)
        for run in runs:
            self._serve(run[0])

    @staticmethod
    def _land(run: list[Flight], *, ok: bool) -> None:
        tap = run[0].tap
        if tap is not None:
            tap.in_flight -= len(run)
            tap.completed += len(run) if ok else 0
            tap.failed += 0 if ok else len(run)

    def _serve(self, flight: Flight) -> None:
        if self._has_rings(flight):
            assert flight.tap is not None
            self.door_run(flight.tap)

    def _resume(self, card: ModelCard, queue: int) -> None:
        """There is room: transmit rings that found none are served, by turns as the first."""
        card.behind[queue] = False
        taps = card.order[queue]
        if not taps:
            return
        first = card.turn[queue] % len(taps)
        card.turn[queue] += 1
        for tap in taps[first:] + taps[:first]:
            if tap.door is not None and tap.targets[0].queue == queue:
                self.door_run(tap)

    def stopped(self, card: ModelCard) -> None:
        """The card was stopped: all that it had to send failed."""
        up, card.up = card.up, False
        for queue in range(len(card.sending)):
            self.completed(card, queue, len(card.sending[queue]), ok=False)
            card.full[queue] = False
        card.up = up

    def sent_as_expected(self) -> None:
        """Compare what the cards sent with what they should have."""
        for card in self.cards:
            assert card.card.sent() == card.expected
            card.expected = []

    # ---- transmit rings ----

    def _door_send(self, tap: ModelTap) -> int:
        door = tap.door
        assert door is not None
        left = door.pending
        if left > door.size:
            door.bad_submit += 1
            door.tx_cons = (door.tx_cons + left) & MASK32
            return 0
        while left:
            at = door.tx_cons % door.size
            n = min(left, door.size - at, BATCH)  # a batch ends where the ring does
            descs = [harness.Tap._desc(door.rings.descs[at + i]) for i in range(n)]
            sent = self.send(tap, descs)
            # a target that is gone must not hold up the others; the tap's own is another matter
            lost = sent == -errno.ENODEV and descs[0].queue
            if lost or sent in (-errno.EINVAL, -errno.ESTALE):
                door.bad_submit += 1
                if descs[0].handle in tap.held or descs[0].handle in tap.reserved:
                    tap.drop(descs[0].handle)
                sent = 1
            if sent < 0:
                # another card is full: that one's completions do not look here
                return -errno.EBUSY if sent == -errno.ENOSPC and descs[0].queue else sent
            door.tx_cons = (door.tx_cons + sent) & MASK32
            left -= sent
        return 0

    def _door_offer(self, tap: ModelTap) -> None:
        door = tap.door
        assert door is not None
        free = tap.tx_size - len(tap.reserved) - tap.in_flight
        used = (door.free_prod - door.rings.free.cons) & MASK32
        room = door.size - used if used <= door.size else 0
        for i in range(min(free, room)):
            buf = door.rings.bufs[(door.free_prod + i) % door.size]
            assert buf.handle & HANDLE_TX and buf.handle not in tap.reserved
            assert buf.handle not in tap.stale, "a handle names one use of a buffer"
            assert buf.offset == (buf.handle & HANDLE_INDEX) * tap.tx_buf + HEADROOM
            tap.reserved[buf.handle] = Desc(buf.handle, buf.offset, tap.tx_buf - HEADROOM)
        door.free_prod = (door.free_prod + min(free, room)) & MASK32

    def rests(self, tap: ModelTap, err: int = 0) -> bool:
        """Whether the core will look at the rings by itself."""
        if err == -errno.EBUSY:
            return False
        if tap.in_flight:
            return True
        card, queue = tap.targets[0].card, tap.targets[0].queue
        place = card.taken[queue] if err == -errno.ENOSPC else tap.place
        if place > card.done[queue]:
            card.behind[queue] = True
        return place > card.done[queue]

    def door_run(self, tap: ModelTap) -> int:
        """The core served the transmit rings; return why something is still there, or 0."""
        assert tap.door is not None
        err = self._door_send(tap)
        tap.door.asks = not self.rests(tap, err)
        if tap.door.asks and tap.door.pending and err in (0, -errno.ENOSPC):
            err = self._door_send(tap)
            tap.door.asks = not self.rests(tap, err)
        self._door_offer(tap)
        return err

    def door_is_as_expected(self, tap: ModelTap) -> None:
        """Compare the rings with the model."""
        door, state = tap.door, tap.tap.door()
        assert (door is None) == (state is None)
        if door is None or state is None:
            return
        assert (state.tx_cons, state.free_prod) == (door.tx_cons, door.free_prod)
        assert state.bad_submit == door.bad_submit
        assert door.rings.asks() == door.asks
        own = tap.targets[0]
        # of a card that is gone, poll() tells; nobody ever looks at its taps' entries again
        looked_at = tap.in_flight or own.card.sending[own.queue] or own.card.gone
        if door.pending and not looked_at:
            assert door.asks, "entries wait, and nobody will look at them"


class Interrupt:
    """One that comes in the next call, when that has released so many spinlocks."""

    def __init__(
        self, world: World, card: ModelCard | None, irq: tuple[int, int, int], frames: list[Frame]
    ) -> None:
        self.world, self.card, self.came = world, card, False
        self.left, self.queue, self.complete = irq
        if card is not None:
            card.card.arm(self.left, self.queue, self.complete, frames)

    def unlocked(self) -> None:
        """The call released a lock; do to the model what the interrupt did, if it was now."""
        self.left -= 1
        if not self.left:
            self._happened(must=True)

    def over(self) -> None:
        """The call is over: it did not come later."""
        if self.card is not None and not self.came:
            assert self.card.card.disarm() is None, "it came when it should"

    def over_whenever(self) -> None:
        """The same for a call that releases many locks: it does not matter when it came."""
        self._happened(must=False)

    def _happened(self, *, must: bool) -> None:
        if self.card is None:
            return
        came = self.card.card.disarm()
        self.came = came is not None
        assert self.came or not must, "it came when it should"
        if came is None:
            return
        frames, completed = came
        assert completed == min(self.complete, len(self.card.sending[self.queue]))
        self.world.completed(self.card, self.queue, completed)
        self.world.settle_all()
        self.world.delivered(self.card, self.queue, frames, None)
