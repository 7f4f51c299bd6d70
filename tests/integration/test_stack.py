# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's own stack beside the taps: through card 1, to a host behind card 2.

Card 2, on the stock driver, is put into a network namespace: a host of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from . import pcapfilter
from .conftest import Bench

NEAR, FAR = "10.9.0.1", "10.9.0.2"
SIZE = 3_000_000
IN_FLIGHT = 256  # frames that the host may have on their way, see module/core.h


@dataclass
class Hosts:
    """This host and the other one.

    Attributes:
        bench: the machine.
        here: tests/integration/guest/hoststack.py in the first namespace.
        there: the same in the other one.
    """

    bench: Bench
    here: Any
    there: Any

    @property
    def near(self) -> str:
        return self.bench.near

    def stack(self, name: str) -> None:
        self.bench.vm.write_file(f"/sys/class/net/{self.near}/ntzc/stack", name.encode())

    def number(self, name: str) -> int:
        return int(self.bench.vm.read_file(f"/sys/class/net/{self.near}/ntzc/{name}"))

    def give_address(self) -> None:
        run = self.bench.vm.run
        run(["ip", "addr", "replace", f"{NEAR}/24", "dev", self.near])

    def assert_reached(self) -> None:
        """Wait until the two hosts reach each other again: addresses may have to be found."""
        self.bench.vm.wait_until(
            lambda: bool(self.here.ping(FAR, 1, timeout_s=1)), 30, "the other host"
        )


@pytest.fixture(scope="module")
def two_hosts(machine: Bench) -> Iterator[Hosts]:
    machine.assert_usable()
    vm = machine.vm
    vm.run(["ip", "netns", "add", "far"])
    vm.run(["ip", "link", "set", machine.peer, "netns", "far"])
    for words in (
        f"addr add {FAR}/24 dev {machine.peer}",
        f"link set {machine.peer} up promisc off",
    ):
        vm.run(["ip", "-n", "far", *words.split()])
    vm.run(["sysctl", "-qw", f"net.ipv6.conf.{machine.near}.disable_ipv6=1"])
    here, there = vm.python(), vm.python()
    hosts = Hosts(machine, here.modules["hoststack"], there.modules["hoststack"])
    hosts.there.enter("far")
    yield hosts
    here.close()
    there.close()
    vm.run(["ip", "addr", "flush", "dev", machine.near])
    vm.run(["ip", "-n", "far", "link", "set", machine.peer, "netns", "1"])
    vm.run(["ip", "netns", "del", "far"])
    machine.load_peer()


@pytest.fixture
def hosts(two_hosts: Hosts, bench: Bench) -> Iterator[Hosts]:
    """Both hosts, each able to reach the other; the stack is off again afterwards."""
    two_hosts.stack("copy")
    two_hosts.give_address()
    bench.vm.wait_carrier(1)
    two_hosts.assert_reached()
    yield two_hosts
    two_hosts.stack("off")


def test_ping_works_both_ways_while_a_tap_sees_both_directions(hosts: Hosts) -> None:
    watch = hosts.here.Watch(hosts.near)
    for size in (0, 56, 1400):
        assert hosts.here.ping(FAR, 5, size) == 5
        assert hosts.there.ping(NEAR, 5, size) == 5
    stats = watch.stop()
    assert not any(stats[key] for key in ("lost_ring", "lost_quota", "lost_pool"))
    fetch = hosts.bench.vm.guest.fetch
    # requests (8) and answers (0), as many one way as the other
    assert dict(fetch(watch.pings(True))) == {8: 15, 0: 15}
    assert dict(fetch(watch.pings(False))) == {8: 15, 0: 15}
    assert watch.misplaced() == 0


def test_a_tcp_transfer_is_byte_exact_and_so_is_what_a_tap_sees_of_it(hosts: Hosts) -> None:
    # room for all of it: the transfer is quicker than a tap in Python
    hosts.bench.abi.configure(hosts.near, n_bufs=16384)
    hosts.bench.vm.wait_carrier(1)
    hosts.assert_reached()
    watch = hosts.here.Watch(hosts.near, 6000)
    before = hosts.bench.port_stats(hosts.near)
    server = hosts.there.Server(FAR, SIZE)
    assert hosts.here.exchange(FAR, SIZE) == ""
    assert server.fault() == ""
    stats = watch.stop()
    assert not any(stats[key] for key in ("lost_ring", "lost_quota", "lost_pool"))
    assert watch.tcp_fault(True, 1, SIZE) == ""
    assert watch.tcp_fault(False, 2, SIZE) == ""
    after = hosts.bench.port_stats(hosts.near)
    for name in ("stack_tx", "stack_rx"):
        assert after[name] - before[name] > SIZE // 1500
    assert after["stack_dropped"] == before["stack_dropped"]
    hosts.bench.abi.configure(hosts.near)


