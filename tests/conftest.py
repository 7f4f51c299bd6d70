# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of the whole suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kernels", default="6.12", help="kernels of ci/kernels.toml for tests/integration"
    )
