# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's end of a card's cable: frames to the card and frames from it.

QEMU's datagram backend carries one Ethernet frame a datagram, without FCS, both ways. The
card stops reading when none of its enabled receive queues has a buffer, so with one queue a
sender is held back and nothing is lost. With several, the model drops a frame whose queue
is full while another has room, and counts it nowhere: then send no more than a ring at once.
A thread takes frames from the card as they come: QEMU would drop them once its own queue
(10,000 frames) is full.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from emulation.errors import GuestTimeout, VMError

_MAX_FRAME_LEN = 1 << 16
_BUFFER_LEN = 16 << 20


class Wire:
    """One cable. Frames are bytes from the destination address on, without FCS.

    Args:
        local: the path to bind, where QEMU sends to.
        remote: the path that QEMU binds.
        died: makes the exception to raise once the machine is gone.
        pace: by what every deadline is multiplied; see :mod:`emulation.pace`.

    """

    def __init__(
        self, local: Path, remote: Path, died: Callable[[], VMError], pace: float = 1
    ) -> None:
        self._pace = pace
        self._remote = remote
        self._died = died
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(local))
        self._frames: deque[bytes] = deque()
        self._arrived = threading.Condition()
        self._lost = False
        self._wakeup, self._waker = socket.socketpair()
        self._reader = threading.Thread(target=self._read, name=f"wire-{local.name}", daemon=True)

    def connect(self) -> None:
        """Connect to QEMU, which has bound its side by now, and begin to take frames."""
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER_LEN)
        self._socket.connect(str(self._remote))
        self._socket.setblocking(False)
        self._reader.start()

    def send(self, frame: bytes, timeout_s: float = 60) -> None:
        """Send one frame to the card; see :meth:`send_many`."""
        self.send_many((frame,), timeout_s)

    def send_many(self, frames: Iterable[bytes], timeout_s: float = 60) -> int:
        """Send frames to the card, in order; return how many.

        Returns when QEMU's socket has taken the last one, which may be before the guest
        sees it.

        Raises:
            GuestTimeout: the card took no frame for *timeout_s* seconds.
            VMDied: the machine is gone.

        """
        sent = 0
        for frame in frames:
            while True:
                try:
                    self._socket.send(frame)
                    break
                except BlockingIOError:
                    self._wait_writable(timeout_s, sent)
                except OSError as error:
                    if isinstance(error, ConnectionError) or self._lost:
                        raise self._died() from None
                    if error.errno != errno.ENOBUFS:
                        raise
                    self._wait_writable(timeout_s, sent)
            sent += 1
        return sent

    def recv(self, timeout_s: float = 60) -> bytes:
        """Return the next frame from the card.

        Raises:
            GuestTimeout: none came for *timeout_s* seconds.
            VMDied: the machine is gone, and so is every frame that it sent.

        """
        return self.recv_many(1, timeout_s)[0]

    def recv_many(self, count: int, timeout_s: float = 60) -> list[bytes]:
        """Return the next *count* frames from the card, in order.

        Raises:
            GuestTimeout: they were not there after *timeout_s* seconds; those that did
                come stay to be received.
            VMDied: the machine is gone.

        """
        timeout_s *= self._pace
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while len(self._frames) < count:
                if self._lost:
                    raise self._died()
                left = deadline - time.monotonic()
                if left <= 0:
                    have = len(self._frames)
                    raise GuestTimeout(f"{have} of {count} frames came in {timeout_s:g} s")
                self._arrived.wait(left)
            return [self._frames.popleft() for _ in range(count)]

    def drain(self) -> list[bytes]:
        """Return the frames that have come and nobody has received, without waiting."""
        with self._arrived:
            frames = list(self._frames)
            self._frames.clear()
        return frames

    def close(self) -> None:
        """Unplug the host's end."""
        with self._arrived:
            self._lost = True
            self._arrived.notify_all()
        self._waker.close()
        if self._reader.is_alive():
            self._reader.join()
        self._wakeup.close()
        self._socket.close()

    def machine_lost(self) -> None:
        """Wake everybody who waits: no frame will come any more."""
        with self._arrived:
            self._lost = True
            self._arrived.notify_all()

    def _wait_writable(self, timeout_s: float, sent: int) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        timeout_s *= self._pace
        deadline = time.monotonic() + timeout_s
        while not poll.poll(200):
            if self._lost:
                raise self._died()
            if time.monotonic() > deadline:
                raise GuestTimeout(f"after {sent} frames, none was taken in {timeout_s:g} s")

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._wakeup, select.POLLIN)
        while True:
            poll.poll()
            batch: list[bytes] = []
            with contextlib.suppress(BlockingIOError, ConnectionError):
                while len(batch) < 256:
                    batch.append(self._socket.recv(_MAX_FRAME_LEN))
            with self._arrived:
                if self._lost:
                    return
                self._frames += batch
                self._arrived.notify_all()
