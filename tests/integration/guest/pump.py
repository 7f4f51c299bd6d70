# SPDX-License-Identifier: GPL-2.0-or-later
"""A tap in the guest that sends frames of frames.py, in batches."""

from __future__ import annotations

import select

import abi
import frames


class Pump:
    """Sends on *name*."""

    def __init__(self, name: str, n_bufs: int = 512) -> None:
        self._tap = abi.Tap().attach(name, quota=1).setup_tx(n_bufs)

    def send(self, wanted: tuple[tuple[int, int], ...]) -> None:
        """Send frames of these (number, length in bytes), waiting for room."""
        poll = select.poll()
        poll.register(self._tap.fd, select.POLLOUT)
        while wanted:
            poll.poll()
            try:
                descs = self._tap.reserve(min(len(wanted), 64))
            except OSError:
                continue  # none free after all: wait again
            ready = [
                self._tap.fill(desc, frames.frame(*which))
                for desc, which in zip(descs, wanted, strict=False)
            ]
            wanted = wanted[len(ready) :]
            while ready:
                poll.poll()
                try:
                    ready = ready[self._tap.submit(*ready) :]
                except OSError as error:
                    if error.strerror != "No space left on device":
                        raise

    def send_run(self, start: int, count: int, len_bytes: int = 60) -> None:
        """As :meth:`send`, of *count* numbers from *start*, all of one length."""
        self.send(tuple((n, len_bytes) for n in range(start, start + count)))

    def stats(self) -> dict[str, int]:
        """The tap's counters once all is sent."""
        self._tap.drain()
        stats: dict[str, int] = self._tap.stats()
        return stats

    def close(self) -> None:
        self._tap.close()
