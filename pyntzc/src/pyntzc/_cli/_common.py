# SPDX-License-Identifier: GPL-2.0-or-later
"""What the subcommands have in common: a clean end, tables, and a display of progress."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

import pyntzc
from pyntzc import NtzcOSError, Port, Tap, TapStats

TICK_S = 0.2
"""How long a loop waits before it looks whether it is to end."""


class Stop:
    """Whether the user wants the command to end; true after SIGINT or SIGTERM."""

    def __init__(self) -> None:
        self._asked = False

    def __bool__(self) -> bool:
        return self._asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Within the block, SIGINT and SIGTERM set the flag that it yields and do nothing else."""
    stop = Stop()
    before = {
        number: signal.signal(number, stop._ask) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def note(text: str) -> None:
    """Tell the user *text*, on standard error, so that what is piped stays clean."""
    click.echo(f"ntzc: {text}", err=True)


def explain(error: Exception) -> str:
    """Return *error* as a line for a person."""
    if isinstance(error, NtzcOSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def open_tap(port: Port, words: Sequence[str], **options: Any) -> Tap:
    """Open a tap on *port* that is filtered by *words*; *options* are :func:`pyntzc.open`'s."""
    try:
        return pyntzc.open(port, filter=" ".join(words) or None, **options)
    except ValueError as error:  # the kernel's refusal as well
        raise click.UsageError(explain(error)) from error


def losses(stats: TapStats) -> str:
    """Return how many frames a tap lost, by cause."""
    return (
        f"lost {stats.lost} (ring full {stats.lost_ring}, quota {stats.lost_quota}, "
        f"pool empty {stats.lost_pool})"
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: a drawn one on a terminal, plain aligned columns elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns)
        for row in rows:
            table.add_row(*map(Text, row))  # no markup: a name may have brackets
        Console().print(table)
        return
    lines = [columns, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@contextmanager
def progress(wanted: bool, describe: Callable[[], str]) -> Iterator[Callable[[], None]]:
    """Yield a function to call often, which shows ``describe()`` on a terminal now and then.

    Nothing is shown, and nothing imported, if it is not *wanted* or standard error is no
    terminal.
    """
    if not wanted or not sys.stderr.isatty():
        yield lambda: None
        return

    from rich.console import Console

    with Console(stderr=True).status(describe()) as status:
        shown = time.monotonic()

        def update() -> None:
            nonlocal shown
            if time.monotonic() - shown >= TICK_S:
                shown = time.monotonic()
                status.update(describe())

        yield update