def test_a_tap_that_did_not_ask_sees_nothing_of_what_the_host_sends(hosts: Hosts) -> None:
    tap = hosts.bench.abi.Tap().attach(hosts.near).map()
    assert hosts.here.ping(FAR, 5) == 5
    got = hosts.bench.vm.guest.fetch(tap.read_all(5, 2))
    tap.close()
    assert len(got) >= 5
    assert not any(desc[7] & 0x20 for desc in got)


@pytest.mark.parametrize(("direction", "kind"), [("outbound", 8), ("inbound", 0)])
def test_a_filter_knows_what_the_host_sends_from_what_it_gets(
    hosts: Hosts, direction: str, kind: int
) -> None:
    abi = hosts.bench.abi
    program = pcapfilter.compiled(f"icmp and {direction}")
    tap = abi.Tap().filter_classic(program).attach(hosts.near, flags=abi.ATTACH_HOST).map()
    assert hosts.here.ping(FAR, 5) == 5
    got = hosts.bench.vm.guest.fetch(tap.read_all(5, 2))
    stats = tap.stats()
    kinds = [tap.data(desc)[34] for desc in got]
    tap.close()
    assert kinds == [kind] * 5  # requests alone, or answers
    assert stats["filtered"] >= 5


def test_a_frame_of_the_host_is_held_as_long_as_a_tap_likes(hosts: Hosts) -> None:
    abi = hosts.bench.abi
    tap = abi.Tap().attach(hosts.near, flags=abi.ATTACH_HOST).map()
    assert hosts.here.ping(FAR, 1) == 1
    descs = [d for d in hosts.bench.vm.guest.fetch(tap.read_all(2, 2)) if d[7] & abi.RX_HOST]
    assert descs
    before = [tap.data(d) for d in descs]
    assert hosts.here.ping(FAR, 50) == 50
    assert [tap.data(d) for d in descs] == before
    assert tap.release(*(d[0] for d in descs)) == len(descs)
    tap.close()


def test_vlan_tags_go_both_ways_beside_the_frame(hosts: Hosts) -> None:
    bench = hosts.bench
    run = bench.vm.run
    run(["modprobe", "8021q"])
    for prefix, parent, address in (
        (["ip"], bench.near, "10.9.1.1/24"),
        (["ip", "-n", "far"], bench.peer, "10.9.1.2/24"),
    ):
        link = ["link", "add", "link", parent, "name", "tagged", "type", "vlan", "id", "42"]
        run([*prefix, *link])
        run([*prefix, "addr", "add", address, "dev", "tagged"])
        run([*prefix, "link", "set", "tagged", "up"])
    try:
        bench.vm.wait_until(lambda: bool(hosts.here.ping("10.9.1.2", 1, timeout_s=1)), 30, "it")
        watch = hosts.here.Watch(hosts.near)
        assert hosts.here.ping("10.9.1.2", 3) == 3
        watch.stop()
        assert set(bench.vm.guest.fetch(watch.tags(True))) == {42}
        assert set(bench.vm.guest.fetch(watch.tags(False))) == {42}
    finally:
        run(["ip", "link", "del", "tagged"])
        run(["ip", "-n", "far", "link", "del", "tagged"])


def test_switched_off_nothing_reaches_the_host_and_nothing_leaves(hosts: Hosts) -> None:
    hosts.stack("off")
    before = hosts.bench.port_stats(hosts.near)
    tap = hosts.bench.abi.Tap().attach(hosts.near, flags=3).map()
    flood = hosts.there.Flood(NEAR)
    assert hosts.here.frames_seen(hosts.near, 1) == 0
    assert hosts.here.ping(FAR, 1, timeout_s=1) == 0
    assert flood.stop() > 0
    got = hosts.bench.vm.guest.fetch(tap.read_all(10, 2))
    tap.close()
    assert got and not any(desc[7] & 0x20 for desc in got)
    after = hosts.bench.port_stats(hosts.near)
    for key in ("stack_rx", "stack_tx", "stack_dropped"):
        assert after[key] == before[key]


@pytest.mark.quick
def test_switching_under_load_loses_no_buffer(hosts: Hosts) -> None:
    floods = [hosts.here.Flood(FAR), hosts.there.Flood(NEAR)]
    for n in range(20):
        hosts.stack("off" if n % 2 == 0 else "copy")
        for flood in floods:
            flood.go_on(10)
    for flood in floods:
        flood.stop()
    hosts.bench.assert_whole()
    hosts.assert_reached()


