# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc capture``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import click

import pyntzc
from pyntzc import Batch, Packet, Port, Tap
from pyntzc._cli._common import TICK_S, Stop, losses, note, open_tap, progress, stop_on_signals


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
                "from_host": packet.from_host,
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


class _Capture:
    """Takes packets from a tap and hands them on."""

    def __init__(self, tap: Tap, line: Callable[[Packet], str] | None, writer: Any) -> None:
        self._tap = tap
        self._line = line
        self._writer = writer  # _pcapng.Writer, whose module is imported only to write
        self.taken = 0

    def run(self, stop: Stop, count: int | None, duration_s: float | None) -> None:
        """Go on until there are enough, the time is up, or told to stop."""
        try:
            self._run(stop, count, duration_s)
        except OSError as error:
            if not isinstance(error, pyntzc.NtzcError):
                self._writer = None  # it failed: what would follow lies in half a packet
            raise
        finally:  # also when the card goes: what came before is worth something
            self._tell()

    def _run(self, stop: Stop, count: int | None, duration_s: float | None) -> None:
        end = None if duration_s is None else time.monotonic() + duration_s
        with progress(self._line is None, self._describe) as update:
            while not stop and self.taken != count:
                left = TICK_S if end is None else min(TICK_S, end - time.monotonic())
                if left <= 0:
                    break
                room = 64 if count is None else min(64, count - self.taken)
                with self._tap.recv(room, left) as batch:
                    self._hand_on(batch)
                update()

    def _tell(self) -> None:
        stats = self._tap.stats()
        note(
            f"{self.taken} packets captured; received {stats.received}, "
            f"filtered {stats.filtered}, {losses(stats)}; the card missed {stats.missed}"
        )
        if self._writer is not None:
            self._writer.write_statistics(
                time.time_ns(),
                received=stats.received + stats.lost + stats.filtered,
                filtered=stats.received + stats.lost,
                dropped_card=stats.missed,
                dropped_tap=stats.lost,
            )

    def _describe(self) -> str:
        return f"{self.taken} packets; {losses(self._tap.stats())}"

    def _hand_on(self, batch: Batch) -> None:
        for packet in batch:
            if self._writer:
                self._writer.write(packet)
            if self._line:
                sys.stdout.write(self._line(packet) + "\n")
        self.taken += len(batch)
        if batch:
            sys.stdout.flush()


@click.command("capture")
@click.argument("iface")
@click.argument("words", metavar="[FILTER]...", nargs=-1)
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
@click.option(
    "--fanout",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Share the flows with the other captures of group N.",
)
@click.option("--host", is_flag=True, help="Also what the host's own stack sends.")
@click.option("--no-promisc", is_flag=True, help="Only packets to the card's own addresses.")
def command(
    iface: str,
    words: tuple[str, ...],
    count: int | None,
    duration_s: float | None,
    path: Path | None,
    as_json: bool,
    quiet: bool,
    queues: tuple[int, ...],
    ring: int,
    quota: int,
    fanout: int,
    host: bool,
    no_promisc: bool,
) -> None:
    """Print the packets that come in through the card IFACE.

    FILTER is as tcpdump takes it (see pcap-filter(7)), and runs in the kernel: 'udp port 53'.

    A line a packet: its time, its length in bytes without FCS, and what it is. The last
    line, on standard error, tells what was received and what was lost, by cause.
    """
    to_stdout = path is not None and str(path) == "-"
    if as_json and (quiet or to_stdout):
        raise click.UsageError("--json prints lines: leave out -q, and do not write to '-'")
    port = Port.find(iface)
    # all that takes time to import comes before the tap, where packets would wait
    line = None
    if not quiet and not to_stdout:
        line = _json_line() if as_json else _text_line()
    if path is not None:
        from pyntzc._pcapng import Writer
    opened = open_tap(
        port,
        words,
        queues=queues or None,
        ring_size=ring,
        quota=quota,
        fanout=fanout,
        host=host,
        promisc=not no_promisc,
    )
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        tap = stack.enter_context(opened)
        writer = None
        if path is not None:
            writer = Writer(_open_file(path, stack), interface=tap.interface, mac=port.mac)
        _Capture(tap, line, writer).run(stop, count, duration_s)
