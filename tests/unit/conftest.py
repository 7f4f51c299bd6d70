# SPDX-License-Identifier: GPL-2.0-or-later
"""How hard the unit tests try: ``NTZC_HYPOTHESIS_PROFILE``."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings

_COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
}
settings.register_profile("ci", None, **_COMMON, max_examples=60, stateful_step_count=40)
settings.register_profile("thorough", None, **_COMMON, max_examples=3000, stateful_step_count=80)
# under sanitizers, and to see a mutant fail: few tries, and for mutants no shrinking
settings.register_profile("quick", None, **_COMMON, max_examples=20, stateful_step_count=40)
settings.register_profile(
    "mutant",
    None,
    **_COMMON,
    max_examples=200,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
settings.load_profile(os.environ.get("NTZC_HYPOTHESIS_PROFILE", "ci"))
