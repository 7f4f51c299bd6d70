# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests of RFC 2544, section 26, for one frame size each, over anything that runs trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pyntzc._bench.figures import NS_PER_S, Latency, Spread, l1_bits, l2_bits, spread
from pyntzc._bench.search import Attempt, search
from pyntzc._bench.trial import Load, Rig, Trial

_WARM_UP_NS = 100_000_000
_WARM_UP_FPS = 1000


@dataclass(frozen=True)
class Settings:
    """How to test.

    Attributes:
        trial_ns: how long a trial lasts. Section 24 asks for 60 seconds.
        burst_ns: the longest burst, at the top rate. Section 26.4 asks for 2 seconds or more.
        repeats: how often each test is done. Sections 26.2 and 26.4 ask for 20 and 50.
        resolution_ppm: where a search ends, in millionths of the top rate, or of a burst.
        step_percent: between the rates of the loss test. Section 26.3 asks for 10 or less.

    """

    trial_ns: int = 60 * NS_PER_S
    burst_ns: int = 2 * NS_PER_S
    repeats: int = 3
    resolution_ppm: int = 1000
    step_percent: int = 10

    def resolution(self, of: int) -> int:
        """Return where a search ends: a part of *of*, at least 1."""
        return max(of * self.resolution_ppm // 1_000_000, 1)


@dataclass
class Run:
    """One of a test's repetitions.

    Attributes:
        value: what it found: frames a second, or frames.
        limit: what keeps it from more, see :class:`pyntzc._bench.search.Found`.
        trials: in the order in which they were run.

    """

    value: int
    limit: str
    trials: list[Trial] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        trials = [trial.as_json() for trial in self.trials]
        return {"value": self.value, "limit": self.limit, "trials": trials}


@dataclass
class Result:
    """A test with one frame size.

    Attributes:
        test: its name.
        size_bytes: of a frame, its check sequence included.
        top_rate_fps: the most that was offered.
        unit: of the runs' values.
        runs: its repetitions.
        skipped: why it was not done; empty if it was.
        search: for the rate of the latency test, if it had to be searched for.

    """

    test: str
    size_bytes: int
    top_rate_fps: int
    unit: str
    runs: list[Run] = field(default_factory=list)
    skipped: str = ""
    search: Run | None = None

    @property
    def value(self) -> Spread:
        """What the runs found."""
        return spread([run.value for run in self.runs])

    def trials(self) -> list[Trial]:
        """Return the trials of all runs, in the order in which they were run."""
        runs = [self.search, *self.runs] if self.search else self.runs
        return [trial for run in runs for trial in run.trials]

    def as_json(self) -> dict[str, Any]:
        """Return all of it, with what is computed of the runs."""
        about: dict[str, Any] = {
            "test": self.test,
            "frame_size_bytes": self.size_bytes,
            "top_rate_fps": self.top_rate_fps,
            "unit": self.unit,
        }
        if self.search:
            about["search"] = self.search.as_json()
        if self.skipped:
            return about | {"skipped": self.skipped}
        runs = [run.as_json() for run in self.runs]
        return about | {"summary": self.summary(), "runs": runs}

    def summary(self) -> dict[str, Any]:
        """Return the spreads of what counts in this test."""
        if self.test == "latency":
            return {"latency": self._latencies(), "rate_fps": self.value._asdict()}
        if self.test == "loss":
            return {"rates": [row.as_json() for row in self.loss_rows()]}
        if self.test == "back-to-back":
            return {"burst_frames": self.value._asdict()}
        rate = self.value
        return {"rate_fps": rate._asdict()} | {
            name: {key: round(getattr(rate, key) * factor, 6) for key in rate._fields[:3]}
            for name, factor in (
                ("mpps", 1e-6),
                ("l1_gbit_s", l1_bits(self.size_bytes) * 1e-9),
                ("l2_gbit_s", l2_bits(self.size_bytes) * 1e-9),
            )
        }

    def _latencies(self) -> dict[str, Any]:
        each = [run.trials[-1].latency for run in self.runs]
        return {
            name: spread([getattr(latency, name) for latency in each])._asdict()
            for name in Latency._fields
        }

    def loss_rows(self) -> list[LossRow]:
        """Return what was lost at each rate, over all runs."""
        rates: dict[int, list[Trial]] = {}
        for run in self.runs:
            for trial in run.trials:
                rates.setdefault(trial.load.rate_fps, []).append(trial)
        return [
            LossRow(
                rate,
                spread([trial.achieved_fps for trial in trials]),
                spread([trial.lost_ppm for trial in trials]),
            )
            for rate, trials in rates.items()
        ]


@dataclass(frozen=True)
class LossRow:
    """Losses at one rate.

    Attributes:
        rate_fps: what was to be offered.
        achieved_fps: what was offered.
        lost_ppm: lost frames in a million.

    """

    rate_fps: int
    achieved_fps: Spread
    lost_ppm: Spread

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "rate_fps": self.rate_fps,
            "achieved_fps": self.achieved_fps._asdict(),
            "lost_ppm": self.lost_ppm._asdict(),
        }


