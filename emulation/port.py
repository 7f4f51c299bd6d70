# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's end of a virtio-serial port, found by the name that the host gave it."""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path

from emulation.pace import wait_for


def open_port(name: str) -> int:
    """Open the port *name*, which comes up some moments after the host plugged it in.

    Raises:
        TimeoutError: it did not.

    """
    wait_for(lambda: bool(_nodes(name)), f"the port {name}")
    fd = os.open(_nodes(name)[0], os.O_RDWR | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(fd, 0)
    # it hangs up until the kernel has heard that the host is there
    wait_for(lambda: not poll.poll(0), f"the host to take the port {name}")
    return fd


def _nodes(name: str) -> list[Path]:
    """Return the device nodes of the ports of that name: one, or none yet."""
    nodes: list[Path] = []
    for entry in Path("/sys/class/virtio-ports").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if (entry / "name").read_text().strip() == name:
                nodes.append(Path("/dev", entry.name))
    return [node for node in nodes if node.exists()]
