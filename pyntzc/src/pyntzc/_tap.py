# SPDX-License-Identifier: GPL-2.0-or-later
"""The tap: a card's packets for one program."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import NamedTuple

from pyntzc._errors import NoSuchPortError, os_error
from pyntzc._handle import BATCH, address_of, deadline_of
from pyntzc._libntzc import ffi, lib
from pyntzc._packet import Batch, Packet
from pyntzc._port import Port
from pyntzc._send import Sender

_PEEK = address_of(ffi.addressof(lib, "ntzc_tap_peek"))


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


class Tap(Sender):
    """An open tap. Made by :func:`open`; a context manager.

    Any number of threads may use it; each packet goes to one of those that read. A call
    that waits in one thread ends with :class:`ClosedError` when another closes the tap.
    After a fork the tap stays the parent's: in the child it is closed, and views of its
    packets read as zeros.

    Times are in seconds; None waits for as long as it takes, 0 does not wait.
    """

    def recv(self, max_frames: int = BATCH, timeout_s: float | None = None) -> Batch:
        """Return the packets that wait, at most *max_frames*; an empty batch when time is up.

        It waits for the first packet only. Raises :class:`PortGoneError`, ClosedError.
        """
        got = self._memory.read(Batch, Packet, _PEEK, max_frames)
        if type(got) is Batch:
            return got
        return self._recv(got, max_frames, deadline_of(timeout_s))

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

    def batches(self, max_frames: int = BATCH, timeout_s: float | None = None) -> Iterator[Batch]:
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

    async def arecv(self, max_frames: int = BATCH) -> Batch:
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
