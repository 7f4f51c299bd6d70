# SPDX-License-Identifier: GPL-2.0-or-later
"""QMP for programs without an event loop: qemu.qmp's client in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from qemu.qmp import EventListener, ExecuteError, QMPClient, QMPError

from emulation.errors import GuestTimeout, VMError

_T = TypeVar("_T")


class Monitor:
    """A QMP session on an accepted connection.

    Args:
        connection: the socket on which QEMU called.
        died: makes the exception to raise once QEMU is gone.

    """

    def __init__(self, connection: socket.socket, died: Callable[[], VMError]) -> None:
        self._died = died
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qmp", daemon=True)
        self._thread.start()
        self._client = QMPClient("ntzc")
        self._client.logger.setLevel("CRITICAL")  # a machine's end is no news for the log
        self._events = EventListener()
        self._client.register_listener(self._events)
        connection.setblocking(False)
        self._wait(self._client.connect(connection), 60)

    def command(self, name: str, /, timeout_s: float = 60, **arguments: Any) -> Any:
        """Execute a command; return its result.

        Raises:
            VMError: QEMU refused it.
            VMDied: QEMU is gone.

        """
        try:
            return self._wait(self._client.execute(name, arguments or None), timeout_s)
        except ExecuteError as error:
            raise VMError(f"QMP {name}: {error}") from None

    def human(self, line: str) -> str:
        """Run a command that only QEMU's monitor for people has; return what it printed."""
        words: dict[str, Any] = {"command-line": line}
        return str(self.command("human-monitor-command", **words))

    def wait_event(
        self, name: str, matches: Callable[[dict[str, Any]], bool], timeout_s: float = 60
    ) -> dict[str, Any]:
        """Wait for an event that came since the session's begin, or comes; return its data.

        Events before it are dropped.

        Raises:
            GuestTimeout: *timeout_s* seconds passed.
            VMDied: QEMU is gone.

        """
        deadline = time.monotonic() + timeout_s
        while True:
            event = self._wait(self._events.get(), deadline - time.monotonic())
            data: dict[str, Any] = event.get("data", {})  # type: ignore[assignment]
            if event["event"] == name and matches(data):
                return data

    def close(self) -> None:
        """End the session and the thread."""
        with contextlib.suppress(VMError, QMPError, EOFError, OSError):
            self._wait(self._client.disconnect(), 10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, _T], timeout_s: float) -> _T:
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout_s), self._loop)
        try:
            return future.result()
        except TimeoutError:
            raise GuestTimeout(f"QMP did not answer in {timeout_s} s") from None
        except ExecuteError:
            raise
        except (QMPError, EOFError, ConnectionError):
            raise self._died() from None
