# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent inside the guest: runs commands for the host and tells how they went.

It is the guest's only foreground program; when it ends, or when the host goes away, the
guest powers off. One thread waits for everything at once (the port, the commands' output,
their end), so no command can keep another waiting. Only the standard library is used, and
little of it: imports are slow over the guest's file system.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import subprocess
import termios
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from emulation import protocol
from emulation.port import open_port

_CHUNK = 1 << 18


class _Child:
    """A command under way: its process, its pipes, and input it has not taken yet."""

    def __init__(self, ident: int, head: dict[str, Any]) -> None:
        self.ident = ident
        self.pending = bytearray()
        self.input_ends = False
        self.terminal = -1
        options: dict[str, Any] = {
            "cwd": head["cwd"],
            "env": {**os.environ, **head["env"]},
            # setsid begins the session itself, and would fork if it led one already.
            "start_new_session": not head["terminal"],
        }
        if head["terminal"]:
            self.terminal, slave = os.openpty()
            resize(self.terminal, head["terminal"])
            command = ["setsid", "--ctty", *head["argv"]]
            options.update(stdin=slave, stdout=slave, stderr=slave)
        else:
            slave = -1
            command = head["argv"]
            options.update(dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE))
        try:
            self.process = subprocess.Popen(command, **options)
        finally:
            if slave >= 0:
                os.close(slave)
        self.pidfd = os.pidfd_open(self.process.pid)
        if head["terminal"]:
            self.input = self.terminal
            self.outputs = {self.terminal: "stdout"}
        else:
            assert self.process.stdin
            assert self.process.stdout
            assert self.process.stderr
            self.input = self.process.stdin.fileno()
            self.outputs = {
                self.process.stdout.fileno(): "stdout",
                self.process.stderr.fileno(): "stderr",
            }
        for fd in (self.input, *self.outputs):
            os.set_blocking(fd, False)

    def close(self) -> None:
        """Let go of the pipes of a process that has been reaped."""
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        if self.terminal >= 0:
            os.close(self.terminal)
        os.close(self.pidfd)


def resize(terminal: int, size: list[int]) -> None:
    """Set the terminal's *size*: rows, columns."""
    termios.tcsetwinsize(terminal, (size[0], size[1]))


