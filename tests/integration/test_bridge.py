# SPDX-License-Identifier: GPL-2.0-or-later
"""Two hosts that reach each other through a bridge of two NTZC cards, and in no other way.

A machine of its own: cards 0 and 2 are NTZC's; 1 and 3, each joined by a cable to the one
before it, belong to the stock driver, and each to a network namespace, a host of its own. An
IOMMU stands before all memory: a card reaches only what is mapped for it, so that a frame that
one card received can leave through the other only if it is mapped for both.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulation import kernels, modules
from emulation.channel import Completed, Process
from emulation.errors import VMError
from emulation.vm import VM

from . import aftermath
from .conftest import HERE, REPOSITORY
from .test_clients import ENVIRONMENT, PYTHON
from .test_libntzc import SAMPLES

LEFT, RIGHT = "10.8.0.1", "10.8.0.2"
TAGGED_LEFT, TAGGED_RIGHT, VLAN = "10.8.1.1", "10.8.1.2", 100
SIZE = 3_000_000
TAP_QUOTA = 6000  # of a tap that watches: room for one direction of a transfer
POOL = 16384

BRIDGES: dict[str, list[str | Path]] = {
    "python": [PYTHON / "bin/ntzc", "bridge", "--json"],
    "c": [SAMPLES / "bridge"],
}


@dataclass(repr=False)  # a failure would have it ask the guest, which may not answer
class Site:
    """The machine and its two hosts.

    Attributes:
        vm: the machine.
        abi: tests/integration/guest/abi.py, where the bridge runs.
        watcher: tests/integration/guest/hoststack.py, there, too.
        left: hoststack.py on the first host.
        right: the same on the second one.
        datagrams: tests/integration/guest/bridgehost.py on each.
        ports: the NTZC cards' interfaces, the left host's first.
    """

    vm: VM
    abi: Any
    watcher: Any
    left: Any
    right: Any
    datagrams: tuple[Any, Any]
    ports: tuple[str, str]

    def n_taps(self) -> int:
        return sum(p.n_taps for p in self.abi.ports())

    def sent(self, name: str) -> int:
        """How many frames a card has sent."""
        return int(self.abi.port_stats(name)["tx_frames"])

    def flood(self) -> list[Any]:
        """Let both hosts send without end; return once frames have crossed both ways."""
        floods = [host.Flood(to) for host, to in ((self.left, RIGHT), (self.right, LEFT))]
        self.wait_crossing()
        return floods

    def wait_crossing(self) -> None:
        """Wait until more frames have crossed both ways."""
        goals = [self.sent(name) + 500 for name in self.ports]
        self.vm.wait_until(
            lambda: all(
                self.sent(name) > goal for name, goal in zip(self.ports, goals, strict=True)
            ),
            60,
            "the floods to cross",
        )

    def pool_fault(self, name: str) -> str:
        """What is amiss with a pool that only the card uses, or nothing."""
        s: dict[str, int] = self.vm.guest.fetch(self.abi.port_stats(name))
        whole = s["pool_free"] + s["pool_card"] == s["pool_size"]
        left = s["pool_held"] or s["pool_in_flight"] or s["tx_in_flight"]
        return "" if whole and not left else f"{name}: {s}"

    def assert_whole(self) -> None:
        """Wait until all taps are gone and every buffer is free or the card's."""
        self.vm.wait_until(lambda: self.n_taps() == 0, 30, "the taps' end")
        self.vm.wait_until(lambda: not any(map(self.pool_fault, self.ports)), 15, "whole pools")

    def start(self, which: str, *more: str) -> Process:
        """Start a bridge; return it once it has both its taps."""
        taps = self.n_taps()
        run = self.vm.spawn([*BRIDGES[which], *self.ports, *more], env=ENVIRONMENT)
        self.vm.wait_until(
            lambda: run.returncode is not None or self.n_taps() == taps + 2, 60, "the bridge"
        )
        assert run.returncode is None, run.stderr.decode()
        return run

    def end(self, run: Process) -> Completed:
        """Interrupt a bridge; return what it said."""
        run.signal(signal.SIGINT)
        return run.wait(60).check()

    def assert_reached(self) -> None:
        """Wait until the hosts reach each other: addresses may have to be found."""
        self.vm.wait_until(
            lambda: bool(self.left.ping(RIGHT, 1, timeout_s=1)), 30, "the other host"
        )


def settle(vm: VM, card: int, namespace: str, address: str, tagged: str) -> None:
    """Put the stock card into a namespace, with its addresses, plain and tagged."""
    name = vm.interface(card)
    vm.run(["ip", "netns", "add", namespace])
    vm.run(["ip", "link", "set", name, "netns", namespace])
    for words in (
        "link set lo up",
        f"addr add {address}/24 dev {name}",
        f"link set {name} up",
        f"link add link {name} name tagged type vlan id {VLAN} egress-qos-map 0:5",
        f"addr add {tagged}/24 dev tagged",
        "link set tagged up",
    ):
        vm.run(["ip", "-n", namespace, *words.split()])


