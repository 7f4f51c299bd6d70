# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc stats``."""

from __future__ import annotations

import json
import time

import click

from pyntzc import Device, Port, PortStats, TapInfo
from pyntzc._cli._common import TICK_S, print_table, stop_on_signals

_COLUMNS = (
    "TAP PID COMMAND QUEUES RECEIVED FILTERED RING-FULL QUOTA-USED POOL-EMPTY MISSED "
    "HELD QUOTA OLDEST"
).split()


def _show(port: Port, stats: PortStats, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"interface": port.name, "bus": port.bus} | stats._asdict()))
        return
    rows = [("taps", str(port.n_taps))]
    rows += [(name, str(value)) for name, value in stats._asdict().items()]
    print_table((port.name or port.bus, ""), rows)


def _row(tap: TapInfo) -> tuple[str, ...]:
    stats = tap.stats
    queues = ",".join(map(str, tap.queues)) + (f" group {tap.fanout}" if tap.fanout else "")
    counts = (
        stats.received,
        stats.filtered,
        stats.lost_ring,
        stats.lost_quota,
        stats.lost_pool,
        stats.missed,
        stats.held,
        tap.quota,
    )
    oldest = f"{tap.oldest_ns / 1e9:.3f} s" if tap.oldest_ns else "-"
    return (str(tap.id), str(tap.pid), tap.comm, queues, *map(str, counts), oldest)


def _show_taps(port: Port, taps: list[TapInfo], as_json: bool) -> None:
    if not as_json:
        print_table(_COLUMNS, [_row(tap) for tap in taps])
        return
    for tap in taps:
        about = tap._asdict() | {"flags": [flag.name for flag in tap.flags]}
        click.echo(json.dumps({"interface": port.name} | about | {"stats": tap.stats._asdict()}))


@click.command("stats")
@click.argument("iface")
@click.option("--taps", is_flag=True, help="Who has taps, what each lost by cause, and holds.")
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
def command(
    iface: str, taps: bool, as_json: bool, interval_s: float | None, count: int | None
) -> None:
    """Show the counters of the card IFACE, and where its buffers are.

    With --taps, a line a tap: frames that it received, those that its filter refused, those
    that it lost because its ring was full, its quota used up, or the pool empty, those that
    the card missed, and those that it holds, with the age of the oldest.
    """
    if count is not None and interval_s is None:
        raise click.UsageError("-c counts what -i prints: give an interval, too")
    left = count if interval_s is not None else 1
    with Device() as device, stop_on_signals() as stop:
        while not stop:
            port = device.find(iface)
            if taps:
                _show_taps(port, [*device.taps(port)], as_json)
            else:
                _show(port, device.stats(port), as_json)
            if left is not None:
                left -= 1
            if left == 0:
                break
            wake_at = time.monotonic() + (interval_s or 0)
            while not stop and (nap := wake_at - time.monotonic()) > 0:
                time.sleep(min(nap, TICK_S))
