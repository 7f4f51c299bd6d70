# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's end of :mod:`emulation.python`: serves its own interpreter to the host.

Arguments: the name of the virtio-serial port that is the connection, and folders to look for
modules in first.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import sys
from typing import Any

from rpyc.core.channel import Channel
from rpyc.core.service import SlaveService
from rpyc.core.stream import Stream

from emulation.port import open_port


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


def main() -> None:
    """Serve until the host hangs up; tell on SIGUSR1 what it keeps us at."""
    name, *folders = sys.argv[1:]
    faulthandler.register(signal.SIGUSR1)
    sys.path[:0] = folders
    SlaveService()._connect(Channel(_PortStream(open_port(name))), {}).serve_all()


if __name__ == "__main__":
    main()
