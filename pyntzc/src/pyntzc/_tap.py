# SPDX-License-Identifier: GPL-2.0-or-later
"""The tap: a card's packets for one program."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time
import warnings
import weakref
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pyntzc import _frames
from pyntzc._errors import (
    ClosedError,
    NoSuchPortError,
    NtzcOSError,
    ReleasedError,
    ViewInUseError,
    os_error,
)
from pyntzc._libntzc import ffi, lib
from pyntzc._packet import Batch, Packet, TxBuffer, Vlan
from pyntzc._port import Port

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BATCH = 64
_SLICE_S = 0.001
_NO_BUFFER = -errno.ENOBUFS
_NO_ROOM = -errno.ENOSPC
_NOT_DONE = -errno.ETIMEDOUT


def _address(pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))


_PEEK = _address(ffi.addressof(lib, "ntzc_tap_peek"))
_RELEASE = _address(ffi.addressof(lib, "ntzc_tap_release"))
_DETACH = _address(ffi.addressof(lib, "ntzc_tap_detach"))
_DESTROY = _address(ffi.addressof(lib, "ntzc_tap_destroy"))
_RESERVE = _address(ffi.addressof(lib, "ntzc_tap_reserve"))
_SUBMIT = _address(ffi.addressof(lib, "ntzc_tap_submit"))


class TapStats(NamedTuple):
    """What one tap got and lost since it was opened."""

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

    @property
    def lost(self) -> int:
        """Frames lost, whatever the cause. With received: all that its queues delivered."""
        return self.lost_ring + self.lost_quota + self.lost_pool


class Tap:
    """An open tap. Made by :func:`open`; a context manager.

    Any number of threads may use it; each packet goes to one of those that read. A call
    that waits in one thread ends with :class:`ClosedError` when another closes the tap.
    After a fork the tap stays the parent's: in the child it is closed, and views of its
    packets read as zeros.

    Times are in seconds; None waits for as long as it takes, 0 does not wait.
    """

    def __init__(self, tap: Any, interface: str, tx: tuple[int, int]) -> None:
        info = lib.ntzc_tap_info(tap)
        memory = ffi.cast("struct ntzc_tap_memory *", tap)
        self._tap = tap
        self._tx_options = tx
        self._tx_ready = False
        self._fd: int = lib.ntzc_tap_fd(tap)
        self._interface = interface
        self._closed = False
        self._lock = threading.Lock()  # a call into libntzc, against the end of the tap
        # what dies unreleased waits for company, but never holds much of the quota
        limit = min(max(info.quota // 4, 1), _BATCH)
        self._memory = _frames.Memory(
            _address(tap),
            _RELEASE,
            _DETACH,
            _DESTROY,
            _address(memory.rx),
            info.rx_bytes,
            limit,
            ReleasedError,
            ClosedError,
            ViewInUseError,
        )
        self.port_id: int = info.port_id
        """The card's :attr:`Port.id`."""
        self.queues: tuple[int, ...] = _bits(info.queues)
        """The card's receive queues that it reads."""
        self.ring_size: int = info.ring_size
        """Frames that may wait, per queue."""
        self.quota: int = info.quota
        """Frames that it may hold, per queue."""
        self.buf_size: int = info.buf_size
        """Bytes in a receive buffer."""
        self.frame_max: int = info.frame_max
        """The longest frame when it was opened, bytes without FCS."""
        self.headroom: int = info.headroom
        """Bytes before a received frame in its buffer."""
        self._pollers: list[select.poll] = []
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        _taps.add(self)

    # --- life ---

    @property
    def interface(self) -> str:
        """The interface, as it was given to :func:`open`."""
        return self._interface

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._closed

    def fileno(self) -> int:
        """Return the file, for select, poll and asyncio: readable when packets wait."""
        self._check()
        return self._fd

    def close(self) -> None:
        """Give everything back, packets that are still held included. Again: no effect.

        Packets then raise :class:`ClosedError`. Views that are still alive keep showing
        their bytes, from a private copy.
        """
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._wake, 1)  # calls that wait look up, and see it
        with self._lock:
            code = self._memory.close(True)
        if code < 0:  # all goes back with the last view instead
            raise os_error(code, self._interface)

    def __enter__(self) -> Self:
        """Return itself; leaving closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def __del__(self) -> None:
        if not hasattr(self, "_wake"):  # __init__ did not get that far
            return
        unclosed = not self._closed
        with contextlib.suppress(NtzcOSError):
            self.close()
        os.close(self._wake)
        if unclosed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        return f"<pyntzc.Tap on {self._interface}{', closed' if self._closed else ''}>"

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("the tap is closed")

    def _abandon(self) -> None:
        """In a forked child: let go of the parent's tap, touching nothing of it."""
        self._closed = True
        self._lock = threading.Lock()
        self._memory.close(False)

    # --- receive ---

    def recv(self, max_frames: int = _BATCH, timeout_s: float | None = None) -> Batch:
        """Return the packets that wait, at most *max_frames*; an empty batch when time is up.

        It waits for the first packet only. Raises :class:`PortGoneError`, ClosedError.
        """
        got = self._memory.read(Batch, Packet, _PEEK, max_frames)
        if type(got) is Batch:
            return got
        return self._recv(got, max_frames, _deadline(timeout_s))

    def _recv(self, got: Batch | int, max_frames: int, deadline: float | None) -> Batch:
        """Go on where nothing waited, or an error came."""
        while got == 0:
            self._memory.flush()
            if not self._wait_to_receive(deadline):
                return self._memory.empty(Batch, Packet)
            got = self._memory.read(Batch, Packet, _PEEK, max_frames)
        if isinstance(got, int):
            raise os_error(got, self._interface)
        return got

    def batches(self, max_frames: int = _BATCH, timeout_s: float | None = None) -> Iterator[Batch]:
        """Go through all packets in batches, until none comes for *timeout_s*."""
        while True:
            batch = self.recv(max_frames, timeout_s)
            if not batch:
                return
            yield batch
            del batch

    def packets(self, timeout_s: float | None = None) -> Iterator[Packet]:
        """Go through all packets one by one, until none comes for *timeout_s*."""
        for batch in self.batches(timeout_s=timeout_s):
            yield from iter(batch._take, None)

    def __iter__(self) -> Iterator[Packet]:
        """Go through all packets one by one, for ever."""
        return self.packets()

    async def arecv(self, max_frames: int = _BATCH) -> Batch:
        """As :meth:`recv`, for asyncio: waits for the first packet without blocking."""
        while True:
            batch = self.recv(max_frames, 0)
            if batch:
                return batch
            del batch
            await self._readable()

    async def __aiter__(self) -> AsyncIterator[Batch]:
        """Go through all packets in batches, for ever, in asyncio."""
        while True:
            yield await self.arecv()

    async def _readable(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        ready = loop.create_future()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        # a file number of its own, so that several tasks can wait
        file = os.dup(self.fileno())
        woken = os.dup(self._wake)
        loop.add_reader(file, wake)
        loop.add_reader(woken, wake)
        try:
            await ready
        finally:
            loop.remove_reader(file)
            loop.remove_reader(woken)
            os.close(file)
            os.close(woken)

    # --- transmit ---

    def reserve(self, count: int = 1, timeout_s: float | None = None) -> list[TxBuffer]:
        """Return up to *count* buffers to fill, at least one, as soon as one is free.

        Raises :class:`NoBufferError` when time is up.
        """
        batch = self._reserve(count, _deadline(timeout_s))
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
        deadline = _deadline(timeout_s)
        sent = 0
        while sent < len(pending):
            try:
                with self._reserve(min(len(pending) - sent, _BATCH), deadline) as batch:
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
        deadline = _deadline(timeout_s)
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
            self._memory.set_tx(_address(memory.tx), info.tx_bytes)
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
        deadline = _deadline(timeout_s)
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

    def stats(self) -> TapStats:
        """Return what it got and lost so far."""
        stats = ffi.new("struct ntzc_tap_stats *")
        self._memory.flush()
        with self._lock:
            self._check()
            code = lib.ntzc_tap_stats(self._tap, stats)
        if code < 0:
            raise os_error(code, self._interface)
        return TapStats(*(getattr(stats, name) for name in TapStats._fields))

    # --- waiting ---

    def _wait(self, events: int, deadline: float | None) -> bool:
        """Wait for *events*, an error, or the tap's end; return whether it was in time."""
        left = _left(deadline)
        if left is not None and left <= 0:
            return False
        return bool(self._poller(events).poll(None if left is None else left * 1000))

    def _wait_to_receive(self, deadline: float | None) -> bool:
        """As _wait(), for packets, by a poll object that was made before: waits are frequent."""
        left = _left(deadline)
        if left is not None and left <= 0:
            return False
        try:
            poller = self._pollers.pop()  # one for each thread that waits at a time
        except IndexError:
            poller = self._poller(select.POLLIN)
        ready = poller.poll(None if left is None else left * 1000)
        self._pollers.append(poller)
        return bool(ready)

    def _poller(self, events: int) -> select.poll:
        poller = select.poll()
        if events:
            poller.register(self._fd, events)
        poller.register(self._wake, select.POLLIN)
        return poller

    def _wait_slice(self, events: int, deadline: float | None) -> bool:
        """Wait for what poll may not tell, a moment at most; return whether it was in time."""
        left = _left(deadline)
        if left is not None and left <= 0:
            return False
        self._wait(events, _deadline(_SLICE_S if left is None else min(left, _SLICE_S)))
        return True


# the taps of this process, so that a forked child can let go of them
_taps: weakref.WeakSet[Tap] = weakref.WeakSet()


def _abandon_all() -> None:
    for tap in list(_taps):
        tap._abandon()
    _taps.clear()


os.register_at_fork(after_in_child=_abandon_all)


def _bits(mask: int) -> tuple[int, ...]:
    return tuple(bit for bit in range(mask.bit_length()) if mask >> bit & 1)


def _deadline(timeout_s: float | None) -> float | None:
    return None if timeout_s is None else time.monotonic() + timeout_s


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - time.monotonic()


def _frame_list(frames: Buffer | Iterable[Buffer]) -> list[Buffer]:
    """One frame or many: what exports bytes is one."""
    try:
        view = memoryview(frames)  # type: ignore[arg-type]
    except TypeError:
        return list(frames)  # type: ignore[arg-type]
    return [view]


def open(  # noqa: A001 - as pyntzc.open, like gzip.open
    interface: str | int | Port,
    *,
    queues: Iterable[int] | None = None,
    ring_size: int = 0,
    quota: int = 0,
    promisc: bool = True,
    tx_buffers: int = 0,
    tx_buf_size: int = 0,
    device: str | os.PathLike[str] | None = None,
) -> Tap:
    """Open a tap on a card: from now on it gets what the card receives.

    *interface* is its interface's name or index, or a :class:`Port`; *queues* the receive
    queues to read, all if None. *ring_size* frames may wait per queue (a power of two, at
    most 65536), and *quota* may be held, waiting ones included; 0 stands for the kernel's
    default. *promisc* asks for frames to any address. Transmit memory comes with the first
    frame to send: *tx_buffers* of *tx_buf_size* bytes (2048, 4096, 8192 or 16384), 0 for
    the defaults.

    Raises :class:`ModuleNotLoadedError`, :class:`PermissionDeniedError`,
    :class:`VersionError`, :class:`NoSuchPortError`, :class:`BusyError`,
    :class:`InvalidArgumentError`.
    """
    mask = 0
    for queue in queues if queues is not None else ():
        if not 0 <= queue < lib.NTZC_MAX_QUEUES:
            raise ValueError(f"queues are numbered 0 to {lib.NTZC_MAX_QUEUES - 1}, not {queue}")
        mask |= 1 << queue
    if queues is not None and not mask:
        raise ValueError("name at least one queue, or None for all")
    if ring_size < 0 or ring_size > lib.NTZC_MAX_RING or ring_size & (ring_size - 1):
        raise ValueError(f"ring_size is a power of two, at most {lib.NTZC_MAX_RING}")

    name = str(interface)
    if isinstance(interface, Port):
        name = interface.name or interface.bus
        if not interface.ifindex:
            raise NoSuchPortError(errno.ENODEV, "its interface is in another namespace", name)
        interface = interface.ifindex
    options = ffi.new("struct ntzc_tap_options *")
    options.size = ffi.sizeof(options[0])
    options.flags = lib.NTZC_ATTACH_PROMISC if promisc else 0
    options.ring_size = ring_size
    options.quota = quota
    options.queues = mask
    keep_alive = []  # C strings, until the call is over
    if isinstance(interface, int):
        options.ifindex = interface
    else:
        keep_alive.append(ffi.new("char[]", interface.encode()))
        options.interface = keep_alive[-1]
    if device is not None:
        keep_alive.append(ffi.new("char[]", os.fsencode(device)))
        options.device = keep_alive[-1]

    out = ffi.new("struct ntzc_tap **")
    code = lib.ntzc_tap_create(options, out)
    if code < 0:
        raise os_error(code, name, opening=True)
    return Tap(out[0], name, (tx_buffers, tx_buf_size))
