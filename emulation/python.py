# SPDX-License-Identifier: GPL-2.0-or-later
"""A Python process in the guest whose objects are used from the host, by rpyc.

Starting an interpreter in the guest takes a second, importing into it more; this one stays.
It has a virtio-serial port of its own, so there can be some dozens, a call that blocks in one
keeps nobody else waiting, and no message takes the way through the agent.
"""

from __future__ import annotations

import contextlib
import math
import select
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rpyc
from rpyc.core.async_ import AsyncResultTimeout
from rpyc.core.stream import Stream

from emulation.channel import Process
from emulation.errors import GuestTimeout, VMError

_END_S = 10
_OUTERMOST = "in _run_module_as_main$"  # where "python -m" begins, and what it tells ends
_LOOK_S = 0.2  # how long the end of its process may go unnoticed


class _PortStream(Stream):  # type: ignore[misc]
    """The host's end of a port that a process in the guest has, as rpyc wants it."""

    MAX_IO_CHUNK = 1 << 18

    def __init__(self, port: socket.socket, process: Process, died: Callable[[], VMError]) -> None:
        self._port = port
        self._process = process
        self._died = died
        self._poll = select.poll()
        self._poll.register(port, select.POLLIN)

    @property
    def closed(self) -> bool:
        return self._port.fileno() < 0

    def close(self) -> None:
        self._port.close()

    def poll(self, timeout: Any) -> bool:
        return self._wait(timeout.timeleft())

    def read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            self._wait(None)
            try:
                piece = self._port.recv(count - len(data), socket.MSG_DONTWAIT)
            except BlockingIOError:
                self.close()
                raise EOFError(
                    f"Python in the guest ended: status {self._process.returncode}"
                ) from None
            except OSError:
                piece = b""
            if not piece:
                raise self._died()
            data += piece
        return bytes(data)

    def write(self, data: bytes) -> None:
        try:
            self._port.sendall(data)
        except OSError:
            if self.closed:
                raise EOFError("the connection to Python in the guest is closed") from None
            raise self._died() from None

    def give_up(self) -> str:
        """Close; return where in its program the process is."""
        self._process.signal(signal.SIGUSR1)  # pyagent tells
        with contextlib.suppress(VMError):
            self._process.wait_output(_OUTERMOST, _END_S, stream="stderr")
        self.close()
        return self._process.stderr.decode(errors="replace")

    def _wait(self, seconds: float | None) -> bool:
        """Wait for something to read, or for the process's end."""
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        while not self._poll.poll(1000 * max(0, min(_LOOK_S, deadline - time.monotonic()))):
            # what it wrote before has come by now: it takes another way, but a shorter one
            if self._process.returncode is not None:
                return True
            if time.monotonic() > deadline:
                return False
        return True


class _Connection(rpyc.Connection):  # type: ignore[misc]
    """Gives a process up that does not answer in time.

    It serves one call after the other: who asks again, be it for a name to print, would only
    wait as long.
    """

    def sync_request(self, handler: int, *args: Any) -> Any:
        try:
            return super().sync_request(handler, *args)
        except AsyncResultTimeout as error:
            error.add_note(f"Python in the guest, given up:\n{self._channel.stream.give_up()}")
            raise


class _Service(rpyc.core.service.MasterService):  # type: ignore[misc]
    _protocol = _Connection


class GuestPython:
    """Python in the guest. Made by :meth:`emulation.vm.VM.python`.

    Objects of the guest appear as references, whose use is a call to the guest; what
    crosses by value are numbers, strings, bytes, None, and tuples of those. Use
    :meth:`fetch` for other values. Calls raise what the guest raised, or
    :class:`emulation.errors.VMDied`.
    """

    def __init__(
        self,
        process: Process,
        port: socket.socket,
        timeout_s: float,
        died: Callable[[], VMError],
        unplug: Callable[[], None],
    ) -> None:
        self._process = process
        self._unplug = unplug
        self._connection = rpyc.utils.factory.connect_stream(
            _PortStream(port, process, died),
            _Service,
            {"sync_request_timeout": timeout_s},
        )

    @property
    def pid(self) -> int:
        """Its process id in the guest."""
        return self._process.pid

    @property
    def modules(self) -> Any:
        """The guest's modules: ``modules.os`` or ``modules["os.path"]``, imported on use."""
        return self._connection.modules

    @property
    def builtins(self) -> Any:
        """The guest's built-in functions."""
        return self._connection.builtins

    @property
    def namespace(self) -> Any:
        """The variables that :meth:`execute` sees, as a mapping."""
        return self._connection.namespace

    @property
    def stderr(self) -> str:
        """What it has written to its standard output and standard error so far."""
        return (self._process.stdout + self._process.stderr).decode(errors="replace")

    def eval(self, expression: str) -> Any:
        """Evaluate *expression* in the guest."""
        return self._connection.eval(expression)

    def execute(self, text: str) -> None:
        """Execute *text* in the guest; what it defines is in :attr:`namespace`."""
        self._connection.execute(text)

    def load(self, path: str | Path) -> Any:
        """Execute the Python file *path* as a module of the guest, and return it."""
        self.execute(
            "import importlib.util as _u\n"
            f"_s = _u.spec_from_file_location({Path(path).stem!r}, {str(path)!r})\n"
            "_m = _u.module_from_spec(_s)\n_s.loader.exec_module(_m)\n"
        )
        return self.namespace["_m"]

    def fetch(self, value: Any) -> Any:
        """Return a copy of a guest's object, if it can be pickled."""
        return rpyc.utils.classic.obtain(value)

    def deliver(self, value: Any) -> Any:
        """Copy *value* into the guest, if it can be pickled; return the reference to it."""
        return rpyc.utils.classic.deliver(self._connection, value)

    def kill(self) -> None:
        """Kill it with SIGKILL, and wait for its end."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """End it, whatever it is doing, and wait for its end; harmless if it has ended."""
        with contextlib.suppress(VMError):  # the machine is gone, and this with it
            self._connection.close()
            try:
                self._process.wait(_END_S)
            except GuestTimeout:
                self._process.kill()
            self._unplug()
