# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc capture``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

import click

import pyntzc
from pyntzc import Packet, Port, Tap
from pyntzc._cli._common import TICK_S, Stop, losses, note, progress, stop_on_signals


class _Sinks(NamedTuple):
    """Where packets go."""

    line: Callable[[Packet], str] | None
    writer: Any  # _pcapng.Writer, whose module is imported only to write


def _text_line() -> Callable[[Packet], str]:
    from pyntzc._summary import summarize

    def line(packet: Packet) -> str:
        seconds, nanoseconds = divmod(packet.timestamp_ns, 1_000_000_000)
        clock = time.strftime("%H:%M:%S", time.localtime(seconds))
        vlan = packet.vlan
        about = summarize(packet.data, vlan.vid if vlan else None)
        return f"{clock}.{nanoseconds:09d} {len(packet):5d} {about}"

    return line


def _json_line() -> Callable[[Packet], str]:
    from pyntzc._summary import summarize

    def line(packet: Packet) -> str:
        vlan = packet.vlan
        return json.dumps(
            {
                "timestamp_ns": packet.timestamp_ns,
                "len": len(packet),
                "orig_len": packet.orig_len,
                "queue": packet.queue,
                "vlan_tci": vlan.tci if vlan else None,
                "hash": packet.hash,
                "hash_type": packet.hash_type.name,
                "l3_checksum": packet.l3_checksum.value,
                "l4_checksum": packet.l4_checksum.value,
                "summary": summarize(packet.data, vlan.vid if vlan else None),
            }
        )

    return line


def _open_file(path: Path, stack: ExitStack) -> IO[bytes]:
    if str(path) == "-":
        return sys.stdout.buffer
    return stack.enter_context(path.open("wb"))


def _capture(
    tap: Tap,
    sinks: _Sinks,
    stop: Stop,
    count: int | None,
    duration_s: float | None,
    quiet: bool,
) -> int:
    """Take packets until enough or told to stop; return how many."""
    taken = 0
    end = None if duration_s is None else time.monotonic() + duration_s

    def describe() -> str:
        return f"{taken} packets; {losses(tap.stats())}"

    with progress(quiet, describe) as update:
        while not stop and taken != count:
            left = TICK_S if end is None else min(TICK_S, end - time.monotonic())
            if left <= 0:
                break
            room = 64 if count is None else min(64, count - taken)
            with tap.recv(room, left) as batch:
                for packet in batch:
                    if sinks.writer:
                        sinks.writer.write(packet)
                    if sinks.line:
                        sys.stdout.write(sinks.line(packet) + "\n")
                taken += len(batch)
            if batch:
                sys.stdout.flush()
            update()
    return taken


@click.command("capture")
@click.argument("iface")
@click.option("-c", "--count", type=click.IntRange(min=1), help="End after so many packets.")
@click.option(
    "-d",
    "--duration",
    "duration_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End after so long.",
)
@click.option(
    "-w",
    "--write",
    "path",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write the packets to FILE as pcapng; '-' is standard output.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each packet.")
@click.option("-q", "--quiet", is_flag=True, help="Print no line for each packet.")
@click.option(
    "--queue", "queues", type=int, multiple=True, metavar="N", help="Only this queue; repeatable."
)
@click.option("--ring", type=int, default=0, metavar="N", help="Packets that may wait, per queue.")
@click.option("--quota", type=int, default=0, metavar="N", help="Packets to hold, per queue.")
@click.option("--no-promisc", is_flag=True, help="Only packets to the card's own addresses.")
def command(
    iface: str,
    count: int | None,
    duration_s: float | None,
    path: Path | None,
    as_json: bool,
    quiet: bool,
    queues: tuple[int, ...],
    ring: int,
    quota: int,
    no_promisc: bool,
) -> None:
    """Print the packets that come in through the card IFACE.

    A line a packet: its time, its length in bytes without FCS, and what it is. The last
    line, on standard error, tells what was received and what was lost, by cause.
    """
    port = Port.find(iface)
    to_stdout = path is not None and str(path) == "-"
    # all that takes time to import comes before the tap, where packets would wait
    line = None
    if not quiet and not to_stdout:
        line = _json_line() if as_json else _text_line()
    if path is not None:
        from pyntzc._pcapng import Writer
    try:
        opened = pyntzc.open(
            port.name, queues=queues or None, ring_size=ring, quota=quota, promisc=not no_promisc
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        tap = stack.enter_context(opened)
        before = port.stats()
        writer = None
        if path is not None:
            writer = Writer(_open_file(path, stack), interface=port.name, mac=port.mac)

        taken = _capture(tap, _Sinks(line, writer), stop, count, duration_s, line is None)

        stats = tap.stats()
        after = port.stats()
        if writer is not None:
            writer.write_statistics(
                time.time_ns(),
                received=stats.received + stats.lost,
                dropped_card=after.rx_missed - before.rx_missed,
                dropped_tap=stats.lost,
            )
        note(
            f"{taken} packets captured; received {stats.received}, {losses(stats)}; "
            f"the card missed {after.rx_missed - before.rx_missed}"
        )
