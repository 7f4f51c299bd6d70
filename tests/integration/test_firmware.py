# SPDX-License-Identifier: GPL-2.0-or-later
"""What a card shares with its firmware and its other port, whose parts are played here."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .conftest import Bench

CTRL_EXT, DRV_LOAD = 0x00018, 1 << 28  # [8.2.3]
SWSM = 0x05B50  # its reading takes the semaphore, [8.7.1]
SW_FW_SYNC, SYNC_PHY = 0x05B5C, 1 << 1
RETRY_S = 5  # after a reset that failed


@pytest.fixture
def registers(bench: Bench) -> Any:
    return bench.vm.guest.modules["registers"]


@pytest.fixture
def resource(bench: Bench) -> str:
    return f"/sys/bus/pci/devices/{bench.vm.pci(0)}/resource0"


def test_the_other_ports_semaphore_is_waited_for(
    bench: Bench, registers: Any, resource: str
) -> None:
    """Its holder may itself wait for the firmware, or for a processor."""
    registers.peek(resource, SWSM)
    renewal = bench.vm.spawn(["ethtool", "-r", bench.iface])
    time.sleep(1)
    assert renewal.returncode is None, "it was taken away"
    registers.poke(resource, SWSM, 0)
    renewal.wait(20).check()
    bench.vm.wait_carrier(0)


def test_a_semaphore_whose_holder_died_is_taken_in_the_end(
    bench: Bench, registers: Any, resource: str
) -> None:
    registers.peek(resource, SWSM)
    bench.vm.run(["ethtool", "-r", bench.iface])
    bench.vm.wait_carrier(0)


def test_the_firmware_is_told_of_the_driver_after_a_reset_of_a_card_that_is_down(
    bench: Bench, registers: Any, resource: str
) -> None:
    bench.vm.run(["ip", "link", "set", bench.iface, "down"])
    try:
        assert registers.peek(resource, CTRL_EXT) & DRV_LOAD
        bench.vm.write_file(resource.replace("resource0", "reset"), b"1")
        assert registers.peek(resource, CTRL_EXT) & DRV_LOAD
    finally:
        bench.vm.run(["ip", "link", "set", bench.iface, "up"])
    bench.vm.wait_carrier(0)


def test_a_reset_that_failed_is_not_tried_again_after_the_card_was_started(
    bench: Bench, registers: Any, resource: str
) -> None:
    flag = ["ethtool", "--set-priv-flags", bench.iface, "rss-udp-ports"]
    firmware = bench.vm.guest.modules["neighbour"].Child(
        registers.hold, resource, SW_FW_SYNC, SYNC_PHY << 16
    )
    try:
        failed = bench.vm.run([*flag, "on"], check=False)
        time.sleep(RETRY_S / 2)  # the driver tries again at once, in vain, and then later
    finally:
        firmware.kill()
    assert failed.returncode, "it started, though the firmware keeps the PHY"
    registers.poke(resource, SW_FW_SYNC, 0)
    for state in ("down", "up"):
        bench.vm.run(["ip", "link", "set", bench.iface, state])
    bench.vm.wait_carrier(0)
    bench.vm.kernel_log()
    time.sleep(RETRY_S + 2)
    said = "\n".join(bench.vm.kernel_log())
    bench.vm.run([*flag, "off"])
    bench.vm.wait_carrier(0)
    assert "anew" not in said and "link is down" not in said, said
