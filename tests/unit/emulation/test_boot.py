# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that never gets to run anything of ours is booted once more, and it is told."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from emulation.errors import GuestTimeout, VMDied, VMError
from emulation.machine import INIT, Layout, Machine
from emulation.vm import BOOTED_AGAIN, VM

DEATH = VMDied("the machine died (status 255)", "QEMU ended with status 139")
HANG = GuestTimeout("waited 150 s for the guest to boot")


class Stub(VM):
    """A machine whose first *failures* boots end with *error*."""

    def __init__(self, failures: int, error: VMError) -> None:
        self.failures = failures
        self.error = error
        self.boots = 0
        self._dead = threading.Event()
        self._closing = False

    def _boot(self) -> None:
        self.boots += 1
        if self.boots <= self.failures:
            self._dead.set()
            raise self.error


@pytest.mark.parametrize(("error", "told"), [(DEATH, "\n.*status 139"), (HANG, "150 s")])
def test_a_boot_that_fails_is_told_and_tried_again(error: VMError, told: str) -> None:
    stub = Stub(1, error)
    with pytest.warns(UserWarning, match=f"{BOOTED_AGAIN}.*{told}"), stub as vm:
        assert vm.alive
    assert stub.boots == 2


@pytest.mark.parametrize("error", [DEATH, HANG])
def test_a_machine_that_never_boots_is_an_error(error: VMError) -> None:
    stub = Stub(2, error)
    with pytest.warns(UserWarning, match=BOOTED_AGAIN), pytest.raises(type(error)), stub:
        raise AssertionError("it cannot run")
    assert stub.boots == 2


@pytest.mark.parametrize(
    ("does", "status", "told"),
    [("exit 0", 0, ""), ("exit 3", 3, "status 3"), ("kill -SEGV $$", 139, "status 139")],
)
def test_qemu_gets_our_boot_script_and_its_end_is_on_the_console(
    tmp_path: Path, does: str, status: int, told: str
) -> None:
    qemu = tmp_path / "qemu-system-x86_64"
    qemu.write_text(f'#!/bin/sh\necho "$@"\n{does}\n')
    script = tmp_path / "qemu.sh"
    layout = Layout(tmp_path)
    script.write_text(Machine.qemu_script(layout))
    for file in (qemu, script):
        file.chmod(0o700)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [script, "-append", "two words init=/other", "-m", "1G"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert done.stdout == f"-append two words init={INIT} -- {layout.boot_script} -m 1G\n"
    assert told in done.stderr
