# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc list``."""

from __future__ import annotations

import json

import click

from pyntzc import Port, PortFlag
from pyntzc._cli._common import note, print_table

_COLUMNS = ("INTERFACE", "BUS", "MAC", "STATE", "QUEUES", "BUFFERS", "MEMORY", "FRAME", "TAPS")


def _state(port: Port) -> str:
    if not port.flags & PortFlag.UP:
        return "down"
    return "up" if port.flags & PortFlag.CARRIER else "no link"


def _row(port: Port) -> tuple[str, ...]:
    return (
        port.name or "-",
        port.bus,
        port.mac,
        _state(port),
        f"{port.queues}/{port.max_queues}",
        f"{port.buffers} x {port.buf_size}",
        f"{port.memory_bytes / 2**20:.1f} MiB",
        str(port.frame_max),
        str(port.n_taps),
    )


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each card.")
def command(as_json: bool) -> None:
    """List the cards that NTZC has.

    QUEUES are in use / on the card, FRAME is the longest frame in bytes without FCS.
    """
    ports = Port.list()
    if as_json:
        for port in ports:
            click.echo(json.dumps(port._asdict() | {"flags": _state(port)}))
    elif ports:
        print_table(_COLUMNS, [_row(port) for port in ports])
    else:
        note("no card yet: 'ntzc attach' gives NTZC one")
