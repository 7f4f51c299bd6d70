# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's end of the agent: commands in the guest, their output, and their status.

One thread reads the port and files what comes in; everybody else waits on one condition,
which the machine's death also wakes, so nobody waits for a guest that is gone. All methods
may be called from any thread.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emulation import protocol
from emulation.errors import CommandFailed, GuestTimeout, VMError


@dataclass(frozen=True)
class Completed:
    """A command that ended: its status (negative: the signal that ended it) and output."""

    argv: tuple[str, ...]
    returncode: int
    stdout_bytes: bytes = field(repr=False)
    stderr_bytes: bytes = field(repr=False)

    @property
    def stdout(self) -> str:
        """Standard output as text; bytes that are no UTF-8 become replacement characters."""
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stderr(self) -> str:
        """Standard error as text, likewise."""
        return self.stderr_bytes.decode(errors="replace")

    def check(self) -> Completed:
        """Return self.

        Raises:
            CommandFailed: the status is not 0.

        """
        if self.returncode:
            raise CommandFailed(self.argv, self.returncode, self.stdout, self.stderr)
        return self


class Channel:
    """The connection to the agent.

    Args:
        port: the connected socket of the agent's virtio-serial port.
        died: makes the exception to raise once the connection is lost.
        lost: called, once and from the reader, when the connection is lost.
        pace: by what every deadline is multiplied; see :mod:`emulation.pace`.

    """

    def __init__(
        self,
        port: socket.socket,
        died: Callable[[], VMError],
        lost: Callable[[], None],
        pace: float = 1,
    ) -> None:
        self.pace = pace
        self._port = port
        self._died = died
        self._on_lost = lost
        # Reentrant: the garbage collector may run while it is held, and end a reference into
        # the guest, which sends a message of its own.
        self._sending = threading.RLock()
        self._changed = threading.Condition()
        self._replies: dict[int, protocol.Message] = {}
        self._processes: dict[int, Process] = {}
        self._next_id = 1
        self._ready = False
        self._lost = False
        self._reader = threading.Thread(target=self._read, name="vm-agent", daemon=True)
        self._reader.start()

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the agent has said that it runs."""
        self.wait_for(lambda: self._ready, timeout_s, "the guest to boot")

    def wait_for(self, condition: Callable[[], bool], timeout_s: float | None, what: str) -> None:
        """Wait until *condition* holds; it is asked whenever something came from the guest.

        Raises:
            GuestTimeout: *timeout_s* seconds passed.
            VMDied: the connection is lost.

        """
        if timeout_s is not None:
            timeout_s *= self.pace
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not condition():
                if self._lost:
                    raise self._died()
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise GuestTimeout(f"waited {timeout_s:g} s for {what}")
                self._changed.wait(left)

    def spawn(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        terminal: tuple[int, int] | None = None,
        on_output: Callable[[str, bytes], None] | None = None,
        timeout_s: float = 60,
    ) -> Process:
        """Start a command in the guest and return at once; see :meth:`emulation.vm.VM.spawn`."""
        process = Process(self, tuple(argv), on_output)
        head = {"argv": list(argv), "cwd": cwd, "env": dict(env or {}), "terminal": terminal}
        with self._changed:
            ident = self._new_id()
            self._processes[ident] = process
        process.ident = ident
        try:
            self._send({"op": "spawn", "id": ident, **head})
            started, _ = self._reply(ident, timeout_s, " ".join(argv))
        except BaseException:
            self._processes.pop(ident, None)
            raise
        process.pid = started["pid"]
        return process

    def call(
        self, name: str, *args: Any, payload: bytes = b"", timeout_s: float = 60
    ) -> tuple[Any, bytes]:
        """Have the agent itself do one of its calls; return its result and data.

        Raises:
            OSError: the call failed in the guest with that errno.

        """
        with self._changed:
            ident = self._new_id()
        self._send({"op": "call", "id": ident, "name": name, "args": args}, payload)
        head, data = self._reply(ident, timeout_s, f"{name}{args}")
        return head["result"], data

    def poweroff(self) -> None:
        """Tell the agent to end, which powers the guest off."""
        self._send({"op": "poweroff", "id": 0})

    def close(self) -> None:
        """Hang up; the guest powers off if it still runs."""
        with contextlib.suppress(OSError):
            self._port.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._port.close()

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _send(self, head: dict[str, Any], payload: bytes = b"") -> None:
        message = protocol.encode(head, payload)
        try:
            with self._sending:
                self._port.sendall(message)
        except OSError:
            raise self._died() from None

    def _reply(self, ident: int, timeout_s: float, what: str) -> protocol.Message:
        self.wait_for(lambda: ident in self._replies, timeout_s, what)
        head, payload = self._replies.pop(ident)
        if head["event"] == "error":
            if head["errno"] is None:
                raise VMError(f"{what}: {head['text']}")
            raise OSError(head["errno"], head["text"], head["file"])
        return head, payload

    def _read(self) -> None:
        try:
            self._read_all()
        finally:  # also when a message cannot be made sense of: nobody shall wait for more
            with self._changed:
                self._lost = True
                self._changed.notify_all()
            self._on_lost()

    def _read_all(self) -> None:
        decoder = protocol.Decoder()
        while True:
            try:
                data = self._port.recv(1 << 20)
            except OSError:
                return
            messages = decoder.feed(data)
            with self._changed:
                for head, payload in messages:
                    self._file(head, payload)
                self._changed.notify_all()
            if not data:
                return

    def _file(self, head: dict[str, Any], payload: bytes) -> None:
        event = head["event"]
        # one whose start took too long is not known any more
        process = self._processes.get(head.get("id", -1))
        if event == "ready":
            self._ready = True
        elif event == "output":
            if process:
                process.take_output(head["stream"], payload)
        elif event == "exit":
            if process:
                del self._processes[head["id"]]
                process.returncode = head["status"]
        else:
            self._replies[head["id"]] = (head, payload)


class Process:
    """A command running in the guest; made by :meth:`emulation.vm.VM.spawn`.

    Attributes:
        argv: the command.
        pid: its process id in the guest; it leads a session and process group of its own.
        returncode: its status once it has ended (negative: the signal that ended it).

    """

    def __init__(
        self,
        channel: Channel,
        argv: tuple[str, ...],
        on_output: Callable[[str, bytes], None] | None,
    ) -> None:
        self._channel = channel
        self._output = {"stdout": bytearray(), "stderr": bytearray()}
        self._on_output = on_output
        self.ident = 0
        self.argv = argv
        self.pid = 0
        self.returncode: int | None = None

    @property
    def stdout(self) -> bytes:
        """What it has written to standard output so far."""
        return bytes(self._output["stdout"])

    @property
    def stderr(self) -> bytes:
        """What it has written to standard error so far."""
        return bytes(self._output["stderr"])

    def take_output(self, stream: str, data: bytes) -> None:
        """File what came in; called by the channel's reader with its lock held."""
        if self._on_output:
            self._on_output(stream, data)
        else:
            self._output[stream] += data

    def write(self, data: bytes) -> None:
        """Write to its standard input; returns before the command has taken it."""
        if data:
            self._channel._send({"op": "input", "id": self.ident}, data)

    def close_stdin(self) -> None:
        """End its standard input."""
        self._channel._send({"op": "input", "id": self.ident})

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal."""
        self._channel._send({"op": "resize", "id": self.ident, "size": [rows, columns]})

    def signal(self, number: int) -> None:
        """Send it the signal *number*; nothing happens if it has ended."""
        head = {"op": "signal", "id": self.ident, "signal": int(number), "group": False}
        self._channel._send(head)

    def kill(self, timeout_s: float = 60) -> None:
        """Kill it and its process group with SIGKILL, and wait for its end."""
        head = {"op": "signal", "id": self.ident, "signal": int(signal.SIGKILL), "group": True}
        self._channel._send(head)
        self._wait(timeout_s)

    def wait(self, timeout_s: float | None = 60) -> Completed:
        """Wait for its end; without a deadline if *timeout_s* is None.

        Raises:
            GuestTimeout: *timeout_s* seconds passed; it goes on running.
            VMDied: the machine died.

        """
        returncode = self._wait(timeout_s)
        return Completed(self.argv, returncode, self.stdout, self.stderr)

    def wait_output(
        self, pattern: str | bytes, timeout_s: float = 60, *, stream: str = "stdout"
    ) -> re.Match[bytes]:
        """Wait until its output so far matches the regular expression *pattern*.

        Raises:
            CommandFailed: it ended without a match.
            GuestTimeout: *timeout_s* seconds passed.
            VMDied: the machine died.

        """
        wanted = re.compile(pattern.encode() if isinstance(pattern, str) else pattern, re.MULTILINE)
        output = self._output[stream]
        self._channel.wait_for(
            lambda: self.returncode is not None or wanted.search(output) is not None,
            timeout_s,
            f"{self.argv[0]} to print {pattern!r}",
        )
        if found := wanted.search(bytes(output)):
            return found
        assert self.returncode is not None
        done = Completed(self.argv, self.returncode, self.stdout, self.stderr)
        raise CommandFailed(self.argv, self.returncode, done.stdout, done.stderr)

    def _wait(self, timeout_s: float | None) -> int:
        self._channel.wait_for(
            lambda: self.returncode is not None, timeout_s, f"{' '.join(self.argv)} to end"
        )
        assert self.returncode is not None
        return self.returncode
