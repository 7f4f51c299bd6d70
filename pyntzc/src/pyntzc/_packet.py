# SPDX-License-Identifier: GPL-2.0-or-later
"""What a tap gives: packets that came in, and buffers for packets to send."""

from __future__ import annotations

import enum
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from pyntzc import _frames
from pyntzc._libntzc import lib

if TYPE_CHECKING:
    from typing_extensions import Buffer

_RX_VLAN: int = lib.NTZC_RX_VLAN
_RX_HOST: int = lib.NTZC_RX_HOST
_L3_OK: int = lib.NTZC_RX_L3_OK
_L3_BAD: int = lib.NTZC_RX_L3_BAD
_L4_OK: int = lib.NTZC_RX_L4_OK
_L4_BAD: int = lib.NTZC_RX_L4_BAD


class Checksum(enum.Enum):
    """A checksum as the card judged it."""

    UNKNOWN = "unknown"
    """The card did not look: another protocol, a fragment, or the card is not set to."""
    OK = "ok"
    BAD = "bad"


class HashType(enum.IntEnum):
    """What the receive-side-scaling hash of a packet covers."""

    NONE = 0
    IPV4 = 1
    """Addresses."""
    TCP_IPV4 = 2
    """Addresses and ports."""
    UDP_IPV4 = 3
    IPV6 = 4
    TCP_IPV6 = 5
    UDP_IPV6 = 6


class Vlan(NamedTuple):
    """The tag control information of an IEEE 802.1Q tag."""

    tci: int
    """All 16 bits."""

    @property
    def vid(self) -> int:
        """VLAN identifier, 0 to 4095."""
        return self.tci & 0xFFF

    @property
    def pcp(self) -> int:
        """Priority code point, 0 to 7."""
        return self.tci >> 13

    @property
    def dei(self) -> bool:
        """Drop eligible indicator."""
        return bool(self.tci & 0x1000)

    @classmethod
    def of(cls, vid: int, *, pcp: int = 0, dei: bool = False) -> Vlan:
        """Return the tag with these parts; ValueError if one is out of range."""
        if not (0 <= vid <= 0xFFF and 0 <= pcp <= 7):
            raise ValueError(f"a VLAN has vid 0 to 4095 and pcp 0 to 7, not {vid} and {pcp}")
        return cls(pcp << 13 | dei << 12 | vid)


class Packet(_frames.Frame):
    """A frame that came in, held in the card's memory until it is released or dies.

    It exports its bytes, read-only and without a copy: ``packet.data`` is a memoryview,
    ``bytes(packet)`` a copy, ``len(packet)`` their number (without FCS, without a
    stripped VLAN tag), and whatever takes a buffer takes a packet.

    After :meth:`release` (also at the end of a ``with`` block, and when its tap closes)
    new views raise :class:`ReleasedError` (:class:`ClosedError`); what was noted about it,
    such as its time, can still be read. The card gets the memory back as soon as no view
    is left, slices included, and never before: a view shows the packet's own bytes for as
    long as it lives. Releasing again has no effect. A packet that is dropped without
    release goes back by itself, a little later, together with others.
    """

    __slots__ = ()

    @property
    def vlan(self) -> Vlan | None:
        """The VLAN tag that the card took out of the frame, or None."""
        return Vlan(self._vlan_tci) if self._flags & _RX_VLAN else None

    @property
    def hash_type(self) -> HashType:
        """What :attr:`hash` covers."""
        return HashType(self._hash_type)

    @property
    def l3_checksum(self) -> Checksum:
        """The IPv4 header checksum, as the card judged it."""
        return self._verdict(_L3_OK, _L3_BAD)

    @property
    def l4_checksum(self) -> Checksum:
        """The TCP, UDP or SCTP checksum, as the card judged it."""
        return self._verdict(_L4_OK, _L4_BAD)

    @property
    def from_host(self) -> bool:
        """Whether the host's own stack sent it; see *host* of :func:`open`."""
        return bool(self._flags & _RX_HOST)

    def _verdict(self, ok: int, bad: int) -> Checksum:
        if self._flags & bad:
            return Checksum.BAD
        return Checksum.OK if self._flags & ok else Checksum.UNKNOWN

    def wire_bytes(self) -> bytes:
        """Return a copy of the frame as it was on the wire, a stripped VLAN tag put back."""
        frame = bytes(self)
        if not self._flags & _RX_VLAN:
            return frame
        return b"".join((frame[:12], b"\x81\x00", self._vlan_tci.to_bytes(2, "big"), frame[12:]))

    def __repr__(self) -> str:
        state = "released" if self.released else f"queue {self.queue}"
        return f"<pyntzc.Packet of {len(self)} bytes, {self.timestamp_ns} ns, {state}>"


class TxBuffer:
    """A buffer in transmit memory: fill it in place, set :attr:`length`, submit it.

    Made by :meth:`Tap.reserve`. :meth:`release`, the end of a ``with`` block, or its death
    give it back unsent. Its memory may still hold bytes of the tap's earlier frames.
    """

    __slots__ = ("_frame", "_length", "_tci", "_view")

    def __init__(self, frame: _frames.Frame) -> None:
        self._frame = frame
        self._view: memoryview | None = None
        self._length = 0
        self._tci = -1

    @property
    def data(self) -> memoryview:
        """All its room, writable, in place; the same view each time.

        It ends with the submission: using it then raises ValueError, and asking for it
        ReleasedError. Views made of it, such as slices, must be gone by then.
        """
        if self._view is not None:
            try:
                len(self._view)
                return self._view
            except ValueError:  # the user released it
                pass
        self._view = self._frame.data
        return self._view

    def __len__(self) -> int:
        """Return the room, bytes."""
        return len(self._frame)

    @property
    def length(self) -> int:
        """Bytes of the frame, without FCS; 0 until it is set."""
        return self._length

    @length.setter
    def length(self, length_bytes: int) -> None:
        if not lib.NTZC_MIN_FRAME <= length_bytes <= len(self):
            raise ValueError(
                f"a frame in this buffer has {lib.NTZC_MIN_FRAME} to {len(self)} bytes, "
                f"not {length_bytes}"
            )
        self._length = length_bytes

    @property
    def vlan(self) -> Vlan | None:
        """The tag that the card shall insert, or None."""
        return None if self._tci < 0 else Vlan(self._tci)

    @vlan.setter
    def vlan(self, vlan: Vlan | None) -> None:
        self._tci = -1 if vlan is None else vlan.tci & 0xFFFF

    @property
    def released(self) -> bool:
        """Whether it was submitted or given back."""
        return self._frame.released

    def write(self, frame: Buffer) -> None:
        """Copy *frame* into it and set its length."""
        source = memoryview(frame).cast("B")
        self.length = len(source)
        self.data[: len(source)] = source

    def release(self) -> None:
        """Give it back unsent. Again, or after submission: no effect."""
        self._end_view()
        self._frame.release()

    def _end_view(self) -> None:
        """End the view that data gave; slices of it are counted by the frame."""
        if self._view is not None:
            try:
                self._view.release()
            except BufferError:  # something exports it further; the frame counts that too
                return
            self._view = None

    def __enter__(self) -> Self:
        """Return itself; leaving releases it, unless it was submitted."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release it."""
        self.release()
