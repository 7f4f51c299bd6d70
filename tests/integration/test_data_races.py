# SPDX-License-Identifier: GPL-2.0-or-later
"""All that taps can do, at once on several processors: guest/racers.c.

Any kernel may run this; one with KCSAN (``make vm-test KERNEL=kcsan``) looks at each access to
memory that two processors make without saying so, and its log is what fails the test.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from . import guestc
from .conftest import REPOSITORY, Bench
from .frames import frame

pytestmark = pytest.mark.races

SECONDS = 20
BURST = 64
PAUSE_S = 0.05
ROLES = 8  # kinds of threads


@pytest.fixture(scope="module")
def program() -> Path:
    """guest/racers.c, built with libntzc in it."""
    return guestc.build("racers", REPOSITORY / "build/lib/libntzc.a")


def test_readers_senders_and_taps_that_come_and_go_do_not_race(bench: Bench, program: Path) -> None:
    """Hostile case 101."""
    seconds = str(int(SECONDS * bench.vm.kernel.pace))
    racers = bench.vm.spawn([program, bench.iface, bench.near, seconds])
    racers.wait_output("running")
    # at the same time, from outside: the cards' own counters, and files
    look = f"ethtool -S {bench.iface}; ethtool -S {bench.near}; cat /sys/class/net/*/ntzc/*"
    looker = bench.vm.spawn(["sh", "-c", f"while :; do {look}; done"], on_output=lambda *_: None)
    try:
        number = 0
        while racers.returncode is None:
            bench.wire.send_many(frame(n) for n in range(number, number + BURST))
            number += BURST
            # a pace that leaves the processors to the threads; nothing waits for it
            time.sleep(PAUSE_S)
    finally:
        looker.kill()
    _, *lines = racers.wait().check().stdout.splitlines()
    rounds = [line.split() for line in lines]
    assert len({name for name, _ in rounds}) == ROLES
    assert all(int(count) > 0 for _, count in rounds), rounds
