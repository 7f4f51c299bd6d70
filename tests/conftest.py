# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of the whole suite."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Iterator

import pytest

from emulation import kernels

GRACE_S = 300
"""After its own timeout a test, with the end of all that its module had, may take so long."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kernels", default="6.12", help="kernels of ci/kernels.toml for tests/integration"
    )
    parser.addoption(
        "--full",
        action="store_true",
        help="every number of rounds that the hostile cases ask for, which takes long",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End the run, and say where it is, if a test does not end by its own timeout.

    That one comes as an exception, once: a callback of cffi's may swallow it, and after a
    failure pytest-timeout and pytest's faulthandler look no more, whatever hangs at the end.
    """
    marker = item.get_closest_marker("timeout")
    limit_s = float(marker.args[0] if marker else item.config.getini("timeout"))
    watchdog = threading.Timer(limit_s + GRACE_S, _give_up, [item])
    watchdog.daemon = True
    watchdog.start()
    try:
        return (yield)
    finally:
        watchdog.cancel()


def _give_up(item: pytest.Item) -> None:
    item.config.pluginmanager.getplugin("capturemanager").suspend_global_capture(in_=True)
    print(f"\n{item.nodeid} does not end", file=sys.stderr, flush=True)
    faulthandler.dump_traceback(sys.stderr)
    os._exit(3)


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
