# SPDX-License-Identifier: GPL-2.0-or-later
"""The stock card at the other end of the cable, and processes apart, in the guest."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import abi
import frames
import rings


class Neighbour:
    """Sends frames of frames.py from the interface *name*."""

    def __init__(self, name: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.bind((name, 0))

    def send(self, *numbers: int, len_bytes: int = 60) -> None:
        for number in numbers:
            self._socket.send(frames.frame(number, len_bytes))

    def send_raw(self, data: bytes) -> None:
        self._socket.send(data)

    def close(self) -> None:
        self._socket.close()


class Child:
    """A process that runs *function* and is asked for what it returned.

    It shares memory with nobody, and keeps no tap of its parent's alive but those in *keep*.
    """

    def __init__(self, function: Callable[..., Any], *args: Any, keep: bool = False) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.close(reader)
                if not keep:
                    rings.reset()
                    abi.reset()
                self._tell(writer, function, args)
            finally:
                os._exit(0)
        os.close(writer)
        self._reader = reader

    @staticmethod
    def _tell(writer: int, function: Callable[..., Any], args: Any) -> None:
        try:
            answer = pickle.dumps((True, function(*args)))
        except BaseException as error:
            answer = pickle.dumps((False, repr(error)))
        os.write(writer, answer)

    def result(self) -> Any:
        """What it returned; an AssertionError tells what it raised, or how it died."""
        with os.fdopen(self._reader, "rb") as stream:
            answer = stream.read()
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        assert answer, f"it died: {status}"
        good, value = pickle.loads(answer)
        assert good, value
        return value

    def ended(self) -> int:
        """Its status once it is gone; below 0: the signal that killed it."""
        os.close(self._reader)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.ended()


def apart(function: Callable[..., Any], *args: Any, keep: bool = False) -> Any:
    """Run *function* in a process of its own; return what it returns."""
    return Child(function, *args, keep=keep).result()


@contextlib.contextmanager
def tap_with(name: str, neighbour: Neighbour, *numbers: int, **options: Any) -> Iterator[Any]:
    """A tap on *name*, mapped, that has read frames of these numbers; and their descriptors."""
    tap = abi.Tap().attach(name, **options).map()
    neighbour.send(*numbers)
    descs = ours(tap, len(numbers))
    try:
        yield tap, descs
    finally:
        tap.close()


def ours(tap: abi.Tap, count: int) -> list[tuple[int, ...]]:
    """Descriptors of *count* frames of frames.py; what else came is given back."""
    found: list[tuple[int, ...]] = []
    while len(found) < count:
        descs = tap.read_all(1)
        assert descs, f"{len(found)} of {count} frames came"
        (desc,) = descs
        if frames.is_intact(tap.data(desc)):
            found.append(desc)
        else:
            tap.release(desc[0])
    return found
