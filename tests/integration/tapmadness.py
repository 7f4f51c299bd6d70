# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules of test_stateful.py: programs that spoil their rings. Each harms itself alone."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .frames import HANDLE
from .tapmodel import ModelTap
from .tapsending import Sending
from .tapsteps import a_pick


class Madness(Sending):
    """What is no error of the module's."""

    @precondition(lambda self: self.taps)
    @rule(
        pick=a_pick,
        way=st.sampled_from(["release", "transmit", "kernel", "receive", "queue"]),
        by=st.sampled_from([1, 2, 5, 100, 1 << 20, 1 << 31, -1, -3]),
    )
    def go_mad(self, pick: int, way: str, by: int) -> None:
        """One rule, so that sane programs remain the most; what was mad before is cured first."""
        mad = [key for key, tap in self.taps.items() if tap.spoiled]
        if mad:
            self.mend(mad)
            return
        key = self._key(pick)
        getattr(self, f"_spoil_{way}")(key, self.taps[key], by)

    def mend(self, keys: list[int]) -> None:
        """Nothing but what came meanwhile is lost."""
        for key in keys:
            self.taps[key].spoiled = False
        self._step(*(("mend", key) for key in keys))

    def _spoil_release(self, key: int, tap: ModelTap, by: int) -> None:
        """More entries than there are places: none means anything."""
        tap.bad_release += 1
        most = tap.release_size if by > 0 else 0
        assert self._step(("spoil", key, "release.prod", most + by)) == [None]

    def _spoil_transmit(self, key: int, tap: ModelTap, by: int) -> None:
        """As above, and what waited there is not sent; its buffers stay the tap's."""
        if not tap.tx_rings:
            self._spoil_kernel(key, tap, by)
            return
        tap.pending.clear()
        tap.bad_submit += 1
        tap.due = tap.tx_free
        most = tap.tx_size * 2 if by > 0 else 0
        assert self._step(("spoil", key, "tx.prod", most + by)) == [None]

    def _spoil_kernel(self, key: int, tap: ModelTap, by: int) -> None:
        """The kernel does not read back what it told."""
        sent = self._run_door(tap)
        self._step(("spoil", key, "others", by))
        self._arrive(sent)

    def _spoil_receive(self, key: int, tap: ModelTap, by: int) -> None:
        """Skip frames, or see old ones again, or read from nowhere: then nothing comes."""
        if 0 < by <= len(tap.waiting):
            tap.pop(by)
        elif 0 < -by <= min(len(tap.past), tap.ring - len(tap.waiting)):
            tap.rewind(-by)
        else:
            tap.spoiled = True
            assert self._step(("spoil", key, "rx.prod", abs(by))) == [None]
            return
        assert self._step(("spoil", key, "rx.cons", by)) == [None]

    def _spoil_queue(self, key: int, tap: ModelTap, by: int) -> None:
        """A queue's release ring takes that queue's frames only."""
        if tap.n_queues < 2:
            self._spoil_receive(key, tap, by)
            return
        handles = tuple(desc[HANDLE] for desc in tap.read.values())[: tap.release_size]
        tap.bad_release += len(handles)
        assert self._step(("put", key, handles, 1)) == [None]
