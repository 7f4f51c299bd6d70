# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc bridge``."""

from __future__ import annotations

import json
import select
import time
from contextlib import ExitStack

import click

import pyntzc
from pyntzc import Batch, Port, Tap, Target
from pyntzc._cli._common import (
    TICK_S,
    Stop,
    losses,
    note,
    open_tap,
    progress,
    stop_on_signals,
)

_BATCH = 256
_TURN = 8  # batches
_FULL_S = 0.001  # to wait for room in a card's ring


class _Way:
    """One of the two ways: from the card of a tap to the card of its target."""

    def __init__(self, tap: Tap, target: Target) -> None:
        self.tap = tap
        self._target = target
        self._batch: Batch | None = None
        self._left = 0
        self.forwarded = 0
        self.refused = 0

    @property
    def name(self) -> str:
        return f"{self.tap.interface} -> {self._target.interface}"

    @property
    def blocked(self) -> bool:
        """Whether it waits for room: what comes in meanwhile waits in the tap's ring."""
        return self._batch is not None

    def step(self) -> None:
        """Forward what waits, as far as the other card has room."""
        for _ in range(_TURN):  # and then the other way's turn comes
            if self._batch is None:
                batch = self.tap.recv(_BATCH, 0)
                if not batch:
                    return
                self._batch, self._left = batch, len(batch)
            try:
                self._count(self.tap.forward(self._batch, 0, to=self._target))
            except pyntzc.RingFullError:
                return
            except pyntzc.InterfaceDownError:
                self._refuse()
            except pyntzc.InvalidArgumentError:
                self._singly(self._batch)
            if not self._left:
                self._batch.release()
                self._batch = None

    def _count(self, sent: int) -> None:
        self.forwarded += sent
        self._left -= sent

    def _refuse(self) -> None:
        self.refused += self._left
        self._left = 0

    def _singly(self, batch: Batch) -> None:
        """There is a frame that the other card cannot send, too long for it: forward the rest."""
        for index in range(len(batch) - self._left, len(batch)):
            try:
                self._count(self.tap.forward(batch[index], TICK_S, to=self._target))
            except (pyntzc.InvalidArgumentError, pyntzc.RingFullError):
                self.refused += 1
                self._left -= 1
            except pyntzc.InterfaceDownError:
                self._refuse()
                return

    def summary(self) -> dict[str, object]:
        """What it did, for scripts."""
        stats = self.tap.stats()
        lost = {name: getattr(stats, name) for name in ("lost_ring", "lost_quota", "lost_pool")}
        counts = {"forwarded": self.forwarded, "refused": self.refused, "missed": stats.missed}
        ends = {"from": self.tap.interface, "to": self._target.interface}
        return {**ends, **counts, "filtered": stats.filtered, **lost}

    def line(self) -> str:
        """What it did, for people."""
        stats = self.tap.stats()
        return (
            f"{self.name}: {self.forwarded} forwarded, {self.refused} could not be sent, "
            f"filtered {stats.filtered}, {losses(stats)}"
        )


def _run(ways: tuple[_Way, _Way], stop: Stop, duration_s: float | None) -> None:
    end = None if duration_s is None else time.monotonic() + duration_s

    def describe() -> str:
        return "; ".join(f"{way.name}: {way.forwarded}" for way in ways)

    with progress(True, describe) as update:
        while not stop:
            for way in ways:
                way.step()
            update()
            left = TICK_S if end is None else min(TICK_S, end - time.monotonic())
            if left <= 0:
                break
            poller = select.poll()
            for way in ways:
                if way.blocked:
                    left = min(left, _FULL_S)
                else:
                    poller.register(way.tap, select.POLLIN)
            poller.poll(left * 1000)


def _warn_of_lengths(a: Tap, b: Tap) -> None:
    if a.frame_max != b.frame_max:
        small = min((a, b), key=lambda tap: tap.frame_max)
        note(
            f"frames of more than {small.frame_max} bytes do not pass, as that is the most that "
            f"{small.interface} sends: give both cards the same MTU"
        )


@click.command("bridge")
@click.argument("a")
@click.argument("b")
@click.argument("words", metavar="[FILTER]...", nargs=-1)
@click.option(
    "-d",
    "--duration",
    "duration_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End after so long.",
)
@click.option("--ring", type=int, default=0, metavar="N", help="Packets that may wait, per queue.")
@click.option("--quota", type=int, default=0, metavar="N", help="Packets to hold, per queue.")
@click.option("--json", "as_json", is_flag=True, help="At the end, print a JSON object a way.")
def command(
    a: str,
    b: str,
    words: tuple[str, ...],
    duration_s: float | None,
    ring: int,
    quota: int,
    as_json: bool,
) -> None:
    """Join the cards A and B: what one receives the other sends, without a copy.

    FILTER (see pcap-filter(7)) says which packets pass, both ways: 'not port 25'. Other taps
    on the cards see all. It ends at Ctrl-C, and tells what passed and what was lost, by cause.
    """
    ports = Port.find(a), Port.find(b)
    if ports[0].id == ports[1].id:
        raise click.UsageError(
            f"{a} and {b} are the same card: a bridge joins two; 'ntzc list' shows them"
        )
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        taps = [
            stack.enter_context(open_tap(port, words, ring_size=ring, quota=quota))
            for port in ports
        ]
        ways = (
            _Way(taps[0], taps[0].add_target(ports[1])),
            _Way(taps[1], taps[1].add_target(ports[0])),
        )
        _warn_of_lengths(*taps)
        note(f"bridging {taps[0].interface} and {taps[1].interface}; Ctrl-C ends it")
        try:
            _run(ways, stop, duration_s)
        finally:  # also when a card goes
            for way in ways:
                if as_json:
                    click.echo(json.dumps(way.summary()))
                note(way.line())