def n_queues(bench: Bench) -> int:
    return next(int(p.n_queues) for p in bench.abi.ports() if p.name.decode() == bench.near)


@pytest.fixture
def known(hosts: Hosts) -> Iterator[None]:
    """The other host does not have to ask where this one is, which may not answer."""
    path = f"/sys/class/net/{hosts.near}/address"
    mac = hosts.bench.vm.read_file(path).decode().strip()
    neighbour = ["ip", "-n", "far", "neigh"]
    where = [NEAR, "dev", hosts.bench.peer]
    hosts.bench.vm.run([*neighbour, "replace", *where, "lladdr", mac, "nud", "permanent"])
    yield
    hosts.bench.vm.run([*neighbour, "del", *where])


@pytest.mark.parametrize("stack", ["copy", "off"])
def test_other_numbers_of_queues_under_load_lose_no_buffer(
    hosts: Hosts, known: None, stack: str
) -> None:
    """Hostile case 90: no tap is open, for which it would be refused."""
    bench = hosts.bench
    usual = n_queues(bench)
    assert usual > 1
    hosts.stack(stack)
    floods = [hosts.here.Flood(FAR), hosts.there.Flood(NEAR)]

    def wait_moving() -> None:
        goal = bench.port_stats(hosts.near)["rx_frames"] + 100
        bench.vm.wait_until(
            lambda: bench.port_stats(hosts.near)["rx_frames"] > goal, 30, "frames with such queues"
        )

    try:
        wait_moving()
        for count in (1, usual) * 5:
            bench.vm.run(["ethtool", "-L", hosts.near, "combined", str(count)])
            assert n_queues(bench) == count
            wait_moving()
        tap = bench.abi.Tap().attach(hosts.near).map()
        assert tap.field("n_queues") == usual
        assert tap.read_all(1), "no frame for the tap"
        tap.close()
    finally:
        for flood in floods:
            flood.stop()
    bench.assert_whole()


def test_down_and_up_under_load_loses_no_buffer(hosts: Hosts) -> None:
    watch = hosts.here.Watch(hosts.near)
    floods = [hosts.here.Flood(FAR), hosts.there.Flood(NEAR)]
    for n in range(5):
        hosts.bench.vm.run(["ip", "link", "set", hosts.near, "down"])
        hosts.bench.vm.run(["ip", "link", "set", hosts.near, "up"])
        if n % 2:
            hosts.bench.vm.wait_carrier(1)
        for flood in floods:
            flood.go_on(21)
    for mtu in ("1400", "1500"):
        hosts.bench.vm.run(["ip", "link", "set", hosts.near, "mtu", mtu])
    hosts.bench.vm.wait_carrier(1)
    hosts.assert_reached()
    for flood in floods:
        flood.stop()
    watch.stop()
    hosts.bench.assert_whole()


def test_a_flood_of_the_host_waits_for_the_card_and_leaves_taps_their_buffers(
    hosts: Hosts,
) -> None:
    before = hosts.bench.port_stats(hosts.near)
    tap = hosts.bench.abi.Tap().attach(hosts.near, flags=0).map()
    seen = [0]

    def busy() -> bool:
        seen.append(hosts.bench.port_stats(hosts.near)["tx_in_flight"])
        return len(seen) > 100 and max(seen) > 0

    # Whoever shares the sender's processor looks when all that was sent has come back.
    cpus = hosts.bench.vm.guest.modules["os"]
    everywhere = cpus.sched_getaffinity(0)
    cpus.sched_setaffinity(0, [0])
    flood = hosts.here.Flood(FAR, 60, cpu=1)
    try:
        hosts.bench.vm.wait_until(busy, 30, "frames in flight")
    finally:
        sent = flood.stop()
        cpus.sched_setaffinity(0, everywhere)
    assert sent > 0
    assert max(seen) <= IN_FLIGHT
    stats = hosts.bench.port_stats(hosts.near)
    for name in ("stack_dropped", "rx_no_buffer"):
        assert stats[name] == before[name]
    tap.close()


def test_a_hoarder_costs_the_host_frames_and_not_for_ever(hosts: Hosts) -> None:
    abi = hosts.bench.abi
    before = hosts.bench.port_stats(hosts.near)
    tap = abi.Tap().attach(hosts.near, ring_size=8192, quota=8192, flags=abi.ATTACH_HOST).map()
    flood = hosts.here.Flood(FAR, 60)
    hosts.bench.vm.wait_until(
        lambda: hosts.bench.port_stats(hosts.near)["stack_dropped"] > before["stack_dropped"],
        30,
        "the pool to be spent",
    )
    assert hosts.bench.port_stats(hosts.near)["pool_free"] > 0
    tap.close()
    hosts.assert_reached()
    flood.stop()


