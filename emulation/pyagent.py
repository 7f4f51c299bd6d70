# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's end of :mod:`emulation.python`: serves its own interpreter to the host.

Arguments: the name of the virtio-serial port that is the connection, and folders to look for
modules in first.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

from rpyc.core.channel import Channel
from rpyc.core.service import SlaveService
from rpyc.core.stream import Stream

_COMES_UP_S = 0.01


class _PortStream(Stream):  # type: ignore[misc]
    """A port, as rpyc wants it.

    It does not block in the kernel, where a writer would spin while the host takes nothing.
    """

    MAX_IO_CHUNK = 1 << 18

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def poll(self, timeout: Any) -> bool:
        left_s = timeout.timeleft()
        return bool(self._wait(select.POLLIN, None if left_s is None else left_s * 1000))

    def read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                piece = os.read(self._fd, count - len(data))
            except BlockingIOError:
                self._wait(select.POLLIN)
                continue
            if not piece:
                raise EOFError("the host hung up")
            data += piece
        return bytes(data)

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                self._wait(select.POLLOUT)

    def _wait(self, events: int, milliseconds: float | None = None) -> list[tuple[int, int]]:
        self._poll.register(self._fd, events)
        return self._poll.poll(milliseconds)


def _open(name: str) -> int:
    """Open the port *name*, which comes up some moments after the host plugged it in."""
    fd = -1
    while fd < 0:
        for entry in Path("/sys/class/virtio-ports").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if (entry / "name").read_text().strip() == name:
                    fd = os.open(f"/dev/{entry.name}", os.O_RDWR | os.O_NONBLOCK)
        time.sleep(_COMES_UP_S)
    poll = select.poll()
    poll.register(fd, 0)
    while poll.poll(0):  # it hangs up until the kernel has heard that the host is there
        time.sleep(_COMES_UP_S)
    return fd


def main() -> None:
    """Serve until the host hangs up."""
    name, *folders = sys.argv[1:]
    sys.path[:0] = folders
    SlaveService()._connect(Channel(_PortStream(_open(name))), {}).serve_all()


if __name__ == "__main__":
    main()
