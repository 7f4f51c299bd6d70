# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that dies before anything of ours runs in it is booted once more, and it is told."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from emulation.errors import VMDied
from emulation.machine import Machine
from emulation.vm import BOOTED_AGAIN, VM


class Stub(VM):
    """A machine that dies in its first *deaths* boots."""

    def __init__(self, deaths: int) -> None:
        self.deaths = deaths
        self.boots = 0
        self._dead = threading.Event()
        self._closing = False

    def _boot(self) -> None:
        self.boots += 1
        if self.boots <= self.deaths:
            self._dead.set()
            raise VMDied("the machine died (status 255)", "QEMU ended with status 139")


def test_a_death_while_booting_is_told_and_tried_again() -> None:
    stub = Stub(1)
    with pytest.warns(UserWarning, match=f"{BOOTED_AGAIN}.*\n.*status 139"), stub as vm:
        assert vm.alive
    assert stub.boots == 2


def test_a_machine_that_never_boots_is_an_error() -> None:
    stub = Stub(2)
    with pytest.warns(UserWarning, match=BOOTED_AGAIN), pytest.raises(VMDied), stub:
        raise AssertionError("it cannot run")
    assert stub.boots == 2


@pytest.mark.parametrize(
    ("does", "status", "told"),
    [("exit 0", 0, ""), ("exit 3", 3, "status 3"), ("kill -SEGV $$", 139, "status 139")],
)
def test_how_qemu_ended_is_on_the_console(
    tmp_path: Path, does: str, status: int, told: str
) -> None:
    qemu = tmp_path / "qemu-system-x86_64"
    qemu.write_text(f'#!/bin/sh\necho "$@"\n{does}\n')
    script = tmp_path / "qemu.sh"
    script.write_text(Machine.qemu_script())
    for file in (qemu, script):
        file.chmod(0o700)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [script, "-append", "two words"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert done.stdout == "-append two words\n"
    assert told in done.stderr
