# SPDX-License-Identifier: GPL-2.0-or-later
"""A Python process in the guest whose objects are used from the host, by rpyc.

Starting an interpreter in the guest takes a second, importing into it more; this one stays.
Its connection runs over the standard streams of a command of the agent's, so there can be
any number, and a call that blocks in one keeps nobody else waiting.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rpyc
from rpyc.core.stream import Stream

from emulation.cache import REPOSITORY
from emulation.channel import Channel
from emulation.errors import GuestTimeout, VMError

_END_S = 10


class _ProcessStream(Stream):  # type: ignore[misc]
    """The bytes to and from a process in the guest, as rpyc wants them."""

    MAX_IO_CHUNK = 1 << 18

    def __init__(self, channel: Channel, folders: Sequence[str]) -> None:
        self._channel = channel
        self._buffer = bytearray()
        self._closed = False
        self.errors = bytearray()
        self.process = channel.spawn(
            [sys.executable, "-m", "emulation.pyagent", *folders],
            cwd=str(REPOSITORY),
            on_output=self._take,
        )

    def _take(self, stream: str, data: bytes) -> None:
        if stream == "stdout":
            self._buffer += data
        else:
            self.errors += data

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True

    def poll(self, timeout: Any) -> bool:
        try:
            left_s = timeout.timeleft()
            # rpyc's deadline has been multiplied already
            paced_s = None if left_s is None else left_s / self._channel.pace
            self._channel.wait_for(self._ready, paced_s, "an answer")
        except TimeoutError:
            return False
        return True

    def read(self, count: int) -> bytes:
        self._channel.wait_for(
            lambda: len(self._buffer) >= count or self.process.returncode is not None, None, ""
        )
        if len(self._buffer) < count:
            self._closed = True
            raise EOFError(f"Python in the guest ended: status {self.process.returncode}")
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def write(self, data: bytes) -> None:
        if self._closed:
            raise EOFError("the connection to Python in the guest is closed")
        self.process.write(data)

    def _ready(self) -> bool:
        return bool(self._buffer) or self.process.returncode is not None


class GuestPython:
    """Python in the guest. Made by :meth:`emulation.vm.VM.python`.

    Objects of the guest appear as references, whose use is a call to the guest; what
    crosses by value are numbers, strings, bytes, None, and tuples of those. Use
    :meth:`fetch` for other values. Calls raise what the guest raised, or
    :class:`emulation.errors.VMDied`.
    """

    def __init__(self, channel: Channel, folders: Sequence[str], timeout_s: float) -> None:
        self._stream = _ProcessStream(channel, folders)
        self._connection = rpyc.utils.factory.connect_stream(
            self._stream,
            rpyc.core.service.MasterService,
            {"sync_request_timeout": timeout_s * channel.pace},
        )

    @property
    def pid(self) -> int:
        """Its process id in the guest."""
        return self._stream.process.pid

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
        return self._stream.errors.decode(errors="replace")

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
        self._stream.process.kill()
        self.close()

    def close(self) -> None:
        """End it, whatever it is doing, and wait for its end; harmless if it has ended."""
        self._stream.close()
        self._connection.close()
        process = self._stream.process
        with contextlib.suppress(VMError):  # the machine is gone, and this with it
            if process.returncode is None:
                process.close_stdin()
                try:
                    process.wait(_END_S)
                except GuestTimeout:
                    process.kill()