@pytest.fixture(scope="module")
def machine_with_hosts(kernel: str) -> Iterator[Site]:
    built = modules.build(kernels.fetch(kernel))
    with VM(
        kernel,
        cards=4,
        cross=[(0, 1), (2, 3)],
        append="intel_iommu=on iommu.strict=1",
        pythonpath=[REPOSITORY / "build/python", HERE, HERE / "guest"],
        qemu_args=["-device", "intel-iommu"],
    ) as vm:
        for card in (1, 3):
            vm.write_file(f"/sys/bus/pci/devices/{vm.pci(card)}/driver_override", b"igb")
        vm.load_modules(built)
        vm.run(["modprobe", "igb"])
        for card in (0, 2):
            vm.run(["ip", "link", "set", vm.interface(card), "up"])
        settle(vm, 1, "left", LEFT, TAGGED_LEFT)
        settle(vm, 3, "right", RIGHT, TAGGED_RIGHT)
        for card in (0, 2):
            vm.wait_carrier(card)
        hosts = [vm.python(), vm.python()]
        left, right = (host.modules["hoststack"] for host in hosts)
        left.enter("left")
        right.enter("right")
        datagrams = hosts[0].modules["bridgehost"], hosts[1].modules["bridgehost"]
        ours = vm.guest.modules
        ports = vm.interface(0), vm.interface(2)
        yield Site(vm, ours["abi"], ours["hoststack"], left, right, datagrams, ports)
        for host in hosts:
            host.close()
        aftermath.assert_none(vm)


@pytest.fixture
def site(machine_with_hosts: Site) -> Iterator[Site]:
    """The machine for one test: log clean and pools whole after it."""
    machine_with_hosts.vm.kernel_log()
    yield machine_with_hosts
    machine_with_hosts.abi.reset()
    machine_with_hosts.vm.assert_log_clean()
    # what a card may not reach it did not try to
    assert not [line for line in machine_with_hosts.vm.kernel_log() if "DMAR" in line]
    machine_with_hosts.assert_whole()


@pytest.fixture
def roomy(site: Site) -> Iterator[Site]:
    """Pools with room for whole transfers: those are quicker than a tap in Python."""
    for name in site.ports:
        site.abi.configure(name, n_bufs=POOL)
    for card in (0, 2):
        site.vm.wait_carrier(card)
    yield site
    site.assert_whole()
    for name in site.ports:
        site.abi.configure(name)
    for card in (0, 2):
        site.vm.wait_carrier(card)


