# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's log: records of ``/dev/kmsg`` as lines, and the lines that mean a fault."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RECORD = re.compile(r"\d+,\d+,(?P<time_us>\d+),[^;]*;(?P<text>.*)")
_FAULT = re.compile(r"BUG:|WARNING:|RIP:|Call Trace:|unreferenced object|DMA-API")
_CONTEXT_LINES = 30


def lines(records: bytes) -> list[str]:
    """Turn records into lines like dmesg's; a record's dictionary is left out."""
    found: list[str] = []
    for line in records.decode(errors="replace").splitlines():
        if match := _RECORD.match(line):
            seconds, micros = divmod(int(match["time_us"]), 1_000_000)
            found.append(f"[{seconds:5d}.{micros:06d}] {match['text']}")
    return found


def faults(log: Sequence[str], allow: Sequence[str] = ()) -> list[str]:
    """Return the part of *log* from its first fault on, or nothing if there is none.

    Args:
        log: lines.
        allow: regular expressions for lines that are no fault.

    """
    allowed = [re.compile(pattern) for pattern in allow]
    for i, line in enumerate(log):
        if _FAULT.search(line) and not any(pattern.search(line) for pattern in allowed):
            return list(log[i : i + _CONTEXT_LINES])
    return []