@pytest.mark.quick
def test_the_driver_unbound_under_load_leaves_the_host_and_taps_safe(hosts: Hosts) -> None:
    bench = hosts.bench
    address = bench.vm.pci(1)
    driver = f"/sys/bus/pci/devices/{address}/driver"
    for _ in range(3):
        watch = hosts.here.Watch(hosts.near)
        floods = [hosts.here.Flood(FAR), hosts.there.Flood(NEAR)]
        bench.vm.wait_until(
            lambda: bench.port_stats(bench.near)["stack_rx"] > 100, 30, "frames for the host"
        )
        bench.vm.write_file(f"{driver}/unbind", address.encode())
        bench.vm.write_file("/sys/bus/pci/drivers/ntzc_igb/bind", address.encode())
        assert all(flood.stop() > 0 for flood in floods)
        watch.stop()
        assert watch.gone
        bench.load()
        hosts.stack("copy")
        hosts.give_address()
        bench.vm.run(["sysctl", "-qw", f"net.ipv6.conf.{bench.near}.disable_ipv6=1"])
        hosts.assert_reached()


# What the administrator says


def test_policy_is_the_same_by_ioctl_and_by_file(hosts: Hosts) -> None:
    abi, name = hosts.bench.abi, hosts.near
    assert abi.policy(name)["stack"] == abi.STACK_COPY
    abi.policy(name, stack=abi.STACK_OFF, quota=100, quota_max=200)
    folder = f"/sys/class/net/{name}/ntzc"
    assert hosts.bench.vm.read_file(f"{folder}/stack") == b"off\n"
    assert (hosts.number("quota"), hosts.number("quota_max")) == (100, 200)
    hosts.bench.vm.write_file(f"{folder}/quota", b"0\n")
    hosts.bench.vm.write_file(f"{folder}/quota_max", b"0\n")
    policy = dict(hosts.bench.vm.guest.fetch(abi.policy(name)))
    assert policy == {"stack": abi.STACK_OFF, "quota": 0, "quota_max": 0}


@pytest.mark.parametrize("words", ["on", "", "copyy", "-1"])
def test_a_file_takes_no_other_word(hosts: Hosts, words: str) -> None:
    for name in ("stack", "quota"):
        with pytest.raises(OSError):
            hosts.bench.vm.write_file(
                f"/sys/class/net/{hosts.near}/ntzc/{name}", f"{words}\n".encode()
            )
    assert hosts.bench.vm.read_file(f"/sys/class/net/{hosts.near}/ntzc/stack") == b"copy\n"


def test_quotas_default_to_policy_and_never_pass_its_limit(hosts: Hosts) -> None:
    abi, name = hosts.bench.abi, hosts.near
    try:
        abi.policy(name, quota=100, quota_max=200)
        for asked, got in ((0, 100), (50, 50), (200, 200), (1000, 200)):
            tap = abi.Tap().attach(name, quota=asked)
            assert tap.field("quota") == got
            tap.close()
        abi.policy(name, quota=300)
        tap = abi.Tap().attach(name)
        assert tap.field("quota") == 200
        tap.close()
    finally:
        abi.policy(name, quota=0, quota_max=0)


def test_losses_add_up_in_files_and_in_ethtool_also_for_taps_that_are_gone(hosts: Hosts) -> None:
    bench = hosts.bench
    before = hosts.number("lost_quota")
    tap = bench.abi.Tap().attach(hosts.near, quota=1)
    assert hosts.number("taps") == 1
    hosts.here.ping(FAR, 20)
    bench.vm.wait_until(lambda: tap.stats()["lost_quota"] >= 19, 10, "losses")
    lost = tap.stats()["lost_quota"]
    assert hosts.number("lost_quota") == before + lost
    tap.close()
    assert hosts.number("taps") == 0
    assert hosts.number("lost_quota") >= before + lost
    shown = bench.vm.run(["ethtool", "-S", hosts.near]).stdout
    assert f"tap_lost_quota: {hosts.number('lost_quota')}\n" in shown
    stats = bench.port_stats(hosts.near)
    assert hosts.number("pool_size") == stats["pool_size"]
    assert 0 < hosts.number("pool_free") <= stats["pool_size"]
    assert hosts.number("rx_missed") == stats["rx_missed"]
