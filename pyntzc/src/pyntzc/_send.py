# SPDX-License-Identifier: GPL-2.0-or-later
"""The transmit side of a tap."""

from __future__ import annotations

import contextlib
import errno
import select
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pyntzc import _frames
from pyntzc._batch import Batch
from pyntzc._errors import NotHeldError, NtzcOSError, ReleasedError, os_error
from pyntzc._handle import INTERRUPTED, PER_CALL, Handle, address_of, deadline_of
from pyntzc._libntzc import ffi, lib
from pyntzc._options import identify, name_of
from pyntzc._packet import Packet, TxBuffer, Vlan
from pyntzc._port import Port

if TYPE_CHECKING:
    from typing_extensions import Buffer

_NO_BUFFER = -errno.ENOBUFS
_NO_ROOM = -errno.ENOSPC
_NOT_DONE = -errno.ETIMEDOUT

_RESERVE = address_of(ffi.addressof(lib, "ntzc_tap_reserve"))
_FORWARD = address_of(ffi.addressof(lib, "ntzc_tap_forward"))


class Target:
    """Another card that a tap can send to. Made by :meth:`Tap.add_target`."""

    __slots__ = ("_memory", "interface", "number")

    def __init__(self, memory: _frames.Memory, interface: str, number: int) -> None:
        self._memory = memory
        self.interface = interface
        """As it was given to :meth:`Tap.add_target`."""
        self.number = number
        """The kernel's number for it, from 1 on; 0 is the tap's own card."""

    def __repr__(self) -> str:
        return f"<pyntzc.Target {self.interface}>"


