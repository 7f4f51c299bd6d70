# SPDX-License-Identifier: GPL-2.0-or-later
"""How long to wait, on kernels that are slower than others.

Every deadline of the tests is meant for a distribution's kernel, and multiplied by the pace
of the kernel that runs (``ci/kernels.toml``). The host's waiting functions do so themselves,
as they know the kernel; programs in the guest ask :func:`patience`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

VARIABLE = "NTZC_PACE"
"""The environment variable by which the guest's programs know the pace."""


def patience(seconds: float) -> float:
    """Return how long to wait in the guest for what a usual kernel does in *seconds*."""
    return seconds * float(os.environ.get(VARIABLE, "1"))


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
    """Wait in the guest until *condition* holds; TimeoutError, with *what*, if it does not."""
    deadline = time.monotonic() + patience(timeout_s)
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited for {what}")
        time.sleep(0.001)
