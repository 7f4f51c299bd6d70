# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's end of a card's cable: frames to the card and frames from it.

QEMU's stream backend carries Ethernet frames, without FCS, each after its length, both ways; it
reads many at once, where a datagram each would cost it a call and a turn of its loop. The card
stops reading when none of its enabled receive queues has a buffer, so with one queue a sender is
held back, if some thousand frames later, and nothing is lost. With several, the model drops a
frame whose queue is full while another has room, and counts it nowhere: then send no more than a
ring at once. A thread takes frames from the card as they come: QEMU would drop them once its own
queue (10,000 frames) is full.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from emulation.errors import GuestTimeout, VMError

_LEN = struct.Struct(">I")  # what goes before a frame
_READ_LEN = 1 << 20
# In the socket, of frames to the card: as little as it can be, so that a card that takes none is
# noticed. QEMU itself reads 68 KiB at once.
_UNREAD_LEN = 1 << 16
_CONNECT_S = 60


class Wire:
    """One cable. Frames are bytes from the destination address on, without FCS.

    Args:
        path: where QEMU is to connect to.
        died: makes the exception to raise once the machine is gone.
        pace: by what every deadline is multiplied; see :mod:`emulation.pace`.

    """

    def __init__(self, path: Path, died: Callable[[], VMError], pace: float = 1) -> None:
        self._pace = pace
        self._died = died
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._socket = self._listener  # until it is connected
        self._sending = threading.Lock()
        self._unsent = memoryview(b"")  # the rest of a frame that was begun
        self._frames: deque[bytes] = deque()
        self._arrived = threading.Condition()
        self._lost = False
        self._wakeup, self._waker = socket.socketpair()
        self._reader = threading.Thread(target=self._read, name=f"wire-{path.name}", daemon=True)

    def connect(self) -> None:
        """Take QEMU's connection, which it has made by now, and begin to take frames."""
        self._listener.settimeout(_CONNECT_S)
        self._socket, _ = self._listener.accept()
        self._listener.close()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD_LEN)
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
        queue = list(frames)
        data = memoryview(b"".join(part for f in queue for part in (_LEN.pack(len(f)), f)))
        with self._sending:
            while self._unsent:
                self._unsent = self._unsent[self._send_some(self._unsent, timeout_s) :]
            done = 0
            try:
                while done < len(data):
                    done += self._send_some(data[done:], timeout_s)
            except BaseException:
                self._unsent = data[done : _frame_end(data, done)]
                raise
        return len(queue)

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

    def _send_some(self, data: memoryview, timeout_s: float) -> int:
        """Send some of *data*, at least a byte; return how many."""
        while True:
            try:
                return self._socket.send(data)
            except BlockingIOError:
                self._wait_writable(timeout_s)
            except OSError as error:
                if isinstance(error, ConnectionError) or self._lost:
                    raise self._died() from None
                raise

    def _wait_writable(self, timeout_s: float) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        timeout_s *= self._pace
        deadline = time.monotonic() + timeout_s
        while not poll.poll(200):
            if self._lost:
                raise self._died()
            if time.monotonic() > deadline:
                raise GuestTimeout(f"the card took no frame for {timeout_s:g} s")

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._wakeup, select.POLLIN)
        rest = b""
        while not self._lost:
            poll.poll()
            try:
                data = self._socket.recv(_READ_LEN)
            except BlockingIOError:
                continue
            except ConnectionError:
                return
            if not data:
                return
            frames, rest = _parse(rest + data)
            with self._arrived:
                self._frames += frames
                self._arrived.notify_all()


def _frame_end(data: memoryview, done: int) -> int:
    """Return where the frame ends of which the first byte not sent is at *done*, or *done*."""
    end = 0
    while end < done:
        end += _LEN.size + _LEN.unpack_from(data, end)[0]
    return end


def _parse(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the frames in *data*, and what follows the last whole one."""
    frames = []
    at = 0
    while len(data) - at >= _LEN.size:
        begin = at + _LEN.size
        end = begin + _LEN.unpack_from(data, at)[0]
        if end > len(data):
            break
        frames.append(data[begin:end])
        at = end
    return frames, data[at:]
