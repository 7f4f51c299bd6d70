# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules of test_stateful.py: sending, by TX_SUBMIT and through the transmit ring."""

from __future__ import annotations

import errno
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .frames import HANDLE, LEN, OFFSET, frame
from .tapmodel import HANDLE_TX, ZEROS, Entry, ModelTap
from .tapsteps import LENGTHS, TapSteps, a_pick, some_picks


class Sending(TapSteps):
    """What goes out."""

    @precondition(lambda self: any(tap.tx_size for tap in self.taps.values()))
    @rule(pick=a_pick, n=st.sampled_from([1, 2, 8, 100]))
    def reserve(self, pick: int, n: int) -> None:
        keys = [key for key, tap in self.taps.items() if tap.tx_size]
        key = keys[pick % len(keys)]
        tap = self.taps[key]
        free = tap.tx_free
        (got,) = self._step(("reserve", key, n))
        if not free:
            assert got == -errno.ENOBUFS
            return
        assert len(got) == min(n, free)
        for desc in got:
            assert desc[HANDLE] & HANDLE_TX and desc[HANDLE] not in tap.reserved
            assert desc[LEN] >= 1514 and not any((desc[2], *desc[4:]))
            tap.reserved[desc[HANDLE]] = desc

    def _entry(self, tap: ModelTap, handle: int) -> Entry:
        """A descriptor to submit; a reserved buffer gets a new frame."""
        number = self._number(tap, handle)
        if number is not None:
            known = next(t.read[number] for t in self.taps.values() if number in t.read)
            return Entry(handle, (handle, known[OFFSET], 0, known[LEN], *ZEROS))
        if handle in tap.reserved:
            number = len(self.frames)
            len_bytes = LENGTHS[(handle + number) % len(LENGTHS)]
            self.frames.append(frame(number, len_bytes))
            desc = (handle, tap.reserved[handle][OFFSET], 0, len_bytes, *ZEROS)
            return Entry(handle, desc, number, len_bytes)
        return Entry(handle, (handle, 128, 0, 60, *ZEROS))

    def _entries(self, tap: ModelTap, picks: list[int]) -> list[Entry]:
        """Each once, but for those that are refused: a program fills a buffer once."""
        waiting = {entry.handle for entry in tap.pending}
        handles = dict.fromkeys(self._handle(tap, p) for p in picks)
        entries = [
            self._entry(tap, h) for h in handles if h not in waiting and self._sendable(tap, h)
        ]
        for entry in entries:
            if self._take(tap, entry.handle)[0] and (entry.handle + picks[-1]) % 7 == 0:
                entry.spoil(picks[-1])
        if entries and picks[0] % 3 == 0:  # again what goes just now
            entries.append(Entry(entries[0].handle, entries[0].desc))
            entries[-1].malformed = entries[0].malformed
        return entries

    def _refusal(self, tap: ModelTap, entry: Entry) -> int:
        """Why the module refuses to send, or 0."""
        holds, _ = self._take(tap, entry.handle)
        if not holds:
            return -errno.EINVAL if entry.malformed else -errno.ESTALE
        if entry.malformed:
            return -errno.EINVAL
        return 0 if self.up else -errno.ENETDOWN

    def _accept(self, tap: ModelTap, entry: Entry) -> bytes:
        """The frame that goes out."""
        received = self._number(tap, entry.handle)
        tap.drop(entry.handle, received)
        tap.submitted += 1
        tap.forwarded += received is not None
        tap.completed += received is None
        self.sent += 1
        return self.frames[entry.number if received is None else received]

    def _run_door(self, tap: ModelTap) -> list[bytes]:
        """The module looks at the transmit rings: at a KICK, or as a buffer comes back."""
        if not tap.tx_rings:
            return []
        sent = []
        while tap.pending:
            refusal = self._refusal(tap, tap.pending[0])
            if refusal == -errno.ENETDOWN:
                break
            entry = tap.pending.popleft()
            if not refusal:
                sent.append(self._accept(tap, entry))
                continue
            tap.bad_submit += 1
            if self._take(tap, entry.handle)[0]:
                tap.drop(entry.handle, self._number(tap, entry.handle))
        tap.due = tap.tx_free
        return sent

    def _arrive(self, sent: list[bytes]) -> None:
        got = self.bench.wire.recv_many(len(sent), self.patience_s)
        assert got == sent, "in order, and intact"

    @precondition(lambda self: any(tap.read or tap.reserved for tap in self.taps.values()))
    @rule(
        pick=a_pick,
        picks=some_picks,
        then=st.sampled_from(["", "", "", "", "close", "kill"]),
        door=st.sampled_from(["rings", "rings", "calls"]),
    )
    def submit(self, pick: int, picks: list[int], then: str, door: str) -> None:
        """Own buffers and received frames mixed; some programs end before the card has sent."""
        key = self._busy_key(pick)
        tap = self.taps[key]
        rings = tap.tx_rings and door == "rings"
        entries = self._entries(tap, picks)[: tap.tx_room if rings else None]
        if not entries:
            return
        wanted = tuple((entry.desc, entry.number, entry.len_bytes) for entry in entries)
        expect, sent = (self._queue if rings else self._submit)(tap, entries)
        ops: list[tuple[Any, ...]] = [("queue" if rings else "submit", key, wanted)]
        if then and len(self.taps) > 1 and not tap.pending:
            ops.append((then, key))
            self._forget(key)
        assert self._step(*ops)[0] == expect
        self._arrive(sent)

    def _submit(self, tap: ModelTap, entries: list[Entry]) -> tuple[int | None, list[bytes]]:
        """By TX_SUBMIT: up to the first that is refused."""
        sent: list[bytes] = []
        completed, refusal = tap.completed, 0
        for entry in entries:
            refusal = self._refusal(tap, entry)
            if refusal:
                break
            sent.append(self._accept(tap, entry))
        result = len(sent) or refusal
        if tap.completed > completed:
            sent += self._run_door(tap)
        return result, sent

    def _queue(self, tap: ModelTap, entries: list[Entry]) -> tuple[int | None, list[bytes]]:
        """Through the ring: those that are refused are passed over."""
        tap.pending.extend(entries)
        sent = self._run_door(tap)
        return (-errno.ENETDOWN if tap.pending else None), sent

    def _sendable(self, tap: ModelTap, handle: int) -> bool:
        """Whether the test knows where the frame lies, if the tap may send it."""
        number = self._number(tap, handle)
        return number is None or any(number in t.read for t in self.taps.values())