class Sender(Handle):
    """What a tap can do to send."""

    def reserve(self, count: int = 1, timeout_s: float | None = None) -> list[TxBuffer]:
        """Return up to *count* buffers to fill, at least one, as soon as one is free.

        Raises :class:`NoBufferError` when time is up.
        """
        batch = self._reserve(count, deadline_of(timeout_s))
        return [TxBuffer(frame) for frame in iter(batch._take, None)]

    def submit(
        self,
        buffers: TxBuffer | Iterable[TxBuffer],
        timeout_s: float | None = None,
        *,
        to: Target | None = None,
    ) -> int:
        """Send filled buffers, in order; return how many the card took.

        They go out through the tap's own card, or through *to*. Those that it did not take
        before time was up stay reserved. Raises :class:`RingFullError` if that is all,
        :class:`ViewInUseError` if a slice of one's data is alive, :class:`NotHeldError` for
        another tap's buffer, :class:`InterfaceDownError`, ReleasedError, ValueError without a
        length.
        """
        batch = [buffers] if isinstance(buffers, TxBuffer) else list(buffers)
        for buffer in batch:
            if not buffer.length and not buffer.released:
                raise ValueError("set the buffer's length before submitting it")
        descs = ffi.new("struct ntzc_desc[]", len(batch))
        for desc, buffer in zip(descs, batch, strict=True):
            buffer._end_view()
            desc.handle = buffer._frame._handle
            desc.offset = buffer._frame._offset
            desc.len = buffer.length
            if buffer._tci >= 0:
                desc.flags = lib.NTZC_TX_VLAN
                desc.vlan_tci = buffer._tci
        return self._hand_over([buffer._frame for buffer in batch], descs, timeout_s, to)

    def forward(
        self,
        packets: Packet | Batch | Iterable[Packet],
        timeout_s: float | None = None,
        *,
        to: Target | None = None,
    ) -> int:
        """Send received packets by reference, in order, without a copy; return how many.

        They go out through the tap's own card, or through *to*, as they came in: a stripped
        VLAN tag is put back. Others that have the packet go on reading it. A packet that the
        card took is released. Of a batch that is so many from the first on: the rest keep their
        index, and the batch can be forwarded again for them. A batch is cheapest as long as no
        packet of it was asked for. Nobody may have a view of them (:class:`ViewInUseError`),
        and they must be this tap's (:class:`NotHeldError`). Else as :meth:`submit`.
        """
        if isinstance(packets, Batch) and not packets._made:
            return self._forward_batch(packets, timeout_s, to)
        if isinstance(packets, Batch):
            rest = (packets[i] for i in range(packets._sent, len(packets)))
            packets = [packet for packet in rest if not packet.released]
        batch = [packets] if isinstance(packets, Packet) else list(packets)
        descs = ffi.new("struct ntzc_desc[]", len(batch))
        for index, packet in enumerate(batch):
            ffi.memmove(descs + index, packet._describe(), ffi.sizeof("struct ntzc_desc"))
        return self._hand_over(batch, descs, timeout_s, to)

    def copy(self, packet: Packet, timeout_s: float | None = None) -> TxBuffer:
        """Copy a received packet into a buffer, to change it there and :meth:`submit` it.

        Length and VLAN tag come along; the packet stays as it is. Raises
        :class:`NoBufferError` when time is up before a buffer is free, ValueError if the
        packet does not fit (see the tap's *tx_buf_size*).
        """
        (buffer,) = self.reserve(1, timeout_s)
        try:
            buffer.write(packet)
        except BaseException:
            buffer.release()
            raise
        buffer.vlan = packet.vlan
        return buffer

    def add_target(self, interface: str | int | Port) -> Target:
        """Let the tap send through another card, too, until it closes; return what to name it by.

        *interface* is as for :func:`open`. Raises :class:`InvalidArgumentError` for the tap's
        own card, :class:`BusyError` if it is a target already or there are too many,
        :class:`NoSuchPortError`.
        """
        name, index = identify(interface)
        out = ffi.new("unsigned int *")
        with self._lock:
            self._check()
            code = lib.ntzc_tap_add_target(self._tap, name, index, out)
        if code < 0:
            raise os_error(code, name_of(interface), opening=True, hint=_NO_TARGET.get(-code))
        return Target(self._memory, name_of(interface), out[0])

    def send(
        self,
        frames: Buffer | Iterable[Buffer],
        *,
        vlan: Vlan | None = None,
        timeout_s: float | None = None,
        to: Target | None = None,
    ) -> int:
        """Copy whole Ethernet frames, without FCS, to transmit memory and send them, in order.

        *frames* is one frame or an iterable of them, such as a batch or an array of rows, each
        a bytes-like object of 14 to :attr:`frame_max` bytes; *vlan* is inserted by the card.
        They go out through the tap's own card, or through *to*. Returns how many the card took;
        if time is up before all are, the rest is not sent, and if that is all,
        :class:`NoBufferError` or :class:`RingFullError` is raised.
        """
        pending = _frame_list(frames)
        least, most = lib.NTZC_MIN_FRAME, self.frame_max
        sizes = [memoryview(frame).nbytes for frame in pending]
        if sizes and not least <= min(sizes) <= max(sizes) <= most:
            wrong = next(size for size in sizes if not least <= size <= most)
            raise ValueError(f"a frame has {least} to {most} bytes, not {wrong}")
        tci = -1 if vlan is None else vlan.tci & 0xFFFF
        deadline = deadline_of(timeout_s)
        target = self._number_of(to)
        sent = 0
        while sent < len(pending):
            try:
                with self._reserve(min(len(pending) - sent, PER_CALL), deadline) as batch:
                    batch._put(pending, sent, tci)
                    sent += self._transmit(batch, deadline, target)
            except NtzcOSError:
                if not sent:
                    raise
                break
        return sent

    def drain(self, timeout_s: float | None = None) -> None:
        """Wait until the card has dealt with all that the tap sent; TimedOutError if it hasn't.

        Packets that it forwarded are not waited for: they are the card's own memory.
        """
        deadline = deadline_of(timeout_s)
        while True:
            with self._lock:
                self._check()
                code = lib.ntzc_tap_drain(self._tap, 0)
            if code == 0:
                return
            if code not in (_NOT_DONE, INTERRUPTED) or not self._wait_slice(0, deadline):
                raise os_error(code, self._interface)

    def _tx_setup(self) -> None:
        with self._lock:
            self._check()
            if self._tx_ready:
                return
            code = lib.ntzc_tap_tx_setup(self._tap, *self._tx_options)
            # busy: it is done, and an exception came before it was noted
            if code < 0 and code != -errno.EBUSY:
                raise os_error(code, self._interface)
            memory = ffi.cast("struct ntzc_tap_memory *", self._tap)
            info = lib.ntzc_tap_tx_info(self._tap)
            self._memory.set_tx(address_of(memory.tx), info.tx_bytes)
            self._tx_ready = True

    def _reserve(self, count: int, deadline: float | None) -> _frames.Batch[_frames.Frame]:
        if not self._tx_ready:
            self._tx_setup()
        while True:
            got = self._memory.read(_frames.Batch, _frames.Frame, _RESERVE, count)
            if isinstance(got, _frames.Batch):
                return got
            if self._memory.n_pending:  # buffers that wait to go back in company
                self._memory.flush()
                continue
            self._wait_to_send(got or _NO_BUFFER, deadline)

    def _number_of(self, target: Target | None) -> int:
        if target is None:
            return 0
        if target._memory is not self._memory:
            raise ValueError(
                f"{target!r} belongs to another tap: call add_target() on the one that sends"
            )
        return target.number

    def _forward_batch(self, batch: Batch, timeout_s: float | None, to: Target | None) -> int:
        if batch._memory is not self._memory:
            raise _not_ours()
        return self._transmit(batch, deadline_of(timeout_s), self._number_of(to))

    def _transmit(self, batch: _frames.Batch[Any], deadline: float | None, target: int) -> int:
        """Submit what is left of *batch*; return how many were taken before time was up."""
        left = len(batch) - batch._sent
        sent = 0
        while sent < left or batch.released:  # which is told there
            code = batch._forward(_FORWARD, target)
            if code > 0:
                sent += code
                continue
            try:
                self._wait_to_send(code, deadline)
            except NtzcOSError:
                if not sent:
                    raise
                break
        return sent

    def _hand_over(
        self,
        frames: Sequence[_frames.Frame],
        descs: Any,
        timeout_s: float | None,
        to: Target | None,
    ) -> int:
        """Submit *descs*, which describe *frames*; what was taken is no longer theirs."""
        deadline = deadline_of(timeout_s)
        target = self._number_of(to)
        if any(frame._memory is not self._memory for frame in frames):
            raise _not_ours()
        words = ffi.buffer(descs)
        sent = 0
        while sent < len(frames):
            try:
                code = self._memory.forward(_FORWARD, frames, words, sent, target)
                if code > 0:
                    sent += code
                else:
                    self._wait_to_send(code, deadline)
            except (NtzcOSError, ReleasedError):  # released while this waited, or by a close
                if not sent:
                    raise
                break
        return sent

    def _wait_to_send(self, code: int, deadline: float | None) -> None:
        """Wait if *code* says that there is no buffer or no room now; else, or late, raise."""
        waits = code in (_NO_BUFFER, _NO_ROOM, INTERRUPTED)
        # poll wants both a buffer and room, which may be more than this needs
        if not waits or not self._wait_slice(select.POLLOUT, deadline):
            raise os_error(code, self._interface)


_NO_TARGET = {
    errno.EINVAL: "this is the tap's own card, which needs no target: leave out 'to', or name "
    "another card",
    errno.EBUSY: "this card is a target of the tap already: use the Target that add_target() gave; "
    f"or the tap has {lib.NTZC_MAX_TARGETS - 1}, which is all that it can have",
}


def _not_ours() -> NotHeldError:
    return NotHeldError(
        errno.ESTALE,
        "the tap does not hold this packet: forward it by the tap that received it, and name "
        "the other card by add_target()",
    )


def _frame_list(frames: Buffer | Iterable[Buffer]) -> list[Buffer]:
    """One frame or many: what exports bytes is one, but for arrays of rows and batches."""
    if not isinstance(frames, Batch):
        with contextlib.suppress(TypeError):
            view = memoryview(frames)  # type: ignore[arg-type]
            if view.ndim == 1:
                return [view]
    return list(frames)  # type: ignore[arg-type]
