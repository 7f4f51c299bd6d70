# SPDX-License-Identifier: GPL-2.0-or-later
"""One VM per kernel, shared by most tests, and what must hold after each of them.

Cards: 0 is wired to the host. 1 and 2 are joined by a cable; 1 is NTZC's, 2 belongs to the
stock igb driver, an independent peer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulation import kernels, modules
from emulation.errors import VMError
from emulation.vm import VM
from emulation.wire import Wire
from tests.integration import aftermath

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
# A disk of zeros: what it reads, it writes to the very memory that a program named.
DISK = ["-drive", "driver=null-co,read-zeroes=on,if=none,id=zeros"]
DISK += ["-device", "virtio-blk-pci,drive=zeros"]


@dataclass
class Bench:
    """The machine under test.

    Attributes:
        vm: the machine.
        abi: tests/integration/guest/abi.py, in the guest.
        iface: card 0, on NTZC's driver; the host has its cable in :attr:`wire`.
        near: card 1, on NTZC's driver.
        peer: card 2, on the stock driver, joined to :attr:`near`.
        lost: why no further test can use the machine; empty while it is well.
    """

    vm: VM
    abi: Any
    modules: list[Path]
    iface: str = ""
    near: str = ""
    peer: str = ""
    lost: str = ""

    @property
    def wire(self) -> Wire:
        wire = self.vm.wires[0]
        assert wire
        return wire

    def load(self) -> None:
        """Load what is not loaded, and bring our cards up."""
        loaded = self._loaded()
        missing = [path for path in self.modules if path.stem not in loaded]
        if missing == self.modules:
            self.vm.load_modules(missing)
        else:
            for path in missing:
                self.vm.run(["insmod", path])
        self.iface, self.near = self.vm.interface(0), self.vm.interface(1)
        for card, name in enumerate((self.iface, self.near)):
            self.vm.run(["ip", "link", "set", name, "up"])
            self.vm.wait_carrier(card)

    def _loaded(self) -> set[str]:
        lines = self.vm.read_file("/proc/modules").decode().splitlines()
        return {line.split()[0] for line in lines}

    def load_peer(self) -> None:
        """Give card 2 to the stock driver."""
        self.vm.run(["modprobe", "igb"])
        self.peer = self.vm.interface(2)
        self.vm.run(["sysctl", "-qw", f"net.ipv6.conf.{self.peer}.disable_ipv6=1"])
        self.vm.run(["ip", "link", "set", self.peer, "up", "promisc", "on"])
        self.vm.wait_carrier(2)

    def usual_rings(self, name: str) -> None:
        """Give a card the rings that the driver comes with.

        Other tests count on them: of several queues, the emulated card drops frames that one has
        no room for while another has, and counts them nowhere.
        """
        self.vm.run(["ethtool", "-G", name, "rx", "1024", "tx", "512"])

    def set_mtu(self, mtu: int) -> None:
        """Change card 0's MTU and wait for its link."""
        self.vm.run(["ip", "link", "set", self.iface, "mtu", str(mtu)])
        self.vm.wait_carrier(0)

    def rounds(self, usual: int) -> int:
        """How often to do what a test does again and again: less often on a slow kernel."""
        return max(2, round(usual / self.vm.kernel.pace))

    def port_stats(self, name: str) -> dict[str, int]:
        stats: dict[str, int] = self.vm.guest.fetch(self.abi.port_stats(name))
        return stats

    def pool_fault(self, name: str) -> str:
        """What is not as it is in a pool that nobody uses but the card, or nothing."""
        s = self.port_stats(name)
        if s["pool_free"] + s["pool_card"] != s["pool_size"]:
            return f"{name}: {s}"
        if s["pool_held"] or s["pool_in_flight"] or s["tx_in_flight"]:
            return f"{name}: {s}"
        return ""

    def assert_whole(self) -> None:
        """Wait until every buffer is free or the card's; fail if that does not come."""
        names = (self.iface, self.near)
        self.vm.wait_until(lambda: not any(map(self.pool_fault, names)), 15, "whole pools")

    def assert_usable(self) -> None:
        """Fail at once what the machine cannot serve any more, instead of by one timeout each."""
        assert not self.lost, self.lost

    def settle(self, test: str) -> None:
        """Check what must hold after each test."""
        try:
            self.abi.reset()
            self.assert_whole()
        except Exception as error:
            self.lost = f"{test} left the machine unusable: {error}"
            # not error.add_note(): what the guest raised has strings for its methods
            BaseException.add_note(error, f"the kernel's log:\n{self.blocked_tasks()}")
            raise
        self.vm.assert_log_clean()

    def finish(self) -> None:
        """Check what must hold once all is over and nothing of ours is left."""
        if self.lost:
            return  # what it says now comes from that, and has been told
        self.abi.reset()
        aftermath.assert_none(self.vm)

    def blocked_tasks(self) -> str:
        """What the kernel says of its tasks that wait for ever, with what it said before."""
        try:
            self.vm.write_file("/proc/sysrq-trigger", b"w")
            return "\n".join(self.vm.kernel_log()[-200:])
        except (VMError, OSError) as error:
            return str(error)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give tests the time that their kernel takes, and leave out what it cannot serve."""
    known = kernels.known()
    usual_s = float(config.getini("timeout"))
    left_out: list[pytest.Item] = []
    for item in items:
        spec = getattr(item, "callspec", None)
        if spec is None or "kernel" not in spec.params:
            continue
        entry = known[spec.params["kernel"]]
        own = item.get_closest_marker("timeout")
        seconds = own.args[0] if own else usual_s
        item.add_marker(pytest.mark.timeout(seconds * entry.get("pace", 1)), append=False)
        if "only" in entry and item.get_closest_marker(entry["only"]) is None:
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kernel" in metafunc.fixturenames:
        names = metafunc.config.getoption("--kernels").split()
        metafunc.parametrize("kernel", names, scope="session")


@contextlib.contextmanager
def booted(kernel: str, *, parallel: bool) -> Iterator[Bench]:
    """Boot a kernel's VM, load all, and see at the end that nothing of it is left."""
    built = modules.build(kernels.fetch(kernel))
    path = [REPOSITORY / "build/python", HERE, HERE / "guest"]
    with VM(
        kernel,
        cards=3,
        cross=[(1, 2)],
        parallel=parallel,
        # tests touch registers behind the driver's back; memory that the modules do not clear is
        # as it was, and not cleared by the kernel, as Debian's does with all
        append="iomem=relaxed init_on_alloc=0",
        pythonpath=path,
        qemu_args=DISK,
    ) as vm:
        bench = Bench(vm, vm.guest.modules["abi"], built)
        vm.write_file(f"/sys/bus/pci/devices/{vm.pci(2)}/driver_override", b"igb")
        bench.load()
        bench.load_peer()
        aftermath.begin(vm)
        yield bench
        bench.finish()


@pytest.fixture(scope="session")
def machine(kernel: str) -> Iterator[Bench]:
    """The VM of one kernel, whose processors take turns: it is the cheaper one."""
    with booted(kernel, parallel=False) as bench:
        yield bench


@pytest.fixture(scope="session")
def parallel_machine(kernel: str) -> Iterator[Bench]:
    """Another, whose processors run at the same time: for tests that are marked so."""
    with booted(kernel, parallel=True) as bench:
        yield bench


@pytest.fixture
def bench(kernel: str, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The machine for one test: wires quiet before, log clean and pools whole after."""
    marks = {mark.name for mark in request.node.iter_markers()}
    parallel = marks & {"parallel", "races"}
    machine: Bench = request.getfixturevalue("parallel_machine" if parallel else "machine")
    machine.assert_usable()
    machine.wire.drain()
    machine.vm.kernel_log()
    yield machine
    machine.settle(request.node.name)


@pytest.fixture
def tap(bench: Bench) -> Iterator[Any]:
    """A bare tap on card 0, in the guest: receive memory mapped, large ring."""
    tap = bench.abi.Tap().attach(bench.iface, ring_size=4096).map()
    yield tap
    tap.close()
