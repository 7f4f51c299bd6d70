# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc send``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

import pyntzc
from pyntzc import NtzcError, Tap
from pyntzc._cli._common import TICK_S, Stop, note, progress, stop_on_signals
from pyntzc._libntzc import lib
from pyntzc._pcapng import read

_BATCH = 64
_DRAIN_S = 5.0


class _Source:
    """The frames of a file that this card can send, from the start again when asked to."""

    def __init__(self, path: Path, frame_max: int) -> None:
        self._path = path
        self._frame_max = frame_max
        self.skipped = 0

    def frames(self, again: bool) -> Iterator[bytes]:
        """Go through them, once or for ever."""
        while True:
            found = 0
            for data, orig_len in read(self._path):
                if len(data) < orig_len or not lib.NTZC_MIN_FRAME <= len(data) <= self._frame_max:
                    self.skipped += 1
                    continue
                found += 1
                yield data
            if not found:
                raise NtzcError(
                    f"{self._path}: no whole frame of {lib.NTZC_MIN_FRAME} to {self._frame_max} "
                    f"bytes ({self.skipped} others)"
                )
            if not again:
                return


def _due(start: float, rate: float | None, sent: int, stop: Stop) -> int:
    """Wait until a frame is due; return how many are, at most a batch, 0 when told to stop."""
    while not stop:
        if rate is None:
            return _BATCH
        ahead = sent - (time.monotonic() - start) * rate
        if ahead <= 0:
            return min(int(-ahead) + 1, _BATCH)
        time.sleep(min(ahead / rate, TICK_S))
    return 0


def _send(
    tap: Tap, frames: Iterator[bytes], rate: float | None, count: int | None, stop: Stop
) -> int:
    """Send *frames* until they or *count* end, or told to stop; return how many."""
    start = time.monotonic()
    sent = 0

    with progress(True, lambda: f"{sent} packets sent") as update:
        while not stop and sent != count:
            due = _due(start, rate, sent, stop)
            pending = list(islice(frames, due if count is None else min(due, count - sent)))
            if not pending:
                break
            while pending and not stop:
                try:
                    done = tap.send(pending, timeout_s=TICK_S)
                except (pyntzc.RingFullError, pyntzc.NoBufferError):
                    continue  # the card is slow: see whether to stop, and go on
                sent += done
                del pending[:done]
                update()
    return sent


@click.command("send")
@click.argument("iface")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, exists=True))
@click.option(
    "-r",
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="PPS",
    help="Packets a second; as fast as it goes if not given.",
)
@click.option(
    "-c",
    "--count",
    type=click.IntRange(min=1),
    help="Packets to send in all, from the start of FILE again if need be.",
)
def command(iface: str, path: Path, rate: float | None, count: int | None) -> None:
    """Send the packets of FILE (pcap or pcapng) through the card IFACE.

    Their times are not followed. Packets that the capture cut, and those too long for the
    card's MTU, are skipped and counted.
    """
    with stop_on_signals() as stop, pyntzc.open(iface, ring_size=1, promisc=False) as tap:
        source = _Source(path, tap.frame_max)
        start = time.monotonic()
        sent = _send(tap, source.frames(count is not None), rate, count, stop)
        try:
            tap.drain(_DRAIN_S)
        except pyntzc.TimedOutError:
            note("the card has not sent everything yet; what is left is dropped")
        seconds = max(time.monotonic() - start, 1e-9)
        stats = tap.stats()
        note(
            f"{sent} packets sent in {seconds:.3f} s ({sent / seconds:.0f} a second), "
            f"failed {stats.tx_failed}, skipped {source.skipped}"
        )
        if stats.tx_failed or stats.tx_in_flight:
            raise NtzcError("not all packets went out")
