# SPDX-License-Identifier: GPL-2.0-or-later
"""The report: build/bench/report.html out of build/bench/results.json, by itself.

``python -m bench.report`` makes it again, without measuring.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import jinja2
import matplotlib as mpl
from matplotlib.figure import Figure

from bench.systems import ROOT

RESULTS = ROOT / "build/bench/results.json"
REPORT = ROOT / "build/bench/report.html"
DIRECTIONS = {"rx": "Receive", "tx": "Transmit", "forward": "Forward"}
_PARTS = ("insn_user", "insn_kernel", "insn_driver", "insn_core")

Record = dict[str, Any]


def _is_ours(record: Record) -> bool:
    return str(record["system"]).startswith("ntzc-")


def _plot(records: Iterable[Record], x: str, title: str, logs: bool) -> str:
    """Return an SVG element: instructions per packet over *x*, one line a system."""
    lines: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        lines[record["system"]].append(record)
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, points in sorted(lines.items()):
        points.sort(key=lambda record: int(record[x]))
        style = "o-" if name.startswith("ntzc-") else "s--"
        axes.plot([p[x] for p in points], [p["insn_total"] for p in points], style, label=name)
    axes.set(xlabel=x.replace("_", " "), ylabel="instructions per packet", title=title)
    axes.set_xscale("log", base=2)
    if logs:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": title}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _plots(records: list[Record]) -> list[str]:
    def some(keep: Callable[[Record], bool]) -> list[Record]:
        return [record for record in records if keep(record)]

    plots = []
    for direction, word in DIRECTIONS.items():
        base = some(lambda r, d=direction: r["direction"] == d and r["taps"] == 1)  # type: ignore[misc]
        sizes = [r for r in base if r["batch"] == 64]
        if len({r["frame_len"] for r in sizes}) > 1:
            plots.append(_plot(sizes, "frame_len", f"{word}, by frame length", logs=True))
        batches = [r for r in base if r["frame_len"] == 60 and _is_ours(r)]
        if len({r["batch"] for r in batches}) > 1:
            plots.append(_plot(batches, "batch", f"{word}, 60 bytes, by batch", logs=False))
    taps = some(
        lambda r: r["direction"] == "rx" and r["frame_len"] == 60 and r["batch"] == 64
        and _is_ours(r)
    )  # fmt: skip
    if len({r["taps"] for r in taps}) > 1:
        plots.append(_plot(taps, "taps", "Receive, 60 bytes, by readers of each frame", logs=False))
    return plots


def _ratios(records: list[Record]) -> list[dict[str, Any]]:
    """Each peer's cost over that of ours that it compares with, per direction and length."""
    usual = {
        (r["system"], r["direction"], r["frame_len"]): r["insn_total"]
        for r in records
        if r["batch"] == 64 and r["taps"] == 1
    }
    rows = []
    for (system, direction, length), cost in usual.items():
        ours = "ntzc-python" if system.startswith("python-") else "ntzc-rings"
        base = usual.get((ours, direction, length))
        if not system.startswith("ntzc-") and base and length in (60, 1514):
            row = {"system": system, "ours": ours, "direction": direction}
            row |= {"frame_len": length, "cost": cost, "base": base, "ratio": cost / base}
            rows.append(row)
    return sorted(rows, key=lambda row: (row["direction"], row["frame_len"], row["ratio"]))


def main() -> None:
    """Write the report."""
    results = json.loads(RESULTS.read_text())
    records: list[Record] = results["records"]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "bench"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template("report.html.jinja").render(
        results=results,
        records=records,
        parts=_PARTS,
        plots=_plots(records),
        ratios=_ratios(records),
        kernels=sorted({r["kernel"] for r in records}),
        worst=max(abs(r["repeat"]) for r in records),
        setups=sorted({(r["system"], r["setup"], r["driver"]) for r in records}),
        directions=DIRECTIONS,
    )
    REPORT.write_text(text)
    print(f"written: {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
