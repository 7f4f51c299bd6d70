# SPDX-License-Identifier: GPL-2.0-or-later
"""Joins a command in the guest to the terminal that a person sits at."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator, Mapping, Sequence

from emulation.channel import Process
from emulation.vm import VM

_CHUNK = 1 << 16


def interact(vm: VM, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Run *argv* in the guest with this program's terminal as its own; return its status.

    Raises:
        OSError: it could not be started.
        VMDied: the machine died meanwhile.

    """
    size = os.get_terminal_size(sys.stdout.fileno())
    process = vm.spawn(argv, env=env, terminal=(size.lines, size.columns), on_output=_show)
    ended, end = os.pipe()

    def wait() -> None:
        with contextlib.suppress(Exception), os.fdopen(end, "wb"):
            process.wait(None)

    waiter = threading.Thread(target=wait)
    waiter.start()
    with _raw_terminal(), _following_size(process):
        _forward(process, ended)
    waiter.join()
    os.close(ended)
    return process.wait(None).returncode


def _show(_: str, data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _forward(process: Process, ended: int) -> None:
    """Pass on what is typed, until the command ends."""
    keyboard = sys.stdin.fileno()
    while True:
        ready, _, _ = select.select([keyboard, ended], [], [])
        if ended in ready:
            return
        process.write(os.read(keyboard, _CHUNK))


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _following_size(process: Process) -> Iterator[None]:
    def resized(_signal: int, _frame: object) -> None:
        size = os.get_terminal_size(sys.stdout.fileno())
        process.resize(size.lines, size.columns)

    before = signal.signal(signal.SIGWINCH, resized)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
