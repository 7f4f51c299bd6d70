# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's steps, third part: taps send what they wrote, and forward what they hold."""

from __future__ import annotations

import errno
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.unit.core import harness
from tests.unit.core.cards import an_interrupt, some_picks, which
from tests.unit.core.harness import HANDLE_INDEX, HANDLE_TX, HEADROOM, Desc
from tests.unit.core.receiving import Receiving
from tests.unit.core.state import ModelDoor, ModelTap, buf_size_for
from tests.unit.core.world import TX_BATCH


class Sending(Receiving):
    """Taps send and forward."""

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
