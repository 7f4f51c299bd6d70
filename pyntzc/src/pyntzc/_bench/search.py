# SPDX-License-Identifier: GPL-2.0-or-later
"""Binary search for the greatest load that is carried without a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """What one load came to.

    Attributes:
        lost: whether a frame was lost, or one came in wrong.
        reached: the load that was really offered, which may be less than was asked for.

    """

    lost: bool
    reached: int


@dataclass(frozen=True)
class Found:
    """Where a search ended.

    Attributes:
        load: the greatest that was carried without a loss; 0 if none was.
        limit: what keeps it from more: ``top`` (nothing more was asked for), ``loss``, or
            ``generator`` (no more could be offered).

    """

    load: int
    limit: str


def search(top: int, resolution: Callable[[int], int], attempt: Callable[[int], Attempt]) -> Found:
    """Return the greatest load from 1 to *top* that *attempt* carries without a loss.

    It tries *top* first, then halves what is left between a load that passed and one that did
    not, until that is no more than *resolution* says for the first (at least 1).

    Where the generator could not offer what it should, what it did offer counts: without a loss
    it has passed, and no more can be had; with one it bounds the search.
    """
    low, high = 0, top
    limit = "loss"
    first = attempt(top)
    if not first.lost:
        return Found(min(first.reached, top), "top" if first.reached >= top else "generator")
    high = max(min(first.reached, top), 1)
    while high - low > resolution(low):
        middle = (low + high) // 2
        tried = attempt(middle)
        if tried.lost:
            high, limit = middle, "loss"
        elif tried.reached < middle:
            # it was slower than it had been: no better load can be tried
            low = max(low, tried.reached)
            high, limit = middle, "generator"
        else:
            low = middle
    return Found(low, limit)
