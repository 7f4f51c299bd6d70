# SPDX-License-Identifier: GPL-2.0-or-later
"""Arithmetic: rates of a line, percentiles of counted latencies, spreads of repeated trials."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

NS_PER_S = 1_000_000_000
FCS_BYTES = 4
"""Frame check sequence: part of a frame's size, not of what is in memory."""

OVERHEAD_BYTES = 20
"""What a frame takes on the line besides: preamble and start delimiter (8), gap (12);
IEEE 802.3, clauses 3.1.1 and 4.4.2."""

_PART_BITS = 7  # as in pyntzc/meter/account.c
_PARTS = 1 << _PART_BITS


def line_rate_fps(size_bytes: int, speed_mbit_s: int) -> int:
    """Return how many frames of *size_bytes* a line of *speed_mbit_s* carries a second."""
    return speed_mbit_s * 1_000_000 // ((size_bytes + OVERHEAD_BYTES) * 8)


def l1_bits(size_bytes: int) -> int:
    """Return the bits that a frame takes on the line, preamble and gap included."""
    return (size_bytes + OVERHEAD_BYTES) * 8


def l2_bits(size_bytes: int) -> int:
    """Return the bits of a frame itself, its check sequence included."""
    return size_bytes * 8


def bucket_end_ns(bucket: int) -> int:
    """Return the greatest latency that ``ntzc_meter_bucket()`` counts in *bucket*."""
    if bucket < _PARTS:
        return bucket
    shift = bucket // _PARTS - 1
    return ((bucket % _PARTS + _PARTS + 1) << shift) - 1


class Latency(NamedTuple):
    """How long frames took, nanoseconds.

    The percentiles are the ends of the buckets that latencies are counted in: never less than
    the true ones, and greater by less than 1/128. All are 0 if *frames* is.
    """

    frames: int
    """Frames that were timed."""
    min_ns: int
    """Of the quickest."""
    median_ns: int
    """Half of them took no longer. RFC 8219 calls it the typical latency."""
    p99_ns: int
    """99 % took no longer."""
    p999_ns: int
    """99.9 % took no longer. RFC 8219 calls it the worst case."""
    max_ns: int
    """Of the slowest."""


def latency(counts: Sequence[int], min_ns: int, max_ns: int) -> Latency:
    """Return the percentiles of latencies that were counted by bucket.

    *counts* has the number of frames in each bucket, *min_ns* and *max_ns* are exact.
    """
    total = sum(counts)
    if not total:
        return Latency(0, 0, 0, 0, 0, 0)
    # nearest rank: the first latency that so many, rounded up, do not exceed
    ranks = [-(-total * permille // 1000) for permille in (500, 990, 999)]
    found: list[int] = []
    below = 0
    for bucket, count in enumerate(counts):
        below += count
        while len(found) < len(ranks) and below >= ranks[len(found)]:
            found.append(min(max(bucket_end_ns(bucket), min_ns), max_ns))
    median_ns, p99_ns, p999_ns = found
    return Latency(total, min_ns, median_ns, p99_ns, p999_ns, max_ns)


class Spread(NamedTuple):
    """A figure over repeated trials."""

    median: int
    """Of an even number, the lower of the two in the middle: a figure that was measured."""
    minimum: int
    maximum: int
    trials: int
    """How many trials."""


def spread(values: Sequence[int]) -> Spread:
    """Return the median, least and greatest of *values*, at least one."""
    return Spread(statistics.median_low(values), min(values), max(values), len(values))
