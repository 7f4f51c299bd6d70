# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's end of a virtio-serial port, found by the name that the host gave it."""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path

_COMES_UP_S = 0.01


def open_port(name: str) -> int:
    """Open the port *name*, which comes up some moments after the host plugged it in.

    It waits for as long as that takes: it is for the host to lose patience.
    """
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
