# SPDX-License-Identifier: GPL-2.0-or-later
"""What the rules of test_stateful.py are made of: steps in the guest, and frames on the wire."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from .conftest import Bench
from .frames import HANDLE, flow_frame, frame
from .tapmodel import GENERATION, HANDLE_TX, ZEROS, Fanout, ModelTap

LENGTHS = [60, 61, 64, 65, 128, 1499, 1514]

# which of the things that are there: taken modulo their number
a_pick = st.integers(0, 99)
some_picks = st.lists(st.integers(0, 999), min_size=1, max_size=12)
a_door = st.sampled_from(["calls", "rings"])


class TapSteps(RuleBasedStateMachine):
    """The port and its model, without rules."""

    bench: ClassVar[Bench]
    flows: ClassVar[list[int]]  # that come in on queue 0; -1 is that of what is not IP
    patience_s: ClassVar[float]

    def __init__(self) -> None:
        super().__init__()
        self.guest = self.bench.vm.guest.modules["machine"].Machine(self.bench.iface)
        self.taps: dict[int, ModelTap] = {}
        self.fanout = Fanout(self.flows)
        self.keys = 0
        self.frames: list[bytes] = []  # by number
        self.handles: dict[int, int] = {}  # by number, once a tap has read it
        self.policy = (0, 0)
        self.up = True
        self.flaps = 0
        self.states: dict[int, dict[str, Any]] = {}
        self.port: dict[str, int] = {}
        self.quiet = True
        self.bench.wire.drain()
        self._step()
        if not self.quiet:
            # an example before this one lost buffers: only a new pool makes it the first again
            self._link("down")
            self._link("up")
            self._step()
        self.base = self.port
        self.taken = self.unclaimed = self.sent = 0

    def _step(self, *ops: tuple[Any, ...], probes: int = 0) -> list[Any]:
        """Have the guest do things; keep what all say afterwards.

        Args:
            ops: the things.
            probes: frames that a member of the fan-out group is to get, one that is not known.
        """
        due = tuple((key, tap.offered, tap.due) for key, tap in self.taps.items())
        total = sum(tap.offered for tap in self.taps.values()) + probes
        results: list[Any]
        answer = self.guest.step(due, total, self.patience_s, *ops)
        results, self.states, self.port, self.quiet = pickle.loads(answer)
        if not self.quiet:
            type(self).patience_s = 1  # what is lost does not come; shrinking need not wait for it
        for key, tap in self.taps.items():
            fresh = self.states[key]["fresh"]
            assert len(fresh) == tap.due or not self.quiet
            tap.due = 0
            for handle, offset in fresh:
                assert handle & HANDLE_TX and handle not in tap.reserved
                tap.reserved[handle] = (handle, offset, 0, 0, *ZEROS)
        return results

    def _key(self, pick: int) -> int:
        keys = list(self.taps)
        return keys[pick % len(keys)]

    def _busy_key(self, pick: int) -> int:
        """A tap that holds something, if one does."""
        keys = [key for key, tap in self.taps.items() if tap.read or tap.reserved]
        keys = keys or list(self.taps)
        return keys[pick % len(keys)]

    def _forget(self, key: int) -> None:
        del self.taps[key]
        if key in self.fanout.members:
            self.fanout.leave(key)

    def _handle(self, tap: ModelTap, pick: int) -> int:
        """A handle to give to the module: mostly one that the tap holds."""
        own = [*(desc[HANDLE] for desc in tap.read.values()), *tap.reserved]
        if own and pick % 6:
            return own[pick // 6 % len(own)]
        others = [
            handle
            for other in self.taps.values()
            if other is not tap
            for handle in (*(desc[HANDLE] for desc in other.read.values()), *other.reserved)
        ]
        around = [handle ^ bit for handle in own[:4] for bit in (GENERATION, HANDLE_TX)]
        rubbish = [0x000FFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x800FFFFF]
        choices = [
            handle
            for handle in (*tap.stale, *others, *around, *rubbish)
            # buffers may be named alike by chance, where nothing was read of them yet
            if self._number(tap, handle) is not None or not self._perhaps_held(tap, handle)
        ]
        return choices[pick // 6 % len(choices)]

    def _number(self, tap: ModelTap, handle: int) -> int | None:
        """Which frame the handle names that the tap holds; it need not have read it."""
        return next((n for n in tap.held if self.handles.get(n) == handle), None)

    def _perhaps_held(self, tap: ModelTap, handle: int) -> bool:
        """Whether a frame whose handle nobody knows yet might have this one."""
        known = handle in self.handles.values() or handle & 0xFFFFF == 0xFFFFF
        unknown = any(number not in self.handles for number in tap.held)
        return unknown and not known and not handle & HANDLE_TX

    def _take(self, tap: ModelTap, handle: int) -> tuple[bool, int | None]:
        """Whether the tap holds what the handle names, and which frame it is, if it is one."""
        number = self._number(tap, handle)
        return number is not None or handle in tap.reserved, number

    def _flow(self, pick: int) -> int:
        return self.flows[pick % 8] if pick % 8 < len(self.flows) else -1

    def _make(self, pick: int) -> int:
        """A new frame; return its number."""
        number, flow = len(self.frames), self._flow(pick)
        if flow < 0:
            self.frames.append(frame(number, LENGTHS[pick % len(LENGTHS)]))
        else:
            self.frames.append(flow_frame(flow, number))
        return number

    def _offer(self, picks: Sequence[int], numbers: Sequence[int]) -> None:
        """Frames reach the taps, in the model."""
        claimed: set[int] = set()
        for key, tap in self.taps.items():
            claimed |= tap.offer([
                (number, self.frames[number])
                for pick, number in zip(picks, numbers, strict=True)
                if self.fanout.gets(key, self._flow(pick))
            ])  # fmt: skip
        self.taken += len(numbers)
        self.unclaimed += len(numbers) - len(claimed)

    def _deliver(self, picks: Sequence[int]) -> None:
        """Frames go to the card, and into the model. The flows must be known."""
        numbers = [self._make(pick) for pick in picks]
        self._offer(picks, numbers)
        wire = [self.frames[number] for number in numbers]
        assert self.bench.wire.send_many(wire) == len(wire)

    def _settle(self, picks: Sequence[int]) -> None:
        """Find out whose the frames' flows are in the fan-out group, by a frame of each."""
        for pick in {self._flow(pick): pick for pick in picks}.values():
            if not self.fanout.is_open(self._flow(pick)):
                continue
            number = self._make(pick)
            before = {key: self.states[key]["stats"] for key in self.fanout.members}
            others = sum(key not in self.fanout.members for key in self.taps)
            self.bench.wire.send(self.frames[number])
            self._step(probes=1 + others)
            came = [
                key
                for key, old in before.items()
                if any(
                    self.states[key]["stats"][name] > old[name]
                    for name in ("received", "filtered", "lost_ring", "lost_quota")
                )
            ]
            assert len(came) == 1, f"members {came} of {list(before)} got the frame"
            self.fanout.found(self._flow(pick), came[0])
            self._offer([pick], [number])

    def _link(self, state: str) -> None:
        self.bench.vm.run(["ip", "link", "set", self.bench.iface, state])
        self.up = state == "up"
        if self.up:
            self.bench.vm.wait_carrier(0)
