# SPDX-License-Identifier: GPL-2.0-or-later
"""Allocations and copies of probes and of taps that fail: guest/failprobe.c, injection.py.

Only a kernel with fault injection can do that: the others leave these tests out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from . import guestc
from .conftest import Bench

pytestmark = pytest.mark.injection

STEP, SMALL_STEP = 9, 1  # between the failures of a probe
PERCENT = 5  # of allocations fail; a tap takes some twenty, and some taps shall come to be


@pytest.fixture
def injection(bench: Bench) -> Iterator[Any]:
    """guest/injection.py, in the guest: failures are silent, and none is left over."""
    injection = bench.vm.guest.modules["injection"]
    injection.be_silent()
    yield injection
    injection.stop()


@pytest.mark.timeout(1800)
def test_a_probe_survives_each_failure(
    bench: Bench, injection: Any, request: pytest.FixtureRequest
) -> None:
    """Hostile case 60: the driver's, from the first allocation on."""
    card = bench.vm.pci(0)
    driver = "/sys/bus/pci/drivers/ntzc_igb"
    # Where the interpreter of ACPI's methods runs out of memory, it frees what it still uses:
    # the kernel's own fault (seen with 6.12), and no longer the driver's probe.
    injection.spare("acpi_pci_irq_find_prt_entry")
    step = SMALL_STEP if request.config.getoption("--full") else STEP
    bench.vm.write_file(f"{driver}/unbind", card.encode())
    try:
        done = bench.vm.run([guestc.build("failprobe"), driver, card, str(step)], 1500)
        assert int(done.stdout.split()[1]) > 50
    finally:
        if "driver" not in bench.vm.listdir(f"/sys/bus/pci/devices/{card}"):
            bench.vm.write_file(f"{driver}/bind", card.encode())
        bench.load()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["failslab", "fail_page_alloc", "fail_usercopy"])
def test_taps_survive_random_failures_under_traffic(
    bench: Bench, injection: Any, kind: str
) -> None:
    """Hostile case 81."""
    injection.start(kind, PERCENT)
    failed, worked = bench.vm.guest.fetch(injection.use_taps(bench.near, bench.peer, 150))
    injection.stop()
    assert failed > 0 and worked > 0, (failed, worked)
