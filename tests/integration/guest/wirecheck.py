# SPDX-License-Identifier: GPL-2.0-or-later
"""Taps in the guest that take whatever frames come, however odd, filtered and not."""

from __future__ import annotations

import abi
import filters
import frames


class Taps:
    """A tap on *name* that gets all, and one for each classic program."""

    def __init__(self, name: str, programs: tuple[bytes, ...]) -> None:
        self._all = abi.Tap().attach(name, ring_size=4096).map()
        self._filtered = [
            abi.Tap().filter_classic(program).attach(name, ring_size=4096).map()
            for program in programs
        ]

    def until(self, last: bytes) -> tuple[list[bytes], list[list[bytes]], str]:
        """Take all frames up to *last*.

        Returns:
            The frames as they were on the wire; by filter, those that it admitted; and what is
            amiss with a descriptor, or nothing.
        """
        taken: list[bytes] = []
        fault = ""
        while not taken or taken[-1] != last:
            descs = self._all.read_all(1)
            if not descs:
                return taken, [], "the last frame did not come"
            for desc in descs:
                fault = fault or self._amiss(desc)
                taken.append(frames.with_tag(desc, self._all.data(desc)))
            self._all.release(*(desc[frames.HANDLE] for desc in descs))
        offered = self._all.stats()["received"]
        filters.settle(self._filtered, offered)
        return taken, [filters.take_all(tap) for tap in self._filtered], fault

    def _amiss(self, desc: tuple[int, ...]) -> str:
        size = self._all.field("buf_size")
        inside = desc[frames.OFFSET] % size
        if inside + desc[frames.LEN] > size or desc[frames.LEN] > self._all.field("frame_max"):
            return f"the frame is not in its buffer: {desc}"
        if desc[frames.ORIG_LEN] != desc[frames.LEN] or desc[frames.QUEUE]:
            return f"a field is wrong: {desc}"
        return ""

    def close(self) -> None:
        for tap in (self._all, *self._filtered):
            tap.close()
