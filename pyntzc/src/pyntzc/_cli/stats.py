# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc stats``."""

from __future__ import annotations

import json
import time

import click

from pyntzc import Device, Port, PortStats
from pyntzc._cli._common import TICK_S, print_table, stop_on_signals


def _show(port: Port, stats: PortStats, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"interface": port.name, "bus": port.bus} | stats._asdict()))
        return
    rows = [("taps", str(port.taps))]
    rows += [(name, str(value)) for name, value in stats._asdict().items()]
    print_table((port.name or port.bus, ""), rows)


@click.command("stats")
@click.argument("iface")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@click.option(
    "-i",
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Print again and again.",
)
@click.option("-c", "--count", type=click.IntRange(min=1), help="End after so many prints.")
def command(iface: str, as_json: bool, interval_s: float | None, count: int | None) -> None:
    """Show the counters of the card IFACE, and where its buffers are."""
    left = count if interval_s is not None else 1
    with Device() as device, stop_on_signals() as stop:
        while not stop:
            port = device.find(iface)
            _show(port, device.stats(port), as_json)
            if left is not None:
                left -= 1
            if left == 0:
                break
            wake_at = time.monotonic() + (interval_s or 0)
            while not stop and (nap := wake_at - time.monotonic()) > 0:
                time.sleep(min(nap, TICK_S))
