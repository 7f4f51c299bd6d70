# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that sleeps and wakes, with cards that are in use: emulation.vm.VM.sleep()."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Bench
from .frames import HANDLE, frame
from .test_faults import CARD, Load, bound, is_full, load, take
from .test_interrupts import exchange

__all__ = ["load"]

SLEEPS, ALL_SLEEPS = 3, 30


@pytest.fixture(autouse=True)
def slept_well(bench: Bench) -> Iterator[None]:
    """No driver found only later that its card had lost what it knew, and set that right."""
    # 6.1 warns of a disk's interrupts, each bound to a processor, when that one goes and comes
    bench.vm.run(["modprobe", "-qr", "virtio_blk"], check=False)
    yield
    said = "\n".join(bench.vm.kernel_log())
    assert "system sleep state S3" in said and "PM: suspend exit" in said
    assert "programming it anew" not in said and "transmit hangs" not in said


def sleep(bench: Bench) -> None:
    bench.vm.sleep().wait(60).check()


def test_a_tap_goes_on_after_the_machine_slept(bench: Bench) -> None:
    """Hostile case 89: what it holds and has reserved is as it was."""
    fetch = bench.vm.guest.fetch
    tap = bench.abi.Tap().attach(bench.iface).map().setup_tx(64)
    exchange(bench, tap, 0, 20)
    bench.wire.send(frame(99))
    (held,) = fetch(tap.read_all(1))
    (reserved,) = fetch(tap.reserve(1))
    filled = tap.fill(reserved, frame(98))
    for n in range(SLEEPS):
        sleep(bench)
        bench.vm.wait_carrier(0)
        exchange(bench, tap, 100 + 20 * n, 20)
    assert tap.data(held) == frame(99)
    assert tap.release(held[HANDLE]) == 1
    assert tap.submit(filled) == 1
    assert bench.wire.recv_many(1, 10) == [frame(98)]
    tap.close()


def test_who_waits_for_a_frame_sleeps_with_the_machine(bench: Bench) -> None:
    """Hostile case 89: a call that waits is not ended by it, and ends with the first frame."""
    tap = bench.abi.Tap(os.O_RDWR).attach(bench.iface).map()
    waits = bench.vm.guest.modules["neighbour"].Child(tap.read, 1, keep=True)
    call = f"/proc/{waits.pid}/syscall"
    bench.vm.wait_until(lambda: bench.vm.read_file(call).startswith(b"0 "), 20, "read() to wait")
    sleep(bench)
    bench.vm.wait_carrier(0)
    bench.wire.send(frame(7))
    (desc,) = waits.result()
    assert tap.data(desc) == frame(7)
    assert tap.release(desc[HANDLE]) == 1
    tap.close()


def test_an_interface_that_is_down_stays_down_and_can_be_set_up(bench: Bench, tap: Any) -> None:
    """Hostile case 89."""
    bench.vm.run(["ip", "link", "set", bench.iface, "down"])
    try:
        sleep(bench)
        flags = bench.vm.run(["ip", "-br", "link", "show", bench.iface]).stdout
        assert "DOWN" in flags
    finally:
        bench.vm.run(["ip", "link", "set", bench.iface, "up"])
    bench.vm.wait_carrier(0)
    exchange(bench, tap.setup_tx(64), 0, 20)


@pytest.mark.parallel
def test_a_machine_that_sleeps_under_load_wakes_to_it(
    bench: Bench, load: Load, request: pytest.FixtureRequest
) -> None:
    """Hostile case 89."""
    for _ in range(ALL_SLEEPS if is_full(request) else SLEEPS):
        sleep(bench)
        load.wait_moving()
    assert load.count("gone") == 0


@pytest.mark.parallel
def test_a_card_pulled_out_while_the_machine_sleeps_is_gone_when_it_wakes(
    bench: Bench, load: Load
) -> None:
    """Hostile cases 85 and 89."""
    asleep = bench.vm.sleep(3)
    time.sleep(1)
    pulled = threading.Thread(target=bench.vm.unplug, args=(CARD,))
    pulled.start()
    assert asleep.returncode is None, "it woke before the card was pulled out"
    asleep.wait(60).check()
    pulled.join()
    load.wait("gone")
    bench.vm.plug(CARD)
    bench.vm.wait_until(lambda: bound(bench), 30, "the card and a driver")
    take(bench)
    load.wait_again(1)
