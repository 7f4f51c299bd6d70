# SPDX-License-Identifier: GPL-2.0-or-later
"""What a packet cost: the instruction counter's profiles of several runs, divided by packets.

A mark is the program's, and the kernel may be some hundred frames ahead of it there, or of its
card: who knows how many frames the kernel delivered between two marks divides its part by those.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from emulation.insn.counter import Profile

_COPYING = re.compile(r"memcpy|memmove|memset|copy_|rep_movs|csum_partial")
_DELIVERED = re.compile(rb"^delivered (\d+) (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What was executed between two marks.

    Attributes:
        profile: of the counter.
        packets: that the program took, or sent.
        delivered: that the kernel gave it meanwhile.

    """

    profile: Profile
    packets: int
    delivered: int


def _copying(profile: Profile) -> int:
    copies = (f for f in profile.functions if f.owner == "kernel" and _COPYING.search(f.name))
    return sum(function.insns for function in copies)


def runs(profiles: Sequence[Profile], packets: int, said: bytes, *, sends: bool) -> tuple[Run, ...]:
    """Return the two runs of *packets* each of a program that *said* what was delivered.

    Of a program that does not say it, and of one that sends, the kernel's part is the program's
    packets' too.
    """
    told = _DELIVERED.search(said)
    delivered = map(int, told.groups()) if told and not sends else (packets,) * len(profiles)
    return tuple(
        Run(profile, packets, frames) for profile, frames in zip(profiles, delivered, strict=True)
    )


@dataclass(frozen=True)
class Cost:
    """A packet's, of all *runs* together.

    Attributes:
        runs: of equal length, one after the other.
        owner: the module that drives the card.

    """

    runs: tuple[Run, ...]
    owner: str

    @property
    def packets(self) -> int:
        """That the program took, or sent."""
        return sum(run.packets for run in self.runs)

    @property
    def delivered(self) -> int:
        """That the kernel gave it."""
        return sum(run.delivered for run in self.runs)

    @property
    def parts(self) -> tuple[float, float, float, float]:
        """Instructions in the program, the rest of the kernel, the driver and the core."""
        owners = Counter[str]()
        for run in self.runs:
            owners.update(run.profile.by_owner)
        user, driver, core = (owners.pop(name, 0) for name in ("user", self.owner, "ntzc"))
        n = self.delivered
        return user / self.packets, owners.total() / n, driver / n, core / n

    @property
    def total(self) -> float:
        """All instructions."""
        return sum(self.parts)

    @property
    def hot(self) -> float:
        """Those of the hot path: the program, the driver and the core."""
        user, _, driver, core = self.parts
        return user + driver + core

    @property
    def copying(self) -> float:
        """Of those of the kernel, the ones in its routines for copying.

        With the hot path's that is what may depend on a frame's length. What else the kernel does
        depends on how long the host takes to send a frame.
        """
        return self.kernels(_copying)

    @property
    def repeat(self) -> float:
        """How much more the last run took than the first, as a fraction."""
        first, last = (Cost((run,), self.owner).total for run in (self.runs[0], self.runs[-1]))
        return last / first - 1

    def kernels(self, count: Callable[[Profile], int]) -> float:
        """Return something that the kernel does, of each packet."""
        return sum(count(run.profile) for run in self.runs) / self.delivered