def warm_up(rig: Rig, size_bytes: int) -> Trial:
    """Send a few frames slowly, so that what is needed later is there; return that trial."""
    rate = min(_WARM_UP_FPS, rig.top_rate_fps(size_bytes))
    return rig.run(Load.lasting(size_bytes, rate, _WARM_UP_NS))


def _find_rate(rig: Rig, size_bytes: int, settings: Settings) -> Run:
    """Search for the greatest rate without a loss."""
    run = Run(0, "")

    def attempt(rate_fps: int) -> Attempt:
        trial = rig.run(Load.lasting(size_bytes, rate_fps, settings.trial_ns))
        run.trials.append(trial)
        reached = rate_fps if trial.kept_up else min(trial.achieved_fps, rate_fps - 1)
        return Attempt(not trial.spotless, reached)

    top = rig.top_rate_fps(size_bytes)
    found = search(top, lambda _: settings.resolution(top), attempt)
    # a generator that kept up may still have been slower by a hundredth
    offered = [t.achieved_fps for t in run.trials if t.spotless and t.load.rate_fps == found.load]
    run.value, run.limit = min([found.load, *offered]), found.limit
    return run


def _find_burst(rig: Rig, size_bytes: int, settings: Settings) -> Run:
    """Search for the longest burst without a loss."""
    run = Run(0, "")

    def attempt(frames: int) -> Attempt:
        trial = rig.run(Load(size_bytes, frames, 0))
        run.trials.append(trial)
        return Attempt(not trial.spotless, trial.sent)

    top = max(rig.top_rate_fps(size_bytes) * settings.burst_ns // NS_PER_S, 1)
    # a buffer may be short beside what the line carries in that time
    found = search(top, settings.resolution, attempt)
    run.value, run.limit = found.load, found.limit
    return run


def throughput(rig: Rig, size_bytes: int, settings: Settings) -> Result:
    """Find the greatest rate at which no frame is lost; section 26.1."""
    result = _result("throughput", rig, size_bytes, "frames/s")
    for _ in range(settings.repeats):
        result.runs.append(_find_rate(rig, size_bytes, settings))
    return result


def back_to_back(rig: Rig, size_bytes: int, settings: Settings) -> Result:
    """Find the longest burst, as fast as it goes, of which no frame is lost; section 26.4."""
    result = _result("back-to-back", rig, size_bytes, "frames")
    for _ in range(settings.repeats):
        result.runs.append(_find_burst(rig, size_bytes, settings))
    return result


def latency(rig: Rig, size_bytes: int, settings: Settings, rate_fps: int | None = None) -> Result:
    """Time every frame at *rate_fps*, or at the throughput that is searched for first; 26.2."""
    result = _result("latency", rig, size_bytes, "frames/s")
    if rate_fps is None:
        result.search = _find_rate(rig, size_bytes, settings)
        rate_fps = result.search.value
    if not rate_fps:
        result.skipped = "no rate was found at which no frame is lost"
        return result
    for _ in range(settings.repeats):
        trial = rig.run(Load.lasting(size_bytes, rate_fps, settings.trial_ns))
        result.runs.append(Run(trial.achieved_fps, "rate", [trial]))
    return result


def loss(rig: Rig, size_bytes: int, settings: Settings) -> Result:
    """Count losses from the top rate downwards, until two rates have none; section 26.3.

    A run's value is the greatest rate from which on there was none, 0 if there always was.
    """
    result = _result("loss", rig, size_bytes, "frames/s")
    for _ in range(settings.repeats):
        result.runs.append(_go_down(rig, size_bytes, settings))
    return result


def _go_down(rig: Rig, size_bytes: int, settings: Settings) -> Run:
    run = Run(0, "loss")
    top = rig.top_rate_fps(size_bytes)
    for percent in range(100, 0, -settings.step_percent):
        rate_fps = max(top * percent // 100, 1)
        trial = rig.run(Load.lasting(size_bytes, rate_fps, settings.trial_ns))
        run.trials.append(trial)
        if not trial.spotless:
            run.value = 0
        elif run.value:
            break
        else:
            run.value = trial.achieved_fps
    return run


def _result(test: str, rig: Rig, size_bytes: int, unit: str) -> Result:
    return Result(test, size_bytes, rig.top_rate_fps(size_bytes), unit)


TESTS: dict[str, Callable[[Rig, int, Settings], Result]] = {
    "throughput": throughput,
    "latency": latency,
    "loss": loss,
    "back-to-back": back_to_back,
}
"""The tests by name, in the order of RFC 2544."""
