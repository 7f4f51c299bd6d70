# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever goes wrong in one of several commands is what is reported."""

from __future__ import annotations

import os
import signal

import pytest

from ci.side_by_side import Part, run

CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"


def part(code: str, title: str = "part") -> Part:
    return Part(title, ["-c", code])


@pytest.mark.parametrize("where", [0, 1, 2])
@pytest.mark.parametrize("code", ["raise SystemExit(1)", "raise SystemExit(5)", CRASH])
def test_a_part_that_fails_fails_all(code: str, where: int) -> None:
    parts = [part("pass", str(n)) for n in range(3)]
    parts[where] = part(code, "failing")
    assert run(parts) > 0


def test_the_output_of_all_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([part("print('one')"), part("print('two')"), part("print('three')")]) == 0
    assert {"one", "two", "three"} <= {*capfd.readouterr().out.split()}


def test_of_what_was_dealt_out_some_parts_may_have_no_tests_but_not_all() -> None:
    none, ok = "raise SystemExit(5)", "pass"
    assert run([part(none, "a"), part(ok, "a"), part(ok, "b")]) == 0
    assert run([part(none, "a"), part(none, "a"), part(ok, "b")]) == 5
    assert run([part(none, "a"), part(CRASH, "a")]) > 0


def test_what_a_part_leaves_behind_is_not_waited_for(capfd: pytest.CaptureFixture[str]) -> None:
    child = "[sys.executable, '-c', 'import time; time.sleep(600)']"
    leaves = part(f"import subprocess, sys; print(subprocess.Popen({child}).pid)")
    assert run([part("pass"), leaves]) == 0
    os.kill(int(capfd.readouterr().out.split()[-1]), signal.SIGKILL)  # it still ran
