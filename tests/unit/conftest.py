# SPDX-License-Identifier: GPL-2.0-or-later
"""How hard the unit tests try: ``NTZC_HYPOTHESIS_PROFILE``."""

from __future__ import annotations

import os
from typing import Any

import pytest
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
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
settings.load_profile(os.environ.get("NTZC_HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mutants: break the core and see it noticed; -m mutants")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the mutants out unless they are asked for: they take minutes."""
    if "mutants" in config.getoption("-m"):
        return
    left_out = [item for item in items if item.get_closest_marker("mutants")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
