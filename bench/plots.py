# SPDX-License-Identifier: GPL-2.0-or-later
"""The report's plots, as SVG elements."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

Record = dict[str, Any]


def _plot(records: Iterable[Record], x: str, title: str, logs: bool) -> str:
    """Return an SVG element: instructions per packet over *x*, one line a system."""
    lines: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        lines[record["system"]].append(record)
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.add_subplot()
    colours = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    for index, (name, points) in enumerate(sorted(lines.items())):
        points.sort(key=lambda record: int(record[x]))
        style = "o-" if name.startswith("ntzc-") else "s--"
        width = 2.4 if name.startswith("ntzc-") else 1.1
        costs = [p["insn_total"] for p in points]
        axes.plot(
            [p[x] for p in points],
            costs,
            style,
            label=name,
            linewidth=width,
            markersize=4,
            color=colours[index % len(colours)],
        )
    axes.set(xlabel=x.replace("_", " "), ylabel="instructions per packet", title=title)
    axes.set_xscale("log", base=2)
    ticks = sorted({int(p[x]) for points in lines.values() for p in points})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    if logs:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": title}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _several(records: Iterable[Record], x: str) -> bool:
    return len({record[x] for record in records}) > 1


def plots(records: list[Record], directions: Mapping[str, str]) -> list[str]:
    """Return the plots that *records* have enough for: by length, by batch, by readers.

    Args:
        records: of results.json.
        directions: which to plot, and what to call them.

    """

    def some(keep: Callable[[Record], bool]) -> list[Record]:
        return [record for record in records if keep(record)]

    found = []
    for direction, word in directions.items():
        base = some(lambda r, d=direction: r["direction"] == d and r["taps"] == 1)  # type: ignore[misc]
        sizes = [r for r in base if r["batch"] == 64]
        if _several(sizes, "frame_len"):
            found.append(_plot(sizes, "frame_len", f"{word}, by frame length", logs=True))
        shortest = [r for r in base if r["frame_len"] == 60]
        several = {r["system"] for r in shortest if r["batch"] != 64}
        batches = [r for r in shortest if r["system"] in several]
        if batches:
            title = f"{word}, 60 bytes, by frames a batch"
            found.append(_plot(batches, "batch", title, logs=True))
    shared = some(lambda r: r["direction"] == "rx" and r["frame_len"] == 60 and r["batch"] == 64)
    several = {r["system"] for r in shared if r["taps"] != 1}
    taps = [r for r in shared if r["system"] in several]
    if taps:
        found.append(_plot(taps, "taps", "Receive, 60 bytes, by readers of each frame", logs=False))
    return found
