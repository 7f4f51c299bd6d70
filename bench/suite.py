# SPDX-License-Identifier: GPL-2.0-or-later
"""``make bench``: NTZC and its peers, side by side in one machine (:mod:`bench.lab`).

Results go to build/bench/results.json.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click
from rich.progress import track

from bench.lab import ATTEMPTS, MODERATION_US, RING, STEADY, Record, lab, revision
from bench.source import GATHERED, GATHERED_JUMBO, USUAL_LEN
from bench.systems import ROOT, SYSTEMS, Case, System
from emulation import kernels
from emulation.errors import CommandFailed, GuestTimeout

SIZES = (60, 124, 252, 508, 1020, 1276, 1514, 9014)
BATCHES = (1, 4, 16, 64, 256, 512)
QUICK_COUNT = 8192
TAPS = (1, 2, 5, 16)
RESULTS = ROOT / "build/bench/results.json"


def _count(system: System, usual: int) -> int:
    """Return how many frames show what a system costs, in bearable time."""
    return usual // 4 if system.slowness > 4 else usual


def full() -> Iterator[tuple[System, Case]]:
    """Every way with every size; ours also by batch and by taps."""
    for system in SYSTEMS:
        for direction in system.directions:
            for size in SIZES:
                yield system, Case(direction, size, count=_count(system, Case.count))
            for batch in BATCHES:
                if system.batches and batch != 64:
                    yield system, Case(direction, batch=batch)
        if system.taps:
            for taps in TAPS[1:]:
                yield system, Case("rx", taps=taps)


def quick() -> Iterator[tuple[System, Case]]:
    """The shortest and the longest usual frame; a further tap; Python and C in large batches."""
    for system in SYSTEMS:
        for direction in system.directions:
            for size in (60, 1514):
                yield system, Case(direction, size, count=_count(system, QUICK_COUNT))
    by_name = {system.name: system for system in SYSTEMS}
    yield by_name["ntzc-rings"], Case("rx", taps=5, count=QUICK_COUNT)
    for name in ("ntzc-rings", "ntzc-python"):
        yield by_name[name], Case("rx", batch=256, count=QUICK_COUNT)


Skipped = tuple[System, Case, str]
Check = dict[str, int]


def measure(
    kernel: str,
    cases: Iterable[tuple[System, Case]],
    is_quick: bool,
    skipped: list[Skipped],
    check: Check,
) -> Iterator[Record | None]:
    """Measure *cases* in one machine; add those that it cannot run to *skipped*, with why.

    What the counter made of known counts goes to *check*. A quick run measures again, where two
    runs differ, only what is NTZC's, which goals are for.
    """
    with lab(kernel) as machine:
        check.update(machine.check_counter())
        print(f"the counter, checked: {check}", flush=True)
        for system, case in cases:
            if why := machine.why_not(system, case):
                skipped.append((system, case, why))
                yield None
            else:
                attempts = ATTEMPTS if system.ours or not is_quick else 1
                try:
                    yield machine.measure(system, case, attempts)
                except (GuestTimeout, CommandFailed) as error:
                    if system.ours:
                        raise
                    skipped.append((system, case, str(error)))
                    yield None


def describe(record: Record) -> str:
    """Return a line of the table."""
    parts = (record.insn_user, record.insn_kernel, record.insn_driver, record.insn_core)
    cells = "".join(f"{part:9.1f}" for part in parts)
    counts = f"{record.syscalls:7.3f}{record.interrupts:7.4f}{record.atomics:7.2f}"
    counts += f"{record.copied_bytes:9.1f}{record.mmio:7.3f}"
    what = f"{record.system:<18}{record.direction:<8}{record.frame_len:5}{record.batch:5}"
    repeat = f"{100 * record.repeat:+7.2f}%"
    return f"{what}{record.taps:3}{record.insn_total:10.1f}{cells}{counts}{repeat}"


HEAD = (
    f"{'':18}{'':8}{'bytes':>5}{'batch':>5}{'tp':>3}{'total':>10}{'user':>9}{'kernel':>9}"
    f"{'driver':>9}{'core':>9}{'calls':>7}{'irqs':>7}{'atomic':>7}{'copied':>9}{'mmio':>7}"
    f"{'again':>8}"
)


@click.command()
@click.argument("kernel")
@click.option("--quick", "is_quick", is_flag=True, help="Two sizes, fewer cases.")
@click.option("--only", multiple=True, help="Name of a system; may be repeated.")
@click.option("--resume", is_flag=True, help="Go on with a run that was interrupted.")
def main(kernel: str, is_quick: bool, only: tuple[str, ...], resume: bool) -> None:
    """Measure everything on KERNEL and write build/bench/results.json."""
    names = {system.name for system in SYSTEMS}
    if unknown := set(only) - names:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: know {', '.join(sorted(names))}")
    cases = [
        (system, case)
        for system, case in (quick() if is_quick else full())
        if not only or system.name in only
    ]
    # a change of the MTU takes the links down for a while
    cases.sort(key=lambda each: each[1].frame_len > USUAL_LEN)
    records = _measured(kernels.fetch(kernel).release) if resume else []
    done = {_key(record.system, record): record.packets for record in records}
    cases = [
        (system, case)
        for system, case in cases
        if done.get(_key(system.name, case), 0) < 2 * case.count
    ]
    again = {_key(system.name, case) for system, case in cases}
    records = [record for record in records if _key(record.system, record) not in again]
    skipped: list[Skipped] = []
    check: Check = {}
    print(HEAD)
    measured = measure(kernel, cases, is_quick, skipped, check)
    for record in track(measured, total=len(cases), disable=not sys.stdout.isatty()):
        if record:
            records.append(record)
            print(describe(record), flush=True)
            _write(_results(records, skipped, check))  # so that nothing is lost with the rest
    for system, case, why in skipped:
        print(f"skipped: {system.name} {case.direction} {case.frame_len}: {why}")
    _write(_results(records, skipped, check))
    print(f"written: {RESULTS.relative_to(ROOT)}")


def _measured(release: str) -> list[Record]:
    """Return the records of an interrupted run.

    Raises:
        click.UsageError: there is none, or it was of another kernel or of other sources.

    """
    try:
        found = json.loads(RESULTS.read_text())["records"]
    except FileNotFoundError:
        raise click.UsageError(f"no run to go on with: {RESULTS.relative_to(ROOT)}") from None
    if {record.get("revision") for record in found} - {revision()}:
        raise click.UsageError("what is measured has changed since that run: begin anew")
    records = [Record(**record) for record in found]
    if others := {record.kernel for record in records} - {release}:
        raise click.UsageError(f"the run was on {', '.join(sorted(others))}, not on {release}")
    return records


def _key(system: str, what: Record | Case) -> tuple[object, ...]:
    return system, what.direction, what.frame_len, what.batch, what.taps


def _write(results: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _results(records: list[Record], skipped: list[Skipped], check: Check) -> dict[str, Any]:
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "moderation_us": MODERATION_US,
        "ring": RING,
        "gathered": GATHERED,
        "gathered_jumbo": GATHERED_JUMBO,
        "steady": STEADY,
        "check": check,
        "records": [dataclasses.asdict(record) for record in records],
        "skipped": [
            {"system": system.name, "direction": case.direction, "frame_len": case.frame_len}
            | {"why": why}
            for system, case, why in skipped
        ],
    }


if __name__ == "__main__":
    main()
