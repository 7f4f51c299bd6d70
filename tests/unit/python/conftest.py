# SPDX-License-Identifier: GPL-2.0-or-later
"""Python's units, on the built client: compiled here if its sources changed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import build_python

build_python.main()
sys.path.insert(0, str(build_python.TARGET))

from tests.unit.python.fake import FakeCard  # noqa: E402 - needs the path

HERE = Path(__file__).parent

TIMEOUT_S = 60
"""A test that waits for what does not come ends."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound each test of this folder."""
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCard]:
    """A card whose kernel is Python, under the real client."""
    fake = FakeCard()
    fake.install(monkeypatch)
    yield fake
    fake.check()
    fake.close()
