# SPDX-License-Identifier: GPL-2.0-or-later
"""Other ways for the card to interrupt than MSI-X, and a card that is away for a while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Bench
from .frames import HANDLE, frame


@pytest.fixture(params=["msi", "intx"])
def simple(bench: Bench, request: pytest.FixtureRequest) -> Iterator[str]:
    """The driver loaded with another kind of interrupts; as ever again afterwards."""
    driver = next(path for path in bench.modules if path.stem == "ntzc_igb")
    bench.vm.run(["rmmod", "ntzc_igb"])
    try:
        bench.vm.run(["insmod", driver, f"interrupts={request.param}"])
        bench.load()
        yield request.param
    finally:
        bench.vm.run(["rmmod", "ntzc_igb"], check=False)
        bench.load()


def exchange(bench: Bench, tap: Any, start: int, count: int) -> None:
    """Receive and send *count* frames from number *start*."""
    fetch = bench.vm.guest.fetch
    wanted = [frame(n) for n in range(start, start + count)]
    bench.wire.send_many(wanted)
    descs = fetch(tap.read_all(count))
    assert [tap.data(d) for d in descs] == wanted
    assert tap.release(*(d[HANDLE] for d in descs)) == count
    spare = fetch(tap.reserve(count))
    assert tap.submit(*(tap.fill(d, w) for d, w in zip(spare, wanted, strict=True))) == count
    assert bench.wire.recv_many(count, 10) == wanted


def test_one_interrupt_for_everything_receives_and_sends(bench: Bench, simple: str) -> None:
    """Hostile case 91."""
    assert f" {simple}, 1 of 1 queues" in "\n".join(bench.vm.kernel_log())
    kinds = {"msi": "PCI-MSI", "intx": "IO-APIC"}
    lines = bench.vm.read_file("/proc/interrupts").decode().splitlines()
    mine = [line for line in lines if bench.iface in line.replace(",", " ").split()]
    assert len(mine) == 1
    assert kinds[simple] in mine[0]
    tap = bench.abi.Tap().attach(bench.iface).map().setup_tx(256)
    assert tap.field("n_queues") == 1
    for round_ in range(10):
        exchange(bench, tap, round_ * 30, 30)
    tap.close()


def test_one_interrupt_for_everything_tells_of_the_link(bench: Bench, simple: str) -> None:
    """Hostile case 91."""
    tap = bench.abi.Tap().attach(bench.iface).map().setup_tx(64)
    for n in range(3):
        bench.vm.set_link(0, False)
        bench.vm.wait_carrier(0, up=False)
        bench.vm.set_link(0, True)
        bench.vm.wait_carrier(0)
        exchange(bench, tap, n * 10, 10)
    tap.close()


def test_a_tap_goes_on_after_the_card_was_away(bench: Bench) -> None:
    """Hostile case 88: a reset of the PCI function, with another error for who waits than a
    machine's sleep, for which see test_sleep.py.
    """
    tap = bench.abi.Tap().attach(bench.iface).map().setup_tx(64)
    exchange(bench, tap, 0, 20)
    bench.wire.send(frame(99))
    (held,) = bench.vm.guest.fetch(tap.read_all(1))
    for n in range(3):
        bench.vm.write_file(f"/sys/bus/pci/devices/{bench.vm.pci(0)}/reset", b"1")
        bench.vm.wait_carrier(0)
        exchange(bench, tap, 100 + 20 * n, 20)
    assert tap.data(held) == frame(99)
    assert tap.release(held[HANDLE]) == 1
    tap.close()
