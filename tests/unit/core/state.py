# SPDX-License-Identifier: GPL-2.0-or-later
"""What the model knows of each tap and card, and the filters that it tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.unit.core import harness
from tests.unit.core.harness import HEADROOM, Desc, Frame, Sent

FRAME_SLACK = 12
BUF_TAIL = 320


def buf_size_for(frame_max: int) -> int:
    """Smallest buffer for such frames."""
    size = 2048
    while size < HEADROOM + frame_max + FRAME_SLACK + BUF_TAIL:
        size *= 2
    return size


# ---- filters: a classic program, and what it should say of a frame's bytes ----

LD_B_ABS, LD_H_ABS, LD_B_IND, LD_LEN = 0x30, 0x28, 0x50, 0x80
AND_K, SUB_K, DIV_K, TAX = 0x54, 0x14, 0x34, 0x07
JA, JEQ_K, JGT_K, JSET_K, RET_K = 0x05, 0x15, 0x25, 0x45, 0x06
ALL = (RET_K, 0, 0, 0xFFFFFFFF)
NONE = (RET_K, 0, 0, 0)
EBPF, EBPF_OTHER = 7, 8  # file descriptors of loaded programs, as the stand-in has them


class Filter(NamedTuple):
    """One filter; ``program`` is None for one that was loaded by other means."""

    program: list[tuple[int, int, int, int]] | None
    admits: Callable[[bytes], bool]


def _tag(data: bytes) -> int:
    return int.from_bytes(data[14:16], "big") if data[12:14] == b"\x81\x00" else -1


FILTERS = [
    Filter([ALL], lambda data: True),
    Filter([NONE], lambda data: False),
    Filter([(LD_B_ABS, 0, 0, 0), (JSET_K, 0, 1, 1), NONE, ALL], lambda data: not data[0] & 1),
    Filter([(LD_LEN, 0, 0, 0), (JGT_K, 0, 1, 100), ALL, NONE], lambda data: len(data) > 100),
    Filter([(LD_H_ABS, 0, 0, 12), (JEQ_K, 0, 1, 0x8100), ALL, NONE], lambda data: _tag(data) >= 0),
    Filter(
        [
            (LD_H_ABS, 0, 0, 12),
            (JEQ_K, 0, 4, 0x8100),
            (LD_H_ABS, 0, 0, 14),
            (AND_K, 0, 0, 15),
            (JEQ_K, 0, 1, 5),
            ALL,
            NONE,
        ],
        lambda data: _tag(data) & 15 == 5 and _tag(data) >= 0,
    ),
    Filter(  # the last byte
        [
            (LD_LEN, 0, 0, 0),
            (SUB_K, 0, 0, 1),
            (TAX, 0, 0, 0),
            (LD_B_IND, 0, 0, 0),
            (JSET_K, 0, 1, 1),
            ALL,
            NONE,
        ],
        lambda data: bool(data[-1] & 1),
    ),
    Filter(None, lambda data: len(data) > 64),
]

# programs that the kernel must refuse
BAD_FILTERS: list[list[tuple[int, int, int, int]]] = [
    [],
    [(LD_LEN, 0, 0, 0)],  # falls off its end
    [(JEQ_K, 5, 0, 0), ALL],  # jumps behind its end
    [(JA, 0, 0, 1), ALL],
    [(DIV_K, 0, 0, 0), ALL],
    [(0xFFFF, 0, 0, 0), ALL],
    [ALL] * 4097,
]


def seen_by_filters(frame: Frame, data: bytes) -> bytes:
    """The frame with the tag that the card stripped."""
    if not frame.flags & harness.VLAN:
        return data
    return data[:12] + b"\x81\x00" + frame.vlan_tci.to_bytes(2, "big") + data[12:]


# ---- taps and cards ----


@dataclass
class ModelChan:
    """One queue's way into one tap."""

    size: int
    rings: harness.RxRings
    received: int = 0
    received_bytes: int = 0
    lost_ring: int = 0
    lost_quota: int = 0
    lost_pool: int = 0
    filtered: int = 0
    bad_release: int = 0
    release_cons: int = 0
    slots: list[Frame | None] = field(default_factory=list)  # None: whatever the program wrote

    @property
    def waiting(self) -> int:
        """Frames that read() can take: what the program made of it."""
        n = (self.received - self.rings.rx.cons) & harness.MASK32
        return n if n <= self.size else 0

    @property
    def space(self) -> int:
        """Frames that there is room for."""
        used = (self.received - self.rings.rx.cons) & harness.MASK32
        return self.size - used if used <= self.size else 0

    @property
    def given_back(self) -> int:
        """Entries of the release ring that the kernel has not looked at."""
        return int((self.rings.back.prod - self.release_cons) & harness.MASK32)


