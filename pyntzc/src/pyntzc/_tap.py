# SPDX-License-Identifier: GPL-2.0-or-later
"""The tap: a card's packets for one program."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Iterator

from pyntzc._batch import Batch
from pyntzc._errors import os_error
from pyntzc._filter import in_kernels_terms, refused
from pyntzc._handle import address_of, deadline_of
from pyntzc._libntzc import ffi, lib
from pyntzc._options import create, name_of
from pyntzc._packet import Packet
from pyntzc._port import Port
from pyntzc._send import Sender
from pyntzc._stats import TapStats, tap_stats

BATCH = 256
"""Frames in a batch at most, unless somebody says otherwise."""

_PEEK = address_of(ffi.addressof(lib, "ntzc_tap_peek"))


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
        return self._recv(got, max_frames, timeout_s)

    def _recv(self, got: Batch | int, max_frames: int, timeout_s: float | None) -> Batch:
        """Go on where nothing waited, or an error came."""
        if got == 0 and timeout_s == 0:  # who only looks need not know the time
            self._memory.flush()
            return self._memory.empty(Batch, Packet)
        deadline = deadline_of(timeout_s)
        while got == 0:
            self._memory.flush()
            if not self._wait_to_receive(deadline):
                return self._memory.empty(Batch, Packet)
            got = self._memory.read(Batch, Packet, _PEEK, max_frames)
        if isinstance(got, int):
            raise os_error(got, self._interface)
        return got

    def batches(self, max_frames: int = BATCH, timeout_s: float | None = None) -> Iterator[Batch]:
        """Go through all packets in batches, until none comes for *timeout_s*.

        Costs less for each batch than :meth:`recv`, and raises the same.
        """

        def wait(got: int) -> Batch:
            return self._recv(got, max_frames, timeout_s)

        return self._memory.batches(Batch, Packet, _PEEK, max_frames, wait)

    def packets(self, timeout_s: float | None = None) -> Iterator[Packet]:
        """Go through all packets one by one, until none comes for *timeout_s*.

        They are read in batches. Left early, it keeps what it has read: the next call goes on
        with that. Until then it counts as held, and :meth:`recv` gets what came after it.
        """
        batches = self.batches(timeout_s=timeout_s)
        while batch := self._unread.pop() if self._unread else next(batches, None):
            try:
                yield from iter(batch._take, None)
            except GeneratorExit:
                self._unread.append(batch)
                raise

    def __iter__(self) -> Iterator[Packet]:
        """Go through all packets one by one, for ever."""
        return self.packets()

    async def arecv(self, max_frames: int = BATCH) -> Batch:
        """As :meth:`recv`, for asyncio: waits for the first packet without blocking."""
        import asyncio

        while True:
            # where packets always wait others want to run, too; not once there is a batch, which
            # who cancels this would lose
            await asyncio.sleep(0)
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

        with contextlib.ExitStack() as readers:
            for file in (self.fileno(), self._wake):
                own = os.dup(file)  # so that several tasks can wait
                readers.callback(os.close, own)
                loop.add_reader(own, wake)
                readers.callback(loop.remove_reader, own)
            await ready

    def stats(self) -> TapStats:
        """Return what it got and lost so far."""
        stats = ffi.new("struct ntzc_tap_stats *")
        self._memory.flush()
        with self._lock:
            self._check()
            code = lib.ntzc_tap_stats(self._tap, stats)
        if code < 0:
            raise os_error(code, self._interface)
        return tap_stats(stats)

    @property
    def filter(self) -> str | int | None:
        """Which frames it gets; None for all. Can be set while it runs.

        Text in libpcap's syntax, such as ``"udp port 53"``, or the file number of a loaded
        eBPF program of type BPF_PROG_TYPE_SOCKET_FILTER. A new one is in force at once, for
        all queues; packets that wait already stay. Setting raises :class:`FilterError`, and
        the old one stays in place then.
        """
        return self._filter

    @filter.setter
    def filter(self, wanted: str | int | None) -> None:
        with in_kernels_terms(wanted) as terms, self._lock:
            self._check()
            code = lib.ntzc_tap_set_filter(self._tap, terms)
        if code < 0:
            raise refused(code, self._interface)
        self._filter = wanted

    def attach_ebpf(self, fd: int) -> None:
        """Have an eBPF program filter; the same as setting :attr:`filter` to its file number.

        The kernel keeps the program: *fd* may be closed then.
        """
        self.filter = fd


def open(  # noqa: A001 - as pyntzc.open, like gzip.open
    interface: str | int | Port,
    *,
    filter: str | int | None = None,
    queues: Iterable[int] | None = None,
    ring_size: int = 0,
    quota: int = 0,
    promisc: bool = True,
    host: bool = False,
    fanout: int = 0,
    clock: str = "realtime",
    busy_poll_us: int = 0,
    door: str = "auto",
    tx_buffers: int = 0,
    tx_buf_size: int = 0,
    device: str | os.PathLike[str] | None = None,
) -> Tap:
    """Open a tap on a card: from now on it gets what the card receives.

    *interface* is its interface's name or index, or a :class:`Port`.

    Which packets: *filter* as :attr:`Tap.filter`, in force before the first packet; *queues*
    the receive queues to read, all if None; *promisc* asks for packets to any address; *host*
    for what the host's own stack sends as well. A *fanout* that is not 0 joins the group of
    that number: each packet goes to one member, and all packets of a flow to the same; the
    members must be on the same card and queues.

    How many: *ring_size* frames may wait per queue (a power of two, at most 65536), and
    *quota* may be held, waiting ones included; 0 stands for the kernel's default.

    How: *clock* of the timestamps is 'realtime', 'monotonic' or 'tai'. *busy_poll_us* has a
    call that waits poll the card for so many microseconds, at most 10000, before it sleeps.
    *door* is 'rings' or 'calls', or 'auto' for rings where the kernel has them.

    To send: transmit memory comes with the first frame, *tx_buffers* of *tx_buf_size* bytes
    (2048, 4096, 8192 or 16384), 0 for the defaults.

    Raises :class:`ModuleNotLoadedError`, :class:`PermissionDeniedError`,
    :class:`VersionError`, :class:`NoSuchPortError`, :class:`BusyError`, :class:`FilterError`,
    :class:`InvalidArgumentError`, :class:`UnsupportedError`, ValueError.
    """
    tap = create(
        interface,
        queues=queues,
        ring_size=ring_size,
        quota=quota,
        promisc=promisc,
        host=host,
        filter=filter,
        fanout=fanout,
        clock=clock,
        busy_poll_us=busy_poll_us,
        door=door,
        device=device,
    )
    return Tap(tap, name_of(interface), (tx_buffers, tx_buf_size), filter)
