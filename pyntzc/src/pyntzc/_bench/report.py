# SPDX-License-Identifier: GPL-2.0-or-later
"""What came out: one object for JSON, and tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pyntzc._bench.figures import Latency, Spread, l1_bits, l2_bits, spread
from pyntzc._bench.suite import Result, Settings
from pyntzc._bench.system import Environment
from pyntzc._bench.trial import Trial

FORMAT = "ntzc-bench"
VERSION = 1
"""Of the JSON; raised when a field changes its meaning or goes."""

NOTES = (
    "Frame sizes and L2 rates include the frame check sequence; L1 rates include preamble and "
    "gap as well, 20 bytes a frame.",
    "Latencies are by software's clock: from before a frame was written into its buffer until "
    "the driver took it from the card, one reading for up to 64 frames at either end.",
)


class Table(NamedTuple):
    """A table to print."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass
class Report:
    """A run of the suite, finished or not.

    Attributes:
        environment: whether its rates mean anything.
        system: the host.
        ports: the cards, by what they do: ``tx``, ``rx``.
        settings: how it was tested.
        wiring: how the cards are used.
        asked: the frame sizes and tests that were asked for.
        results: of the tests that were done.
        warm_ups: the trial before the tests of each frame size.
        skipped: frame sizes that were not tested, and why.
        complete: whether all tests came to their end.

    """

    environment: Environment
    system: dict[str, Any]
    ports: dict[str, dict[str, Any]]
    settings: Settings
    wiring: dict[str, Any]
    asked: dict[str, Any]
    results: list[Result] = field(default_factory=list)
    warm_ups: list[Trial] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    complete: bool = False
    started: str = field(default_factory=lambda: _now())

    def as_json(self) -> dict[str, Any]:
        """Return all of it, every trial with its counts included."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "complete": self.complete,
            "environment": self.environment.as_json(),
            "notes": list(NOTES),
            "started": self.started,
            "ended": _now(),
            "settings": asdict(self.settings) | self.asked,
            "wiring": self.wiring,
            "system": self.system,
            "ports": self.ports,
            "skipped": [
                {"frame_size_bytes": size, "why": why} for size, why in self.skipped.items()
            ],
            "warm_ups": [trial.as_json() for trial in self.warm_ups],
            "results": [result.as_json() for result in self.results],
        }

    def tables(self) -> Iterator[Table]:
        """Go through the tables, one a test."""
        for test, make in (
            ("throughput", _throughput),
            ("latency", _latency),
            ("loss", _loss),
            ("back-to-back", _back_to_back),
        ):
            done = [result for result in self.results if result.test == test and result.runs]
            if done:
                yield make(done)

    def remarks(self) -> list[str]:
        """Return what else a reader must know."""
        lines = [f"{size} bytes: not tested: {why}" for size, why in self.skipped.items()]
        for result in self.results:
            if result.skipped:
                lines.append(f"{result.size_bytes} bytes: no {result.test}: {result.skipped}")
        wrong = self._wrong()
        if wrong:
            lines.append(f"frames that should not be: {wrong}")
        if not self.complete:
            lines.append("the tests did not come to their end: this is what had been done")
        return lines + list(NOTES)

    def _wrong(self) -> str:
        trials = [trial for result in self.results for trial in result.trials()]
        names = ("duplicates", "reordered", "corrupt", "stale", "foreign", "backward")
        sums = {name: sum(getattr(trial, name) for trial in trials) for name in names}
        return ", ".join(f"{value} {name}" for name, value in sums.items() if value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _text(value: Spread, scale: float = 1, digits: int = 0) -> str:
    median, least, most = (f"{part * scale:.{digits}f}" for part in value[:3])
    return f"{median} ({least} to {most})" if value.trials > 1 else median


_LIMITS = {"top": "the rate asked for", "generator": "generator", "loss": "loss", "rate": "-"}


def _limits(result: Result) -> str:
    return ", ".join(sorted({_LIMITS[run.limit] for run in result.runs}))


def _last_good(result: Result) -> list[Trial]:
    """Return of each run the last trial without a loss."""
    good = [[trial for trial in run.trials if trial.spotless] for run in result.runs]
    return [trials[-1] for trials in good if trials]


def _throughput(results: list[Result]) -> Table:
    columns = ("SIZE", "TOP PPS", "PPS", "MPPS", "L1 GBIT/S", "L2 GBIT/S", "CPU %", "LIMIT")
    rows = []
    for result in results:
        rate, size = result.value, result.size_bytes
        cpu = [round(trial.cpu.busy_percent) for trial in _last_good(result)]
        rows.append(
            (
                str(size),
                str(result.top_rate_fps),
                _text(rate),
                _text(rate, 1e-6, 4),
                _text(rate, l1_bits(size) * 1e-9, 4),
                _text(rate, l2_bits(size) * 1e-9, 4),
                _text(spread(cpu)) if cpu else "-",
                _limits(result),
            )
        )
    title = "Throughput without a loss (RFC 2544, 26.1): median (least to most)"
    return Table(title, columns, rows)


def _latency(results: list[Result]) -> Table:
    columns = ("SIZE", "PPS", "MIN", "MEDIAN", "99 %", "99.9 %", "MAX", "LOST")
    rows = []
    for result in results:
        trials = [run.trials[-1] for run in result.runs]
        times = [
            _text(spread([getattr(trial.latency, name) for trial in trials]), 1e-3, 1)
            for name in Latency._fields[1:]
        ]
        lost = str(sum(trial.lost for trial in trials))
        rows.append((str(result.size_bytes), _text(result.value), *times, lost))
    title = "Latency in microseconds, software timestamps (RFC 2544, 26.2; RFC 8219, 7.2)"
    return Table(title, columns, rows)


def _loss(results: list[Result]) -> Table:
    columns = ("SIZE", "% OF TOP", "PPS WANTED", "PPS OFFERED", "LOST %")
    rows = [
        (
            str(result.size_bytes),
            str(round(100 * row.rate_fps / result.top_rate_fps)),
            str(row.rate_fps),
            _text(row.achieved_fps),
            _text(row.lost_ppm, 1e-4, 4),
        )
        for result in results
        for row in result.loss_rows()
    ]
    return Table("Frame loss by rate (RFC 2544, 26.3): median (least to most)", columns, rows)


def _back_to_back(results: list[Result]) -> Table:
    columns = ("SIZE", "FRAMES", "PPS IN BURST", "LIMIT")
    rows = []
    for result in results:
        rates = [trial.achieved_fps for trial in _last_good(result)]
        rows.append(
            (
                str(result.size_bytes),
                _text(result.value),
                _text(spread(rates)) if rates else "-",
                _limits(result).replace("rate", "length"),
            )
        )
    title = "Longest burst without a loss (RFC 2544, 26.4): median (least to most)"
    return Table(title, columns, rows)