@dataclass
class ModelDoor:
    """Transmit rings."""

    rings: harness.TxRings
    size: int
    tx_cons: int = 0
    free_prod: int = 0
    bad_submit: int = 0
    asks: bool = True

    @property
    def pending(self) -> int:
        """Entries that the kernel has not looked at."""
        return int((self.rings.tx.prod - self.tx_cons) & harness.MASK32)


@dataclass
class Target:
    """Where a tap can send; the number of queues may have changed since."""

    card: ModelCard
    queue: int
    mapped_tx: bool = True


@dataclass(eq=False)
class ModelTap:
    """What one tap has."""

    tap: harness.Tap
    card: ModelCard
    got: Any
    chans: dict[int, ModelChan]
    promisc: bool
    fanout: int
    targets: list[Target]
    filter: Filter | None = None
    held: dict[int, tuple[Frame, int]] = field(default_factory=dict)
    tx_size: int = 0
    tx_buf: int = 0
    door: ModelDoor | None = None
    reserved: dict[int, Desc] = field(default_factory=dict)
    in_flight: int = 0
    submitted: int = 0
    forwarded: int = 0
    place: int = 0  # of the own card's queue's frames, with the last forwarded
    completed: int = 0
    failed: int = 0
    stale: list[int] = field(default_factory=list)

    @property
    def buf_size(self) -> int:
        """Bytes in a receive buffer."""
        return int(self.got.buf_size)

    @property
    def readable(self) -> bool:
        """Whether read() finds a frame."""
        return any(chan.waiting for chan in self.chans.values())

    def held_on(self, queue: int) -> int:
        """Frames held that came in on a queue."""
        return sum(q == queue for _, q in self.held.values())

    def drop(self, handle: int) -> None:
        """Forget a handle that went."""
        self.held.pop(handle, None)
        self.reserved.pop(handle, None)
        self.stale = [*self.stale[-15:], handle]

    def total(self, name: str) -> int:
        """Sum of a counter over the tap's queues."""
        return sum(getattr(chan, name) for chan in self.chans.values())


@dataclass
class Flight:
    """A frame that a card has to send; ``tap`` if the buffer is the tap's own."""

    tap: ModelTap | None
    source: ModelCard
    handle: int
    expect: Sent


@dataclass(eq=False)
class ModelCard:
    """What a card has."""

    card: harness.Card
    number: int
    n_queues: int
    rx_ring: int
    tx_ring: int
    frame_max: int = 1514
    buf_size: int = 0
    gone: bool = False
    up: bool = False
    quota: int = 0
    quota_max: int = 0
    take_at_most: int = 1 << 30
    completes: int = 0
    slots: int = 0  # receive descriptors, as the core was told when the card last came up
    sending: list[list[Flight]] = field(default_factory=list)
    full: list[bool] = field(default_factory=list)  # a queue's transmit ring was, at the last look
    behind: list[bool] = field(default_factory=list)  # completions have transmit rings served
    turn: list[int] = field(default_factory=list)  # how often they were, so far
    taken: list[int] = field(default_factory=list)  # frames to send, of each queue, so far
    done: list[int] = field(default_factory=list)  # and of those, completed
    order: dict[int, list[ModelTap]] = field(default_factory=dict)  # in which it knows its taps
    expected: list[Sent] = field(default_factory=list)  # sent since the last comparison

    def join(self, queue: int, tap: ModelTap) -> None:
        """Know one more tap: behind the others of its fan-out group, or last."""
        taps = self.order[queue]
        group = [at for at, other in enumerate(taps) if tap.fanout and other.fanout == tap.fanout]
        taps.insert(group[-1] + 1 if group else len(taps), tap)

    def leave(self, tap: ModelTap) -> None:
        """Know a tap no more."""
        self.order = {q: [t for t in taps if t is not tap] for q, taps in self.order.items()}

    def sends(self, queue: int) -> bool:
        """Whether transmit works on a queue."""
        return self.up and queue < self.n_queues
