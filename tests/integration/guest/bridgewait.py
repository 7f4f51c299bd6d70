# SPDX-License-Identifier: GPL-2.0-or-later
"""A call that waits, in a thread of its own."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

_IOCTL = "16"  # its number on x86-64


class Reserve:
    """Waits for a transmit buffer of *tap*, however long it takes."""

    def __init__(self, tap: Any) -> None:
        signal.signal(signal.SIGUSR1, lambda *_: None)
        self._tap = tap
        self._count = 0
        os.set_blocking(tap.fd, True)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            descs = self._tap.reserve(1)
        except InterruptedError:
            return
        self._count = len(descs)
        self._tap.release(*(desc[0] for desc in descs))

    def sleeps(self) -> bool:
        """Whether it does, in the call."""
        try:
            call = Path(f"/proc/self/task/{self._thread.native_id}/syscall").read_text()
        except OSError:  # it is over
            return False
        return call.split()[0] == _IOCTL

    def waits(self) -> bool:
        """Whether it is not over."""
        return self._thread.is_alive()

    def end(self) -> int:
        """End it if it still waits; return how many buffers it got."""
        while self._thread.is_alive():
            signal.pthread_kill(self._thread.ident or 0, signal.SIGUSR1)
            self._thread.join(0.1)
        os.set_blocking(self._tap.fd, False)
        return self._count
