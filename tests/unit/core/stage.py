# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the examples play: a core, cards and taps, and nothing left behind."""

from __future__ import annotations

from typing import Any

from tests.unit.core import harness
from tests.unit.core.harness import Frame


class Stage:
    """A core, and a way to leave it clean."""

    def __init__(self) -> None:
        self.core = harness.core()
        self.taps: list[harness.Tap] = []
        self.cards: list[harness.Card] = []

    def card(self, **config: Any) -> harness.Card:
        card = self.core.card(**config)
        self.cards.append(card)
        assert card.up() == 0
        return card

    def tap(self, **attach: Any) -> harness.Tap:
        tap = self.core.tap()
        self.taps.append(tap)
        tap.attach(**attach)
        return tap

    def close(self, tap: harness.Tap) -> None:
        self.taps.remove(tap)
        tap.close()

    def end(self) -> None:
        for card in self.cards:
            card.check()
            card.stats()  # which add up
        for tap in self.taps:
            tap.close()
        for card in self.cards:
            card.remove()
        self.core.settle()
        for card in self.cards:
            card.free()
        assert self.core.live() == harness.NOTHING


def frames(n: int, *, seed: int = 0, length: int = 60) -> list[Frame]:
    return [Frame(seed + i, length) for i in range(n)]


def pump(card: harness.Card, queue: int, n: int) -> None:
    """Let n frames arrive, a ringful at a time."""
    while n > 0:
        came = card.receive(queue, frames(min(n, 8)))
        assert came, "the card has no buffer any more"
        n -= len(came)
        card.refill(queue)
