# SPDX-License-Identifier: GPL-2.0-or-later
"""One trial: what was to be sent, and what became of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from pyntzc._bench.figures import NS_PER_S, Latency

_SLACK = 100  # a generator that takes a hundredth longer than planned has kept up


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes:
        size_bytes: of a frame, its check sequence included.
        frames: how many.
        rate_fps: frames a second; 0 for as fast as it goes.

    """

    size_bytes: int
    frames: int
    rate_fps: int

    @classmethod
    def lasting(cls, size_bytes: int, rate_fps: int, duration_ns: int) -> Load:
        """Return the load of *rate_fps* for *duration_ns*, one frame at least."""
        return cls(size_bytes, max(rate_fps * duration_ns // NS_PER_S, 1), rate_fps)

    @property
    def planned_ns(self) -> int:
        """How long it takes at its rate; 0 if that is as fast as it goes."""
        return self.frames * NS_PER_S // self.rate_fps if self.rate_fps else 0

    @property
    def limit_ns(self) -> int:
        """When to give up on a generator that does not keep up; 0 for never."""
        return self.planned_ns + self.planned_ns // _SLACK


@dataclass(frozen=True)
class Cpu:
    """Processor time that a trial took, nanoseconds.

    Attributes:
        wall_ns: how long the trial took, settling included.
        busy_ns: of all processors of the host, whatever for; the kernel counts in ticks.
        send_ns: of the thread that sent, which waits awake for a frame's turn.
        receive_ns: of the thread that received.

    """

    wall_ns: int
    busy_ns: int
    send_ns: int
    receive_ns: int

    @property
    def busy_percent(self) -> float:
        """Of one processor: 200 for two that were busy throughout."""
        return round(100 * self.busy_ns / self.wall_ns, 1) if self.wall_ns else 0.0


@dataclass(frozen=True)
class Trial:
    """What became of a load.

    Attributes:
        load: what was to be sent.
        sent: frames that were sent.
        received: of those, frames that came in whole, each counted once.
        duplicates: frames that came in again.
        reordered: of *received*, frames that came after one that was sent later.
        corrupt: frames that came in with a wrong length, byte or checksum.
        stale: frames of an earlier trial.
        foreign: frames of others.
        backward: of *received*, frames that came before they were sent, by the clock.
        send_ns: from the first frame until the card was done with the last.
        late_max_ns: the most that a frame was submitted after it was due.
        first_rx_ns: when the first frame came in, by CLOCK_MONOTONIC; 0 if none did.
        last_rx_ns: when the last one did.
        latency: of *received*, without *backward*.
        cpu: processor time.
        causes: where this host counted losses meanwhile; a loss on the way is in none.

    """

    load: Load
    sent: int
    received: int
    duplicates: int
    reordered: int
    corrupt: int
    stale: int
    foreign: int
    backward: int
    send_ns: int
    late_max_ns: int
    first_rx_ns: int
    last_rx_ns: int
    latency: Latency
    cpu: Cpu
    causes: dict[str, int]

    @property
    def lost(self) -> int:
        """Frames that were sent and did not come in whole."""
        return self.sent - self.received

    @property
    def spotless(self) -> bool:
        """Whether every frame came in whole, and none twice."""
        return not (self.lost or self.duplicates or self.corrupt)

    @property
    def achieved_fps(self) -> int:
        """Frames a second that were really offered, never more than the load's rate."""
        took_ns = self.send_ns
        if self.load.rate_fps:  # the last frame's time is not up when it is sent
            took_ns = max(took_ns, -(-self.sent * NS_PER_S // self.load.rate_fps))
        return self.sent * NS_PER_S // took_ns if took_ns else 0

    @property
    def kept_up(self) -> bool:
        """Whether the generator offered what it should, but for a hundredth."""
        return self.sent == self.load.frames

    @property
    def lost_ppm(self) -> int:
        """Lost frames in a million that were sent."""
        return self.lost * 1_000_000 // self.sent if self.sent else 0

    def as_json(self) -> dict[str, Any]:
        """Return all of it, what is computed included."""
        fields = asdict(self) | {"latency": self.latency._asdict()}
        fields["cpu"]["busy_percent"] = self.cpu.busy_percent
        computed = ("lost", "lost_ppm", "achieved_fps", "kept_up", "spotless")
        return fields | {name: getattr(self, name) for name in computed}


class Rig(Protocol):
    """What runs trials: two cards, or a model of them."""

    def top_rate_fps(self, size_bytes: int) -> int:
        """Return the most frames of that size to offer in a second."""
        ...

    def run(self, load: Load) -> Trial:
        """Send *load*, and wait for it."""
        ...
