# SPDX-License-Identifier: GPL-2.0-or-later
"""What NTZC wants to cost: bounds that must hold and goals beyond, against what was measured.

All are of frames of 60 bytes in batches of 64, read by one tap, unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
Found = dict[tuple[str, str, int, int, int], Record]
_LONG = 1514  # 1,518 with the check sequence
_LARGE = 256  # a batch


@dataclass(frozen=True)
class Goal:
    """A bound of what something may cost, and a goal.

    Attributes:
        what: is measured.
        must: at most, or at least.
        goal: likewise.
        figure: computes it; KeyError if a result that it needs is not there.
        least: both are lower bounds, not upper ones.
        unit: of all three.

    """

    what: str
    must: float
    goal: float
    figure: Callable[[Found], float]
    least: bool = False
    unit: str = ""

    def _good(self, value: float, bound: float) -> bool:
        return value >= bound if self.least else value <= bound

    def row(self, found: Found) -> dict[str, Any]:
        """Return how it stands; without a value where it was not measured."""
        words = "at least" if self.least else "at most"
        head = {"what": self.what, "must": f"{words} {self.must:.3g}{self.unit}"}
        head |= {"goal": f"{words} {self.goal:.3g}{self.unit}", "value": ""}
        try:
            value = self.figure(found)
        except KeyError:
            return head | {"verdict": "not measured"}
        verdict = "missed"
        if self._good(value, self.goal):
            verdict = "goal reached"
        elif self._good(value, self.must):
            verdict = "holds"
        return head | {"value": f"{value:.3g}{self.unit}", "verdict": verdict}


def _record(
    found: Found,
    system: str,
    direction: str = "rx",
    frame_len: int = 60,
    batch: int = 64,
    taps: int = 1,
) -> Record:
    return found[system, direction, frame_len, batch, taps]


def _cost(system: str, direction: str = "rx") -> Callable[[Found], float]:
    return lambda found: float(_record(found, system, direction)["insn_total"])


def _further_tap(found: Found) -> float:
    """From one tap to the most that were measured.

    What the kernel does while it waits differs from run to run, however many taps there are:
    it is to be shared among many.
    """
    most = max((taps for *way, taps in found if way == ["ntzc-rings", "rx", 60, 64]), default=1)
    if most == 1:
        raise KeyError("taps")
    many = _record(found, "ntzc-rings", taps=most)["insn_total"]
    return float((many - _cost("ntzc-rings")(found)) / (most - 1))


def _hot(record: Record) -> float:
    return float(sum(record[f"insn_{part}"] for part in ("user", "driver", "core")))


def _longer(system: str) -> Callable[[Found], float]:
    """Without what else the kernel does: that depends on how long the host takes for a frame."""

    def figure(found: Found) -> float:
        long, short = (_record(found, system, frame_len=n) for n in (_LONG, 60))
        took, takes = (_hot(record) + float(record["insn_copying"]) for record in (long, short))
        return 100 * (took / takes - 1)

    return figure


def _loaded(found: Found) -> float:
    loaded, plain = (_record(found, name) for name in ("ntzc-rings-loaded", "ntzc-rings"))
    return 100 * (_hot(loaded) / _hot(plain) - 1)


def _most(field: str) -> Callable[[Found], float]:
    """Return the worst of all directions through rings; who forwards receives and sends."""
    passes = {"rx": 1, "tx": 1, "forward": 2}
    return lambda found: max(
        float(_record(found, "ntzc-rings", direction)[field]) / n for direction, n in passes.items()
    )


def _python(found: Found) -> float:
    ours, theirs = (_record(found, f"ntzc-{way}", batch=_LARGE) for way in ("python", "rings"))
    return float(ours["insn_total"] / theirs["insn_total"])


def _dpdk(found: Found) -> float:
    return _cost("dpdk")(found) / _cost("ntzc-rings")(found)


GOALS = (
    Goal("receive through rings, instructions", 160, 110, _cost("ntzc-rings")),
    Goal("receive through read and write", 210, 150, _cost("ntzc-read")),
    Goal("transmit through rings", 140, 100, _cost("ntzc-rings", "tx")),
    Goal("forward by reference", 260, 180, _cost("ntzc-rings", "forward")),
    Goal("each further tap", 45, 30, _further_tap),
    Goal("1,514 bytes instead of 60, hot path: more", 3, 1, _longer("ntzc-rings"), unit=" %"),
    Goal("the same by read and write: more", 3, 1, _longer("ntzc-read"), unit=" %"),
    Goal("pool x 4, 2,000 held, 32 taps idle, hot path: more", 3, 1, _loaded, unit=" %"),
    Goal("device registers written, received or sent", 1 / 32, 1 / 64, _most("mmio_writes")),
    Goal("device registers read where packets are dealt with", 0, 0, _most("mmio_reads_hot")),
    Goal("atomic instructions for a packet received", 1, 0,
         lambda found: float(_record(found, "ntzc-rings")["atomics"])),
    Goal(f"Python over C, batches of {_LARGE}", 1.3, 1.1, _python, unit=" times"),
    Goal("DPDK over ours, receive", 1.1, 1.7, _dpdk, least=True, unit=" times"),
)  # fmt: skip


def standing(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return a row for each goal: what, must, goal, value, verdict."""
    keys = ("system", "direction", "frame_len", "batch", "taps")
    found: Found = {tuple(r[key] for key in keys): r for r in records}
    return [goal.row(found) for goal in GOALS]
