# SPDX-License-Identifier: GPL-2.0-or-later
"""How long to wait, on kernels that are slower than others.

Every deadline of the tests is meant for a distribution's kernel, and multiplied by the pace
of the kernel that runs (``ci/kernels.toml``). The host's waiting functions do so themselves,
as they know the kernel; programs in the guest ask :func:`patience`.
"""

from __future__ import annotations

import os

VARIABLE = "NTZC_PACE"
"""The environment variable by which the guest's programs know the pace."""


def patience(seconds: float) -> float:
    """Return how long to wait in the guest for what a usual kernel does in *seconds*."""
    return seconds * float(os.environ.get(VARIABLE, "1"))
