# SPDX-License-Identifier: GPL-2.0-or-later
"""What taps of one port must have received, lost, hold and have sent: the model of
test_stateful.py, without a machine. Frames and flows are named by their numbers.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .frames import LEN, OFFSET, QUEUE, TIMESTAMP

HANDLE_TX = 0x80000000
GENERATION = 1 << 20  # a handle's lower bits name the buffer, the others the use of it
ZEROS = (0,) * 6
PAST = 64

Desc = tuple[int, ...]


def _program(*insns: tuple[int, int, int, int]) -> bytes:
    return b"".join(struct.pack("=HBBI", *insn) for insn in insns)


_ADMIT, _REFUSE = (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)


@dataclass(frozen=True)
class Filter:
    """A classic program, and what it says of a frame, said once more in Python."""

    program: bytes
    admits: Callable[[bytes], bool]


FILTERS = [
    Filter(b"", lambda _: True),  # none
    Filter(_program(_REFUSE), lambda _: False),
    Filter(_program((0x06, 0, 0, 1)), lambda _: True),  # "one byte of it" is all of it
    Filter(_program((0x80, 0, 0, 0), (0x35, 0, 1, 100), _ADMIT, _REFUSE), lambda f: len(f) >= 100),
    Filter(
        _program((0x28, 0, 0, 12), (0x15, 0, 1, 0x0800), _ADMIT, _REFUSE),
        lambda f: f[12:14] == b"\x08\x00",
    ),
    Filter(_program((0x30, 0, 0, 21), (0x45, 0, 1, 1), _ADMIT, _REFUSE), lambda f: f[21] & 1 == 1),
    # a look behind a short frame's end refuses it
    Filter(_program((0x30, 0, 0, 200), _ADMIT), lambda f: len(f) > 200),
]
NOT_A_FILTER = _program((0x30, 0, 0, 0))  # has no end


@dataclass(eq=False)
class Entry:
    """One descriptor to send.

    Attributes:
        handle: of the buffer.
        desc: what the module is given.
        number: of the frame to be filled in, or -1.
        len_bytes: of that frame.
        malformed: whether a field of the descriptor is wrong.
    """

    handle: int
    desc: Desc
    number: int = -1
    len_bytes: int = 0
    malformed: bool = False

    def spoil(self, how: int) -> None:
        """Put a wrong value in one of the fields."""
        d = list(self.desc)
        at, value = [
            (TIMESTAMP, 1),
            (LEN, 13),
            (LEN, 20000),
            (OFFSET, d[OFFSET] ^ 0x4000),  # another buffer
            (QUEUE, 7),  # no such target
            (7, 0x8000),  # no such flag
        ][how % 6]
        d[at] = value
        self.desc, self.number, self.malformed = tuple(d), -1, True


@dataclass(eq=False)
class ModelTap:
    """What one tap has."""

    killable: bool
    ring: int
    quota: int
    release_size: int
    n_queues: int
    fanout: int
    filter: Filter
    tx_size: int
    tx_rings: bool
    offered: int = 0
    received: int = 0
    received_bytes: int = 0
    filtered: int = 0
    lost_ring: int = 0
    lost_quota: int = 0
    waiting: deque[int] = field(default_factory=deque)
    past: deque[int] = field(default_factory=lambda: deque(maxlen=PAST))
    spoiled: bool = False  # its index of what it has read
    held: set[int] = field(default_factory=set)
    read: dict[int, Desc] = field(default_factory=dict)
    reserved: dict[int, Desc] = field(default_factory=dict)
    pending: deque[Entry] = field(default_factory=deque)  # in its transmit ring
    due: int = 0  # transmit buffers that will come through its ring
    submitted: int = 0
    forwarded: int = 0
    completed: int = 0
    bad_release: int = 0
    bad_submit: int = 0
    stale: list[int] = field(default_factory=list)

    def offer(self, frames: Sequence[tuple[int, bytes]]) -> set[int]:
        """Frames reach the tap, in order; return those that it took."""
        wanted = [(number, data) for number, data in frames if self.filter.admits(data)]
        space = 0 if self.spoiled else self.ring - len(self.waiting)
        left = max(self.quota - len(self.held), 0)
        took = wanted[: min(space, left)]
        numbers = [number for number, _ in took]
        self.waiting.extend(numbers)
        self.held.update(numbers)
        self.offered += len(frames)
        self.filtered += len(frames) - len(wanted)
        self.received += len(took)
        self.received_bytes += sum(len(data) for _, data in took)
        if space <= left:
            self.lost_ring += len(wanted) - len(took)
        else:
            self.lost_quota += len(wanted) - len(took)
        return set(numbers)

    def pop(self, count: int) -> list[int]:
        """Take frames out of the ring."""
        count = 0 if self.spoiled else min(count, len(self.waiting))
        numbers = [self.waiting.popleft() for _ in range(count)]
        self.past.extend(numbers)
        return numbers

    def rewind(self, count: int) -> None:
        """Put descriptors that were read in front of the ring again."""
        for _ in range(count):
            self.waiting.appendleft(self.past.pop())

    def drop(self, handle: int, number: int | None) -> None:
        """Forget a handle that went."""
        if number is None:
            del self.reserved[handle]
        else:
            self.held.remove(number)
            self.read.pop(number, None)
        self.stale = [*self.stale[-15:], handle]

    @property
    def tx_room(self) -> int:
        """Descriptors that still fit in its transmit ring."""
        return (1 << (self.tx_size - 1).bit_length()) - len(self.pending)

    @property
    def tx_free(self) -> int:
        """Transmit buffers that nobody has."""
        return self.tx_size - len(self.reserved) - self.due

    def counters(self) -> dict[str, int]:
        """What TAP_STATS must say when nothing is in flight."""
        return {
            "received": self.received,
            "received_bytes": self.received_bytes,
            "lost_ring": self.lost_ring,
            "lost_quota": self.lost_quota,
            "lost_pool": 0,
            "filtered": self.filtered,
            "missed": 0,
            "released": self.received - len(self.held),
            "waiting": 0 if self.spoiled else len(self.waiting),
            "held": len(self.held),
            "tx_reserved": len(self.reserved) + self.due,
            "tx_submitted": self.submitted,
            "tx_forwarded": self.forwarded,
            "tx_completed": self.completed,
            "tx_failed": 0,
            "tx_in_flight": 0,
            "tx_free": self.tx_free,
            "bad_release": self.bad_release,
            "bad_submit": self.bad_submit,
        }


class Fanout:
    """A fan-out group: which member may have which flow, by what is promised.

    A flow stays with its member. One who joins may take flows from the others; when one
    leaves, only its own flows move.
    """

    def __init__(self, flows: Sequence[int]) -> None:
        self.members: list[int] = []
        self.may: dict[int, set[int]] = {flow: set() for flow in flows}

    def join(self, key: int) -> None:
        self.members.append(key)
        for may in self.may.values():
            may.add(key)

    def leave(self, key: int) -> None:
        self.members.remove(key)
        for flow, may in self.may.items():
            if key in may:
                self.may[flow] = set(self.members)

    def is_open(self, flow: int) -> bool:
        """Whether it must be found out whose the flow is."""
        return len(self.may[flow]) > 1

    def gets(self, key: int, flow: int) -> bool:
        """Whether a tap is given the flow's frames: all, if it is no member."""
        assert not self.is_open(flow)
        return key not in self.members or key in self.may[flow]

    def found(self, flow: int, key: int) -> None:
        """The flow is this member's."""
        assert key in self.may[flow], "a flow moved that need not"
        self.may[flow] = {key}
