# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's log: records of ``/dev/kmsg`` as lines, and the lines that mean a fault."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RECORD = re.compile(r"\d+,\d+,(?P<time_us>\d+),[^;]*;(?P<text>.*)")
_FAULT = re.compile(
    r"BUG:|WARNING:|UBSAN:|INFO: task |RIP:|Call Trace:|unreferenced object|"
    # not what it says of itself when the kernel boots
    r"DMA-API: (?!preallocated|debugging enabled)|"
    # likewise of an IOMMU; a card reached for memory that it may not
    r"DMAR:.*(\bfault\b|DMA Read|DMA Write)"
)
_CONTEXT_LINES = 60
# A report of a data race ends with a rule. The kernel has many that it can live with: they
# concern us where the access is in one of our modules, or in what that has called for it.
_RACE = re.compile(r"BUG: KCSAN:")
_RULE = re.compile(r"={20}")
_ACCESS = re.compile(r"(read|write).* of \d+ bytes by ")
_OWN = re.compile(r"\[ntzc\w*\]")
_CALLERS = 2  # frames of an access that are looked at
# What these touch is the kernel's alone, whoever asks them for it: each processor's list of polls,
# and a poll's state, which napi_complete_done() looks at without saying so before it exchanges it;
# the time, which is read again if it was being written.
_KERNELS_ALONE = re.compile(
    r" (__napi_schedule(_irqoff)?|napi_schedule_prep|napi_complete_done|net_rx_action|"
    r"ktime_get\w*)\+"
)


def lines(records: bytes) -> list[str]:
    """Turn records into lines like dmesg's; a record's dictionary is left out."""
    found: list[str] = []
    for line in records.decode(errors="replace").splitlines():
        if match := _RECORD.match(line):
            seconds, micros = divmod(int(match["time_us"]), 1_000_000)
            found.append(f"[{seconds:5d}.{micros:06d}] {match['text']}")
    return found


def _is_foreign_race(log: Sequence[str], title: int) -> bool:
    """Whether *title* begins the report of a data race that our modules have no part in."""
    if not _RACE.search(log[title]):
        return False
    end = next((i for i in range(title, len(log)) if _RULE.search(log[i])), len(log))
    accesses = [i for i in range(title, end) if _ACCESS.search(log[i])]
    looked_at = (1 if _KERNELS_ALONE.search(log[i + 1]) else _CALLERS for i in accesses)
    near = (log[i + 1 : i + 1 + n] for i, n in zip(accesses, looked_at, strict=True))
    return not any(_OWN.search(line) for frames in near for line in frames)


def faults(log: Sequence[str], allow: Sequence[str] = ()) -> list[str]:
    """Return the part of *log* from its first fault on, or nothing if there is none.

    Args:
        log: lines.
        allow: regular expressions for lines that are no fault.

    """
    allowed = [re.compile(pattern) for pattern in allow]
    for i, line in enumerate(log):
        if not _FAULT.search(line) or any(pattern.search(line) for pattern in allowed):
            continue
        if not _is_foreign_race(log, i):
            return list(log[i : i + _CONTEXT_LINES])
    return []
