# SPDX-License-Identifier: GPL-2.0-or-later
"""The report: build/bench/report.html out of build/bench/results.json, by itself.

``python -m bench.report`` makes it again, without measuring.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import jinja2

from bench.goals import standing
from bench.plots import plots
from bench.systems import ABSENT, LIBPCAP_TX, ROOT, SYSTEMS

RESULTS = ROOT / "build/bench/results.json"
REPORT = ROOT / "build/bench/report.html"
DIRECTIONS = {"rx": "Receive", "tx": "Transmit", "forward": "Forward"}
LENGTHS = (60, 1514)
CLOCK_HZ = 3e9  # of the processor that projections are for
IPCS = (0.5, 1.0, 2.0)  # instructions a cycle, likewise
LINE_RATE_PPS = 1_488_095  # of 1 Gbit/s at 64 bytes with the check sequence: 84 on the wire

Record = dict[str, Any]
Usual = dict[tuple[str, str, int], Record]


def usual(records: Iterable[Record]) -> Usual:
    """Return the records of batches of 64 and one reader, by system, direction, length."""
    return {
        (r["system"], r["direction"], r["frame_len"]): r
        for r in records
        if r["batch"] == 64 and r["taps"] == 1
    }


def _base(system: str) -> str:
    """Return which of ours a peer is compared with."""
    return "ntzc-python" if system.startswith("python-") else "ntzc-rings"


def _cell(found: Usual, system: str, direction: str, length: int) -> dict[str, Any] | None:
    own = found.get((system, direction, length))
    base = found.get((_base(system), direction, length))
    if own is None:
        return None
    ratio = own["insn_total"] / base["insn_total"] if base else None
    return {"cost": own["insn_total"], "ratio": ratio, "steady": own["steady"]}


def overview(records: Iterable[Record], direction: str) -> list[dict[str, Any]]:
    """Return a row for each system: its cost and ratio at each of LENGTHS, the cheapest first."""
    found = usual(records)
    rows = []
    for system in SYSTEMS:
        cells = [_cell(found, system.name, direction, length) for length in LENGTHS]
        if any(cells):
            rows.append({"system": system.name, "cells": cells, "base": _base(system.name)})
    return sorted(rows, key=lambda row: min(c["cost"] for c in row["cells"] if c))


def claims(records: Iterable[Record]) -> dict[str, Any]:
    """Return what is to be said of the claims of 2010: what was measured, and projections."""
    found = usual(records)
    received = {n: r for n in LENGTHS if (r := found.get(("ntzc-rings", "rx", n)))}
    sent = {}
    for length in LENGTHS:
        ours, theirs = (found.get((name, "tx", length)) for name in ("ntzc-rings", LIBPCAP_TX))
        if ours and theirs:
            sent[length] = {
                "ours": ours["insn_total"],
                "theirs": theirs["insn_total"],
                "ratio": theirs["insn_total"] / ours["insn_total"],
            }
    return {
        "received": {length: r["insn_total"] for length, r in received.items()},
        "projected": [
            {
                "ipc": ipc,
                "mpps": [CLOCK_HZ * ipc / r["insn_total"] / 1e6 for r in received.values()],
            }
            for ipc in IPCS
        ],
        "needed_ipc": {n: r["insn_total"] * 1e6 / CLOCK_HZ for n, r in received.items()},
        "sent": sent,
    }


def render(results: dict[str, Any]) -> str:
    """Return the report on *results*, which are those of results.json."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "bench"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    records: list[Record] = results["records"]
    setups = {r["system"]: r for r in reversed(records)}
    return environment.get_template("report.html.jinja").render(
        results=results,
        records=records,
        plots=plots(records, DIRECTIONS),
        overviews={d: overview(records, d) for d in DIRECTIONS},
        claims=claims(records),
        goals=standing(records),
        lengths=LENGTHS,
        clock_ghz=CLOCK_HZ / 1e9,
        line_rate=LINE_RATE_PPS,
        kernels=sorted({r["kernel"] for r in records}),
        revisions=sorted({r["revision"] for r in records}),
        sittings=sorted({r["sitting"] for r in records}),
        worst=max(records, key=lambda r: abs(r["repeat"])),
        n_steady=sum(r["steady"] for r in records),
        ours=(own := [r for r in records if r["system"].startswith("ntzc-")]),
        n_steady_ours=sum(r["steady"] for r in own),
        setups=sorted(setups.values(), key=lambda r: str(r["system"])),
        absent=ABSENT,
        directions=DIRECTIONS,
    )


def main() -> int:
    """Write the report; return 1 if something that must hold does not."""
    results = json.loads(RESULTS.read_text())
    rows = standing(results["records"])
    for row in rows:
        print(f"{row['what']:<58}{row['value']:>12}  {row['must']:<18}{row['verdict']}")
    REPORT.write_text(render(results))
    print(f"written: {REPORT.relative_to(ROOT)}")
    return int(any(row["verdict"] == "missed" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