class Agent:
    """The loop over the port and the commands that it started."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._decoder = protocol.Decoder()
        self._children: dict[int, _Child] = {}
        self._log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        self._ended = False
        self._watch(port, selectors.EVENT_READ, self._on_port)

    def run(self) -> None:
        """Serve until the host says ``poweroff`` or hangs up."""
        self._send({"event": "ready", "pid": os.getpid()})
        while not self._ended:
            for key, _ in self._selector.select():
                # An earlier event of the same round may have closed this one's file.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()

    def _watch(self, fd: int, events: int, callback: Callable[[], object]) -> None:
        self._selector.register(fd, events, callback)

    def _unwatch(self, fd: int) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(fd)

    def _send(self, head: dict[str, Any], payload: bytes = b"") -> None:
        data = memoryview(protocol.encode(head, payload))
        while data:
            try:
                data = data[os.write(self._port, data) :]
            except BlockingIOError:
                with selectors.DefaultSelector() as port:
                    port.register(self._port, selectors.EVENT_WRITE)
                    port.select()

    def _on_port(self) -> None:
        try:
            data = os.read(self._port, _CHUNK)
        except BlockingIOError:
            return
        if not data:  # the host hung up
            self._ended = True
        for head, payload in self._decoder.feed(data):
            try:
                getattr(self, f"_op_{head['op']}")(head, payload)
            except Exception as error:
                self._send_error(head["id"], error)

    def _send_error(self, ident: int, error: Exception) -> None:
        number = error.errno if isinstance(error, OSError) else None
        text = error.strerror if isinstance(error, OSError) else None
        self._send(
            {
                "event": "error",
                "id": ident,
                "errno": number,
                "text": text or f"{type(error).__name__}: {error}",
                "file": error.filename if isinstance(error, OSError) else None,
            }
        )

    def _op_spawn(self, head: dict[str, Any], _: bytes) -> None:
        ident = head["id"]
        child = _Child(ident, head)
        self._children[ident] = child
        for fd in child.outputs:
            self._watch(fd, selectors.EVENT_READ, partial(self._on_output, child, fd))
        self._watch(child.pidfd, selectors.EVENT_READ, lambda: self._on_end(child))
        self._send({"event": "started", "id": ident, "pid": child.process.pid})

    def _op_input(self, head: dict[str, Any], payload: bytes) -> None:
        child = self._children.get(head["id"])
        if child is None:  # it has ended meanwhile
            return
        child.pending += payload
        child.input_ends |= not payload
        self._feed(child)

    def _op_resize(self, head: dict[str, Any], _: bytes) -> None:
        child = self._children.get(head["id"])
        if child is not None:
            resize(child.terminal, head["size"])

    def _op_signal(self, head: dict[str, Any], _: bytes) -> None:
        child = self._children.get(head["id"])
        if child is None:
            return
        if head["group"]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, head["signal"])
        else:
            signal.pidfd_send_signal(child.pidfd, head["signal"])

    def _op_poweroff(self, _head: dict[str, Any], _: bytes) -> None:
        self._ended = True

    def _op_call(self, head: dict[str, Any], payload: bytes) -> None:
        result, data = getattr(self, f"_call_{head['name']}")(payload, *head["args"])
        self._send({"event": "result", "id": head["id"], "result": result}, data)

    def _call_read(self, _: bytes, path: str) -> tuple[None, bytes]:
        return None, Path(path).read_bytes()

    def _call_write(self, data: bytes, path: str) -> tuple[None, bytes]:
        Path(path).write_bytes(data)
        return None, b""

    def _call_listdir(self, _: bytes, path: str) -> tuple[list[str], bytes]:
        return sorted(entry.name for entry in Path(path).iterdir()), b""

    def _call_log(self, _: bytes) -> tuple[int, bytes]:
        """Return the kernel log's records since the last call, and how many were overwritten."""
        records: list[bytes] = []
        lost = 0
        while True:
            try:
                records.append(os.read(self._log, 8192))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.EPIPE:
                    raise
                lost += 1
        return lost, b"".join(records)

    def _feed(self, child: _Child) -> None:
        """Give the child what it takes of its input; the rest when it can take more."""
        try:
            while child.pending:
                del child.pending[: os.write(child.input, child.pending)]
        except BlockingIOError:
            if child.terminal < 0 and child.input not in self._selector.get_map():
                self._watch(child.input, selectors.EVENT_WRITE, lambda: self._feed(child))
            return
        except (BrokenPipeError, ValueError):
            child.pending.clear()
        if child.terminal >= 0:
            return
        self._unwatch(child.input)
        if child.input_ends and child.process.stdin and not child.process.stdin.closed:
            child.process.stdin.close()

    def _on_output(self, child: _Child, fd: int) -> bool:
        """Pass on one chunk of output; false when there is none now."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # a terminal whose last user has gone
            data = b""
        if not data:
            self._unwatch(fd)
            return False
        if fd == child.terminal and child.pending:
            self._feed(child)
        head = {"event": "output", "id": child.ident, "stream": child.outputs[fd]}
        self._send(head, data)
        return True

    def _on_end(self, child: _Child) -> None:
        status = child.process.wait()
        for fd in child.outputs:
            while self._on_output(child, fd):
                pass
            self._unwatch(fd)
        self._unwatch(child.pidfd)
        if not child.process.stdin or not child.process.stdin.closed:
            self._unwatch(child.input)
        child.close()
        del self._children[child.ident]
        self._send({"event": "exit", "id": child.ident, "status": status})


def main() -> None:
    """Serve the host."""
    port = open_port(protocol.PORT)
    os.environ.update(HOME="/root", TERM=os.environ.get("TERM", "dumb"))
    Agent(port).run()


if __name__ == "__main__":
    main()
