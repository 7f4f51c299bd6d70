# SPDX-License-Identifier: GPL-2.0-or-later
"""Other machines: few and many processors, ones that leave, and programs of 32 bits."""

from __future__ import annotations

from typing import Any

import pytest

from emulation import kernels, modules
from emulation.vm import VM

from . import aftermath, guestc
from .conftest import HERE, REPOSITORY, Bench
from .frames import HANDLE, frame

COUNT = 256


def exchange(vm: VM, tap: Any) -> None:
    """Receive and send frames through card 0."""
    wire = vm.wires[0]
    assert wire
    wanted = [frame(n) for n in range(COUNT)]
    wire.send_many(wanted)
    descs = vm.guest.fetch(tap.read_all(COUNT))
    assert sorted(tap.data(d) for d in descs) == sorted(wanted)
    assert tap.release(*(d[HANDLE] for d in descs)) == COUNT
    spare = vm.guest.fetch(tap.reserve(COUNT))
    assert tap.submit(*(tap.fill(d, w) for d, w in zip(spare, wanted, strict=True))) == COUNT
    assert wire.recv_many(COUNT, 30) == wanted


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("cpus", [1, 8])
def test_one_processor_and_more_than_there_are_work(kernel: str, cpus: int) -> None:
    """Hostile case 97: 1 and 8 processors; all other tests run on 2."""
    built = modules.build(kernels.fetch(kernel))
    path = [REPOSITORY / "build/python", HERE, HERE / "guest"]
    with VM(kernel, cards=1, cpus=cpus, pythonpath=path) as vm:
        abi = vm.guest.modules["abi"]
        vm.load_modules(built)
        name = vm.interface(0)
        vm.run(["ip", "link", "set", name, "up"])
        vm.wait_carrier(0)
        tap = abi.Tap().attach(name, ring_size=4096, quota=2 * COUNT).map().setup_tx(512)
        assert tap.field("n_queues") == cpus
        exchange(vm, tap)
        tap.close()
        stats = vm.guest.fetch(abi.port_stats(name))
        assert stats["pool_free"] + stats["pool_card"] == stats["pool_size"]
        aftermath.assert_none(vm)


def test_a_processor_leaves_and_comes_back_under_a_tap(bench: Bench) -> None:
    """Hostile case 97: hot-unplug; the interrupts move, and nothing is lost."""
    online = "/sys/devices/system/cpu/cpu1/online"
    tap = bench.abi.Tap().attach(bench.iface, ring_size=4096, quota=2 * COUNT).map().setup_tx(512)
    try:
        for state in (b"0", b"1") * 2:
            bench.vm.write_file(online, state)
            exchange(bench.vm, tap)
    finally:
        bench.vm.write_file(online, b"1")
    assert tap.stats()["received"] == 4 * COUNT
    tap.close()


def test_a_program_of_32_bits_uses_a_tap_like_any_other(bench: Bench) -> None:
    """Hostile case 99: sizes, offsets and 64-bit times, under a kernel of 64 bits."""
    program = guestc.build("narrow", "-m32")
    done = bench.vm.run([program, bench.near, bench.peer])
    assert done.stdout == "done\n"


def test_python_in_the_guest_that_does_not_answer_is_given_up(bench: Bench) -> None:
    """It says where it is; whoever has something of it learns at once that it is gone."""
    guest = bench.vm.python(timeout_s=15)  # it starts within that
    clock = guest.modules["time"]
    guest.execute("def oversleep(seconds):\n    import time\n    time.sleep(seconds)\n")
    with pytest.raises(TimeoutError) as late:
        guest.namespace["oversleep"](600)
    assert "in oversleep" in "".join(late.value.__notes__)
    for use in (repr, str, lambda it: it.monotonic()):
        with pytest.raises(EOFError):
            use(clock)
    guest.close()
