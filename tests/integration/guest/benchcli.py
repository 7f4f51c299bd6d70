# SPDX-License-Identifier: GPL-2.0-or-later
"""The ``ntzc`` command in this process: to start another takes longer than many a trial."""

from __future__ import annotations

import contextlib
import io
import sys

from pyntzc._cli import main


def run(*words: str) -> tuple[int, str, str]:
    """Run ``ntzc`` with *words*; return its exit status, what it printed, and its errors."""
    out, err = io.StringIO(), io.StringIO()
    usual = sys.argv
    sys.argv = ["ntzc", *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        status = end.code
    else:
        status = 0
    finally:
        sys.argv = usual
    assert isinstance(status, int), status
    return status, out.getvalue(), err.getvalue()
