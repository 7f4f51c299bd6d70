# SPDX-License-Identifier: GPL-2.0-or-later
"""The recorded baseline: every case that is held against it is in it."""

from __future__ import annotations

import json

from bench.insn import BASELINE, CASES


def test_each_case_has_a_baseline_and_each_baseline_a_case() -> None:
    cases = {case.key for case in CASES if not case.python}
    assert cases == set(json.loads(BASELINE.read_text())["hot"])
