# SPDX-License-Identifier: GPL-2.0-or-later
"""A tap in the guest that checks what it reads, frame by frame, without asking the host."""

from __future__ import annotations

import abi
import frames


class Checker:
    """Takes frames of frames.py from *name* in order."""

    def __init__(self, name: str, ring_size: int = 4096) -> None:
        self._tap = abi.Tap().attach(name, ring_size=ring_size).map()

    def take(self, expected: tuple[tuple[int, int], ...], timeout_s: float = 30) -> str:
        """Read, compare and release frames; return the first fault, or nothing.

        Args:
            expected: (number, length in bytes) of each.
        """
        descs = self._tap.read_all(len(expected), timeout_s)
        fault = ""
        if len(descs) != len(expected):
            fault = f"{len(descs)} of {len(expected)} frames came: {self._tap.stats()}"
        for desc, (number, len_bytes) in zip(descs, expected, strict=False):
            if not fault and self._tap.data(desc) != frames.frame(number, len_bytes):
                fault = f"frame {number}, {len_bytes} bytes, is not as sent: {desc}"
        self._tap.release(*(desc[0] for desc in descs))
        return fault

    def take_run(self, start: int, count: int, len_bytes: int = 60) -> str:
        """As :meth:`take`, of *count* numbers from *start*, all of one length."""
        return self.take(tuple((n, len_bytes) for n in range(start, start + count)))

    def skip(self, count: int, timeout_s: float = 30) -> int:
        """Read and release up to *count* frames; return how many there were."""
        descs = self._tap.read_all(count, timeout_s)
        if descs:
            self._tap.release(*(desc[0] for desc in descs))
        return len(descs)

    def stats(self) -> dict[str, int]:
        stats: dict[str, int] = self._tap.stats()
        return stats

    def close(self) -> None:
        self._tap.close()