@pytest.fixture(params=BRIDGES)
def which(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def losses(which: str, done: Completed) -> list[int]:
    """What a bridge said it had not forwarded."""
    if which == "c":
        lines = [line for line in done.stdout.splitlines() if line.startswith("ntzc-bridge:")]
        assert len(lines) == 2
        return [int(word.strip(",")) for line in lines for word in line.split()[-3::2]]
    ways = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(ways) == 2
    names = ("refused", "missed", "lost_ring", "lost_quota", "lost_pool")
    return [way[name] for way in ways for name in names]


def test_every_card_is_behind_the_iommu(site: Site) -> None:
    for card in range(4):
        path = f"/sys/bus/pci/devices/{site.vm.pci(card)}/iommu_group/type"
        assert site.vm.read_file(path) == b"DMA\n"


def test_without_a_bridge_the_hosts_do_not_reach_each_other(site: Site) -> None:
    assert site.left.ping(RIGHT, 1, timeout_s=1) == 0


def test_a_transfer_is_byte_exact_and_so_is_what_two_taps_see_of_it(
    roomy: Site, which: str
) -> None:
    """Hostile case 96."""
    site = roomy
    run = site.start(which)
    site.assert_reached()
    taps = [site.watcher.Watch(name, TAP_QUOTA) for name in site.ports]
    server = site.right.Server(RIGHT, SIZE)
    assert site.left.exchange(RIGHT, SIZE) == ""
    assert server.fault() == ""
    for stats in [tap.stop() for tap in taps]:
        assert not any(stats[key] for key in ("lost_ring", "lost_quota", "lost_pool"))
    # each sees what its own host sent
    assert [tap.tcp_fault(False, seed, SIZE) for tap, seed in zip(taps, (1, 2), strict=True)] == [
        "",
        "",
    ]
    assert not any(losses(which, site.end(run)))


def test_pings_and_datagrams_of_all_sizes_pass(site: Site, which: str) -> None:
    run = site.start(which)
    site.assert_reached()
    for size in (0, 56, 1472):
        assert site.left.ping(RIGHT, 5, size) == 5
        assert site.right.ping(LEFT, 5, size) == 5
    # larger than a frame: fragments, which have no ports
    assert site.left.ping(RIGHT, 5, 9000) == 5
    left, right = site.datagrams
    echo = right.Echo(RIGHT)
    try:
        assert left.talk(RIGHT, 1024) == ""
    finally:
        echo.close()
    assert not any(losses(which, site.end(run)))


def test_tagged_traffic_keeps_its_tags(site: Site, which: str) -> None:
    run = site.start(which)
    site.assert_reached()
    taps = [site.watcher.Watch(name) for name in site.ports]
    assert site.left.ping(TAGGED_RIGHT, 5, 1472) == 5
    assert site.right.ping(TAGGED_LEFT, 5, 0) == 5
    server = site.right.Server(TAGGED_RIGHT, 100_000)
    assert site.left.exchange(TAGGED_RIGHT, 100_000) == ""
    assert server.fault() == ""
    for tap in taps:
        tap.stop()
        # with the priority of the sender's map
        assert set(site.vm.guest.fetch(tap.tags(False))) == {5 << 13 | VLAN}
    assert not any(losses(which, site.end(run)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_bridge_that_ends_in_traffic_leaves_whole_pools_and_good_cards(
    site: Site, which: str, number: int
) -> None:
    run = site.start(which)
    site.assert_reached()
    watcher = site.watcher.Watch(site.ports[0])
    floods = site.flood()
    run.signal(number)
    status = run.wait(60).returncode
    assert status == (0 if number == signal.SIGINT else -signal.SIGKILL)
    for flood in floods:
        flood.stop()
    watcher.stop()
    site.assert_whole()
    # and the next one finds all in order
    again = site.start(which)
    site.assert_reached()
    site.end(again)


def test_a_bridge_of_a_card_with_itself_is_refused(site: Site, which: str) -> None:
    name = site.ports[0]
    done = site.vm.run([*BRIDGES[which], name, name], check=False, env=ENVIRONMENT)
    assert done.returncode == 2
    assert name in done.stderr
    assert site.n_taps() == 0


def has_driver(vm: VM, card: int) -> bool:
    try:
        return "driver" in vm.listdir(f"/sys/bus/pci/devices/{vm.pci(card)}")
    except (VMError, FileNotFoundError):
        return False


def bring_back(site: Site, card: int) -> None:
    """Put a card of NTZC's back into its slot, and into use."""
    vm = site.vm
    vm.plug(card)
    vm.wait_until(lambda: has_driver(vm, card), 30, "the card and a driver")
    address = vm.pci(card)
    device = f"/sys/bus/pci/devices/{address}"
    # the stock one, loaded for the hosts, may have been quicker
    vm.write_file(f"{device}/driver_override", b"ntzc_igb")
    vm.write_file(f"{device}/driver/unbind", address.encode())
    vm.write_file("/sys/bus/pci/drivers_probe", address.encode())
    vm.run(["ip", "link", "set", vm.interface(card), "up"])
    vm.wait_carrier(card)


def test_a_card_pulled_out_of_a_bridge_ends_it_and_spoils_nothing(site: Site, which: str) -> None:
    """Hostile cases 85 and 96: frames of the other card may be on their way through it."""
    run = site.start(which)
    site.assert_reached()
    floods = site.flood()
    site.vm.unplug(2)
    try:
        done = run.wait(60)
        assert done.returncode == {"python": 6, "c": 1}[which], done.stderr
        assert "gone" in done.stderr and "Traceback" not in done.stderr
        site.vm.wait_until(lambda: site.n_taps() == 0, 30, "the taps' end")
        site.vm.wait_until(lambda: not site.pool_fault(site.ports[0]), 15, "a whole pool")
    finally:
        for flood in floods:
            flood.stop()
        bring_back(site, 2)
    again = site.start(which)
    site.assert_reached()
    site.end(again)


def test_a_card_behind_the_iommu_is_set_up_anew_while_frames_come(site: Site) -> None:
    """Hostile case 96: what it may still write to is mapped for it, and nothing that is not."""
    vm, name = site.vm, site.ports[0]
    device = f"/sys/bus/pci/devices/{vm.pci(0)}"
    run = site.start("c")
    site.assert_reached()
    floods = site.flood()
    try:
        for words in (
            f"ip link set {name} down; ip link set {name} up",
            f"ethtool -G {name} rx 64 tx 64; ethtool -G {name} rx 1024 tx 512",
            f"ip link set {name} mtu 1400; ip link set {name} mtu 1500",
            f"echo 1 > {device}/reset",
        ):
            for _ in range(3):
                vm.run(["sh", "-ec", words])
                site.wait_crossing()
        assert run.returncode is None, run.stderr.decode()
        vm.write_file(f"{device}/driver/unbind", vm.pci(0).encode())
        assert run.wait(60).returncode == 1
        for _ in range(3):
            vm.write_file("/sys/bus/pci/drivers/ntzc_igb/bind", vm.pci(0).encode())
            vm.run(["ip", "link", "set", vm.interface(0), "up"])
            vm.wait_carrier(0)
            again = site.start("c")
            site.wait_crossing()
            site.end(again)
            vm.write_file(f"{device}/driver/unbind", vm.pci(0).encode())
    finally:
        for flood in floods:
            flood.stop()
        if not has_driver(vm, 0):
            vm.write_file("/sys/bus/pci/drivers/ntzc_igb/bind", vm.pci(0).encode())
        vm.run(["ip", "link", "set", vm.interface(0), "up"])
        vm.wait_carrier(0)
