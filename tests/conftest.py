# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of the whole suite."""

from __future__ import annotations

import pytest

from emulation import kernels


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kernels", default="6.12", help="kernels of ci/kernels.toml for tests/integration"
    )
    parser.addoption(
        "--full",
        action="store_true",
        help="every number of rounds that the hostile cases ask for, which takes long",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "injection: needs a kernel that fails on demand: injects in ci/kernels.toml"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a kernel cannot serve, rather than have it pass."""
    known = kernels.known()
    left_out = []
    for item in items:
        spec = getattr(item, "callspec", None)
        kernel = str(spec.params.get("kernel")) if spec else ""
        if item.get_closest_marker("injection") and not known.get(kernel, {}).get("injects"):
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
