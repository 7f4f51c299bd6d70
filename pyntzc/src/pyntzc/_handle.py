# SPDX-License-Identifier: GPL-2.0-or-later
"""The tap's handle: its life, its end, forks and waiting. What it does is in the other files."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time
import warnings
import weakref
from types import TracebackType
from typing import Any, Self

from pyntzc import _frames
from pyntzc._errors import ClosedError, NtzcOSError, ReleasedError, ViewInUseError, os_error
from pyntzc._libntzc import ffi, lib
from pyntzc._options import DOOR_NAMES
from pyntzc._stats import bits

PER_CALL = 64
"""Frames that are dealt with at a time unless somebody says otherwise."""

INTERRUPTED = -errno.EINTR
"""What a call returns that a signal ended, whose handler then has run: it is made again."""

_SLICE_S = 0.001


def address_of(pointer: Any) -> int:
    """Return the address in a pointer of cffi's."""
    return int(ffi.cast("uintptr_t", pointer))


def deadline_of(timeout_s: float | None) -> float | None:
    """Return when the time is up, None for never."""
    return None if timeout_s is None else time.monotonic() + timeout_s


def time_left(deadline: float | None) -> float | None:
    """Return the seconds until *deadline*, None for no end."""
    return None if deadline is None else deadline - time.monotonic()


_RELEASE = address_of(ffi.addressof(lib, "ntzc_tap_release_descs"))
_DETACH = address_of(ffi.addressof(lib, "ntzc_tap_detach"))
_DESTROY = address_of(ffi.addressof(lib, "ntzc_tap_destroy"))


class Handle:
    """An open tap of libntzc, and the memory that outlives it while views need it."""

    def __init__(
        self, tap: Any, interface: str, tx: tuple[int, int], filter: str | int | None
    ) -> None:
        info = lib.ntzc_tap_info(tap)
        memory = ffi.cast("struct ntzc_tap_memory *", tap)
        self._tap = tap
        self._tx_options = tx
        self._tx_ready = False
        self._fd: int = lib.ntzc_tap_fd(tap)
        self._interface = interface
        self._filter = filter
        self._closed = False
        self._lock = threading.RLock()  # a call into libntzc, against the end of the tap
        # what dies unreleased waits for company, but never holds much of the quota
        limit = min(max(info.quota // 4, 1), PER_CALL)
        self._memory = _frames.Memory(
            address_of(tap),
            _RELEASE,
            _DETACH,
            _DESTROY,
            address_of(memory.rx),
            info.rx_bytes,
            limit,
            ReleasedError,
            ClosedError,
            ViewInUseError,
        )
        self.port_id: int = info.port_id
        """The card's :attr:`Port.id`."""
        self.tap_id: int = info.tap_id
        """Names it among the card's taps, see :meth:`Port.taps`."""
        self.door: str = DOOR_NAMES[lib.ntzc_tap_door(tap)]
        """How it speaks to the kernel: 'rings' that both share, or 'calls'."""
        self.queues: tuple[int, ...] = bits(info.queues)
        """The card's receive queues that it reads."""
        self.host_queue: int = info.n_queues
        """The :attr:`Packet.queue` of what the host sent."""
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
        self._unread: list[_frames.Batch[Any]] = []  # of packets(), left early
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        with _fork_lock:
            _taps.add(self)

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
        if self._closed and not self._memory.open:
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
        unclosed = "" if self._closed else f"unclosed {self!r}"
        with contextlib.suppress(NtzcOSError):
            self.close()
        os.close(self._wake)
        if unclosed:
            warnings.warn(unclosed, ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        return f"<pyntzc.Tap on {self._interface}{', closed' if self._closed else ''}>"

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("the tap is closed")

    def _abandon(self) -> None:
        """In a forked child: let go of the parent's tap, touching nothing of it."""
        self._closed = True
        self._lock = threading.RLock()
        self._memory.close(False)

    def _wait(self, events: int, deadline: float | None) -> bool:
        """Wait for *events*, an error, or the tap's end; return whether it was in time."""
        left = time_left(deadline)
        if left is not None and left <= 0:
            return False
        return bool(self._poller(events).poll(None if left is None else left * 1000))

    def _wait_to_receive(self, deadline: float | None) -> bool:
        """As _wait(), for packets, by a poll object that was made before: waits are frequent."""
        left = time_left(deadline)
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
        left = time_left(deadline)
        if left is not None and left <= 0:
            return False
        self._wait(events, deadline_of(_SLICE_S if left is None else min(left, _SLICE_S)))
        return True


# The taps of this process. A child must find none in the middle of a call, and lets go of all.
_taps: weakref.WeakSet[Handle] = weakref.WeakSet()
_forking: list[Handle] = []
_fork_lock = threading.RLock()


def _before_fork() -> None:
    _fork_lock.acquire()
    _forking[:] = _taps
    for tap in _forking:
        tap._lock.acquire()


def _after_fork_in_parent() -> None:
    for tap in _forking:
        tap._lock.release()
    _forking.clear()
    _fork_lock.release()


def _after_fork_in_child() -> None:
    global _fork_lock
    _fork_lock = threading.RLock()
    for tap in _forking:
        tap._abandon()
    _forking.clear()
    _taps.clear()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
