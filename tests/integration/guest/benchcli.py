# SPDX-License-Identifier: GPL-2.0-or-later
"""The ``ntzc`` command in this process and its children.

To start another Python takes longer than many a trial does.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import rights

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


class Beside:
    """``ntzc`` in a child of this process, which does *prepare* first."""

    def __init__(self, *words: str, prepare: Callable[[], None] | None = None) -> None:
        self._told = os.memfd_create("told")
        self.pid = os.fork()
        if not self.pid:
            self._be(words, prepare)

    def _be(self, words: tuple[str, ...], prepare: Callable[[], None] | None) -> NoReturn:
        try:
            if prepare:
                prepare()
            status, _, err = run(*words)
            os.write(self._told, err.encode())
            os._exit(status)
        finally:
            os._exit(70)

    def alive(self) -> bool:
        """Whether it still runs."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        os.kill(self.pid, signal.SIGINT)

    def wait(self) -> tuple[int, str]:
        """Wait for its end; return its exit status and its errors."""
        _, status = os.waitpid(self.pid, 0)
        with os.fdopen(self._told, "rb") as told:
            told.seek(0)
            return os.waitstatus_to_exitcode(status), told.read().decode()


def without_the_right(*words: str) -> tuple[int, str]:
    """Run ``ntzc`` as root without CAP_NET_RAW; return its exit status and its errors."""
    return Beside(*words, prepare=lambda: rights.become_root_without(rights.CAP_NET_RAW)).wait()
