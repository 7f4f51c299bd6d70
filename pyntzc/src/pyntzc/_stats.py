# SPDX-License-Identifier: GPL-2.0-or-later
"""What taps got, lost and hold: counters of one's own tap, and of all taps on a card."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from pyntzc._libntzc import ffi, lib


class TapStats(NamedTuple):
    """What one tap got and lost since it was opened.

    ``received + filtered + lost`` are the frames that its queues delivered since then; for a
    member of a fan-out group, those of its flows.
    """

    received: int
    """Frames put in the tap's rings."""
    received_bytes: int
    """Their bytes."""
    lost_ring: int
    """Frames lost because the tap's ring was full: read more often, or a larger ring_size."""
    lost_quota: int
    """Frames lost because the tap held its quota: release sooner, or a larger quota."""
    lost_pool: int
    """Frames lost because the pool had no buffer to spare for the card: a larger pool."""
    released: int
    """Frames given back."""
    waiting: int
    """Frames that wait to be read."""
    held: int
    """Frames held now, waiting ones included."""
    tx_reserved: int
    """Transmit buffers that are reserved now."""
    tx_submitted: int
    """Frames accepted for sending, forwarded ones included."""
    tx_forwarded: int
    """Of those, frames sent by reference."""
    tx_completed: int
    """The tap's own transmit buffers that came back as sent."""
    tx_failed: int
    """The tap's own transmit buffers that came back unsent (link down, reset)."""
    tx_in_flight: int
    """The tap's own transmit buffers that the card has now."""
    tx_free: int
    """The tap's transmit buffers that can be reserved."""
    filtered: int
    """Frames that the tap's filter refused."""
    missed: int
    """Frames that the card dropped for want of a buffer, since the tap was opened."""
    bad_release: int
    """Frames that were given back and not held: a fault of the program's, ignored."""
    bad_submit: int
    """Frames that were to be sent and could not be: a fault of the program's, ignored."""

    @property
    def lost(self) -> int:
        """Frames lost, whatever the cause, but for those that the card missed."""
        return self.lost_ring + self.lost_quota + self.lost_pool


def tap_stats(stats: Any) -> TapStats:
    """Return C's structure as ours."""
    return TapStats(*(getattr(stats, name) for name in TapStats._fields))


class TapFlag(enum.IntFlag):
    """What a tap asked for."""

    FILTER = lib.NTZC_TAP_FILTER
    """It has a filter."""
    PROMISC = lib.NTZC_TAP_PROMISC
    """It made the interface promiscuous."""
    HOST = lib.NTZC_TAP_HOST
    """It gets what the host sends."""


class TapInfo(NamedTuple):
    """A tap of any program: who has it, and what it holds."""

    id: int
    """Its :attr:`Tap.tap_id`."""
    pid: int
    """Of the process that opened it; 0 if it is in another pid namespace."""
    uid: int
    """Its user."""
    comm: str
    """Name of the process when it opened the tap."""
    flags: TapFlag
    """What it asked for."""
    fanout: int
    """Its fan-out group, or 0."""
    queues: tuple[int, ...]
    """The card's receive queues that it reads."""
    ring_size: int
    """Frames that may wait, per queue."""
    quota: int
    """Frames that it may hold, per queue."""
    oldest_ns: int
    """How long it has held the frame that it holds longest, nanoseconds; 0 if none."""
    stats: TapStats
    """What it got and lost."""


def tap_info(info: Any) -> TapInfo:
    """Return C's structure as ours."""
    return TapInfo(
        id=info.tap_id,
        pid=info.pid,
        uid=info.uid,
        # its owner chose it: nothing in it that a terminal would obey
        comm="".join(
            c if c.isprintable() else "?" for c in ffi.string(info.comm).decode(errors="replace")
        ),
        flags=TapFlag(info.flags),
        fanout=info.fanout,
        queues=bits(info.queues),
        ring_size=info.ring_size,
        quota=info.quota,
        oldest_ns=info.oldest_ns,
        stats=tap_stats(info.stats),
    )


def bits(mask: int) -> tuple[int, ...]:
    """Return which bits are set."""
    return tuple(bit for bit in range(mask.bit_length()) if mask >> bit & 1)
