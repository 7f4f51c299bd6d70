# SPDX-License-Identifier: GPL-2.0-or-later
"""The transmit side of a tap."""

from __future__ import annotations

import errno
import select
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pyntzc import _frames
from pyntzc._errors import NtzcOSError, os_error
from pyntzc._handle import BATCH, Handle, address_of, deadline_of
from pyntzc._libntzc import ffi, lib
from pyntzc._packet import Packet, TxBuffer, Vlan

if TYPE_CHECKING:
    from typing_extensions import Buffer

_NO_BUFFER = -errno.ENOBUFS
_NO_ROOM = -errno.ENOSPC
_NOT_DONE = -errno.ETIMEDOUT

_RESERVE = address_of(ffi.addressof(lib, "ntzc_tap_reserve"))
_SUBMIT = address_of(ffi.addressof(lib, "ntzc_tap_submit"))


class Sender(Handle):
    """What a tap can do to send."""

    def reserve(self, count: int = 1, timeout_s: float | None = None) -> list[TxBuffer]:
        """Return up to *count* buffers to fill, at least one, as soon as one is free.

        Raises :class:`NoBufferError` when time is up.
        """
        batch = self._reserve(count, deadline_of(timeout_s))
        return [TxBuffer(frame) for frame in iter(batch._take, None)]

    def submit(self, buffers: TxBuffer | Iterable[TxBuffer], timeout_s: float | None = None) -> int:
        """Send filled buffers, in order; return how many the card took.

        Those that it did not take before time was up stay reserved. Raises
        :class:`RingFullError` if that is all, :class:`ViewInUseError` if a slice of one's
        data is alive, :class:`InterfaceDownError`, ReleasedError, ValueError without a
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
        return self._hand_over([buffer._frame for buffer in batch], descs, timeout_s)

    def forward(self, packets: Packet | Iterable[Packet], timeout_s: float | None = None) -> int:
        """Send received packets by reference, in order, without a copy; return how many.

        A packet that the card took is released. Nobody may have a view of it
        (:class:`ViewInUseError`). Else as :meth:`submit`.
        """
        batch = [packets] if isinstance(packets, Packet) else list(packets)
        descs = ffi.new("struct ntzc_desc[]", len(batch))
        for desc, packet in zip(descs, batch, strict=True):
            desc.handle = packet._handle
            desc.offset = packet._offset
            desc.len = len(packet)
        return self._hand_over(batch, descs, timeout_s)

    def send(
        self,
        frames: Buffer | Iterable[Buffer],
        *,
        vlan: Vlan | None = None,
        timeout_s: float | None = None,
    ) -> int:
        """Copy whole Ethernet frames, without FCS, to transmit memory and send them, in order.

        *frames* is one frame or an iterable of them, each a bytes-like object of 14 to
        :attr:`frame_max` bytes; *vlan* is inserted by the card. Returns how many the card
        took; if time is up before all are, the rest is not sent, and if that is all,
        :class:`NoBufferError` or :class:`RingFullError` is raised.
        """
        pending = _frame_list(frames)
        for frame in pending:
            if not lib.NTZC_MIN_FRAME <= memoryview(frame).nbytes <= self.frame_max:
                raise ValueError(
                    f"a frame has {lib.NTZC_MIN_FRAME} to {self.frame_max} bytes, "
                    f"not {memoryview(frame).nbytes}"
                )
        tci = -1 if vlan is None else vlan.tci & 0xFFFF
        deadline = deadline_of(timeout_s)
        sent = 0
        while sent < len(pending):
            try:
                with self._reserve(min(len(pending) - sent, BATCH), deadline) as batch:
                    for index in range(len(batch)):
                        batch._put(index, pending[sent + index], tci)
                    sent += self._transmit(batch, deadline)
            except NtzcOSError:
                if not sent:
                    raise
                break
        return sent

    def drain(self, timeout_s: float | None = None) -> None:
        """Wait until the card has dealt with all that was sent; TimedOutError if it hasn't."""
        deadline = deadline_of(timeout_s)
        while True:
            with self._lock:
                self._check()
                code = lib.ntzc_tap_drain(self._tap, 0)
            if code == 0:
                return
            if code != _NOT_DONE or not self._wait_slice(0, deadline):
                raise os_error(code, self._interface)

    def _tx_setup(self) -> None:
        with self._lock:
            self._check()
            if self._tx_ready:
                return
            code = lib.ntzc_tap_tx_setup(self._tap, *self._tx_options)
            if code < 0:
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
            self._wait_to_send(got or _NO_BUFFER, deadline)

    def _transmit(self, batch: _frames.Batch[_frames.Frame], deadline: float | None) -> int:
        """Submit all of *batch*; return how many were taken before time was up."""
        sent = 0
        while sent < len(batch):
            code = batch._submit(_SUBMIT)
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
        self, frames: list[_frames.Frame] | list[Packet], descs: Any, timeout_s: float | None
    ) -> int:
        """Submit *descs*, which describe *frames*; what was taken is no longer theirs."""
        deadline = deadline_of(timeout_s)
        lent = 0
        sent = 0
        try:
            for frame in frames:
                frame._lend()
                lent += 1
            while sent < len(frames):
                with self._lock:
                    self._check()
                    code = lib.ntzc_tap_submit(self._tap, descs + sent, len(frames) - sent, 0)
                if code > 0:
                    sent += code
                    continue
                try:
                    self._wait_to_send(code, deadline)
                except NtzcOSError:
                    if not sent:
                        raise
                    break
        finally:
            for index, frame in enumerate(frames[:lent]):
                frame._settle(index < sent)
        return sent

    def _wait_to_send(self, code: int, deadline: float | None) -> None:
        """Wait if *code* says that there is no buffer or no room now; else, or late, raise."""
        if code == _NO_BUFFER:
            in_time = self._wait(select.POLLOUT, deadline)
        elif code == _NO_ROOM:
            # poll wants a buffer to be free as well, which may be more than this needs
            in_time = self._wait_slice(select.POLLOUT, deadline)
        else:
            in_time = False
        if not in_time:
            raise os_error(code, self._interface)


def _frame_list(frames: Buffer | Iterable[Buffer]) -> list[Buffer]:
    """One frame or many: what exports bytes is one."""
    try:
        view = memoryview(frames)  # type: ignore[arg-type]
    except TypeError:
        return list(frames)  # type: ignore[arg-type]
    return [view]
