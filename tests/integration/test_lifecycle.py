# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that die, cards that go, modules that leave: nothing stays behind."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emulation.errors import VMError

from .conftest import REPOSITORY, Bench
from .frames import HANDLE, OFFSET, frame

POLLIN, POLLERR, POLLHUP = 1, 8, 16


def err(call: Callable[..., Any], *args: Any) -> int:
    """The errno that the call raises."""
    with pytest.raises(OSError) as caught:
        call(*args)
    return caught.value.errno or 0


@pytest.fixture
def reloaded(bench: Bench) -> Iterator[Bench]:
    """A test that unloads or unplugs: all is loaded and up again afterwards."""
    yield bench
    bench.load()


def test_a_python_capture_killed_a_hundred_times_leaves_the_pool_whole(bench: Bench) -> None:
    """Hostile case 52: SIGKILL while packets are held, waiting and in transmit buffers."""
    program = f"""
import os, sys
sys.path.insert(0, {str(REPOSITORY / "build/python")!r})
import pyntzc
while True:
    if os.fork() == 0:
        with pyntzc.open({bench.iface!r}) as tap:
            spare = tap.reserve(8)
            packets = iter(tap)
            held = [next(packets) for _ in range(20)]
            print("holding", os.getpid(), flush=True)
            held += [packet for packet in packets]
    os.wait()
"""
    seen = bytearray()
    parent = bench.vm.spawn(["python3", "-c", program], on_output=lambda _, data: seen.extend(data))
    guest_os = bench.vm.guest.modules["os"]
    try:
        for round_ in range(100):

            def holding(wanted: int = round_ + 1) -> bool:
                bench.wire.send_many(frame(n) for n in range(32))
                return seen.count(b"holding") >= wanted and seen.endswith(b"\n")

            bench.vm.wait_until(holding, 60, f"capture {round_} to hold packets: {seen!r}")
            pid = int(bytes(seen).split()[-1])
            assert bench.port_stats(bench.iface)["pool_held"] >= 20
            guest_os.kill(pid, 9)
            # the next one holds nothing before frames come
            bench.vm.wait_until(lambda: not bench.pool_fault(bench.iface), 15, "a whole pool")
    finally:
        parent.kill()


@pytest.mark.quick
def test_a_killed_holder_gives_back_at_once_and_others_keep_theirs(bench: Bench) -> None:
    """Hostile cases 52 and 61."""
    keeper = bench.abi.Tap().attach(bench.iface).map()
    victim = bench.vm.python()
    try:
        other = victim.modules["abi"].Tap().attach(bench.iface).map()
        other.setup_tx(16)
        bench.wire.send_many(frame(n) for n in range(50))
        assert len(other.read_all(50)) == 50
        kept = bench.vm.guest.fetch(keeper.read_all(50))
        other.reserve(5)
    finally:
        victim.kill()
    bench.vm.wait_until(
        lambda: bench.abi.ports()[0].n_taps + bench.abi.ports()[1].n_taps == 1, 10, "the close"
    )
    assert [keeper.data(d) for d in kept] == [frame(n) for n in range(50)]
    assert keeper.release(*(d[HANDLE] for d in kept)) == 50
    keeper.close()


def test_a_link_that_flaps_loses_no_buffer_and_traffic_goes_on(bench: Bench, tap: Any) -> None:
    """Hostile case 86."""
    for n in range(10):
        bench.vm.set_link(0, False)
        bench.vm.wait_carrier(0, up=False)
        bench.vm.set_link(0, True)
        bench.vm.wait_carrier(0)
        bench.wire.send(frame(n))
        (desc,) = bench.vm.guest.fetch(tap.read_all(1))
        assert tap.data(desc) == frame(n)
        tap.release(desc[HANDLE])


@pytest.mark.quick
def test_taps_survive_down_and_up(bench: Bench, tap: Any) -> None:
    """Hostile case 90."""
    bench.wire.send(frame(0, 90))
    (held,) = bench.vm.guest.fetch(tap.read_all(1))
    for n in range(1, 6):
        bench.vm.run(["ip", "link", "set", bench.iface, "down"])
        bench.vm.run(["ip", "link", "set", bench.iface, "up"])
        bench.vm.wait_carrier(0)
        bench.wire.send(frame(n))
        (desc,) = bench.vm.guest.fetch(tap.read_all(1))
        assert tap.data(desc) == frame(n)
        tap.release(desc[HANDLE])
    assert tap.data(held) == frame(0, 90)
    assert tap.release(held[HANDLE]) == 1


@pytest.mark.quick
def test_ring_and_mtu_changes_under_an_open_tap(bench: Bench, tap: Any) -> None:
    """Hostile case 90."""
    for entries in (64, 1024, 256):
        bench.vm.run(["ethtool", "-G", bench.iface, "rx", str(entries), "tx", str(entries)])
        bench.vm.wait_carrier(0)
        bench.wire.send(frame(entries))
        (desc,) = bench.vm.guest.fetch(tap.read_all(1))
        assert tap.data(desc) == frame(entries)
        tap.release(desc[HANDLE])
    changes = bench.vm.read_file(f"/sys/class/net/{bench.iface}/carrier_changes")
    for words in (
        ["ip", "link", "set", bench.iface, "mtu", "9000"],
        ["ethtool", "-L", bench.iface, "combined", "1"],
        [
            "ethtool",
            "-G",
            bench.iface,
            "rx",
            "4096",
        ],  # the pool is the tap's for as long as it lives
    ):
        done = bench.vm.run(words, check=False)
        assert done.returncode and "busy" in done.stderr
    after = bench.vm.read_file(f"/sys/class/net/{bench.iface}/carrier_changes")
    assert after == changes, "what is refused does not take the link down"
    bench.vm.run(["ip", "link", "set", bench.iface, "down"])
    done = bench.vm.run(["ethtool", "-G", bench.iface, "rx", "4096"], check=False)
    assert done.returncode, "it could not come up with such rings"
    bench.vm.run(["ip", "link", "set", bench.iface, "up"])
    bench.usual_rings(bench.iface)
    bench.set_mtu(1400)
    bench.set_mtu(1500)


def test_the_core_cannot_be_unloaded_while_in_use(reloaded: Bench) -> None:
    """Hostile case 55: no driver keeps it any more, only a file, attached or not."""
    abi = reloaded.abi
    idle, tap = abi.Tap(), abi.Tap().attach(reloaded.iface)
    assert abi.unload_core() == errno.EWOULDBLOCK, "the driver uses it"
    reloaded.vm.run(["rmmod", "ntzc_igb"])
    for last in (tap, idle):
        assert abi.unload_core() == errno.EWOULDBLOCK
        last.close()
    assert abi.unload_core() == 0
    assert "ntzc" not in reloaded.vm.read_file("/proc/modules").decode()


@pytest.mark.quick
def test_the_driver_removed_under_an_open_tap_leaves_it_safe_and_dead(reloaded: Bench) -> None:
    """Hostile cases 56, 57 and 58."""
    bench = reloaded
    tap = bench.abi.Tap().attach(bench.iface).map()
    tap.setup_tx(16)
    bench.wire.send_many(frame(n, 80) for n in range(3))
    bench.vm.wait_until(lambda: tap.stats()["waiting"] == 3, 10, "three frames")
    (first,) = bench.vm.guest.fetch(tap.read(1))
    (spare,) = bench.vm.guest.fetch(tap.reserve(1))
    bench.vm.run(["rmmod", "ntzc_igb"])
    assert tap.poll() & (POLLIN | POLLHUP | POLLERR) == POLLIN | POLLHUP | POLLERR
    # what had come is still there, then it is over
    rest = bench.vm.guest.fetch(tap.read(10))
    assert [tap.data(d) for d in (first, *rest)] == [frame(n, 80) for n in range(3)]
    assert err(tap.read, 1) == errno.ENODEV
    assert err(tap.submit, tap.fill(spare, frame(1))) == errno.ENODEV
    assert err(tap.reserve, 1) == errno.ENODEV
    assert tap.release(first[HANDLE], spare[HANDLE]) == 2
    assert bench.vm.run(["rmmod", "ntzc"], check=False).returncode == 1
    bench.load()
    assert err(tap.read, 1) == errno.ENODEV
    assert tap.data(rest[0]) == frame(1, 80)
    tap.close()


@pytest.mark.quick
def test_unloading_leaves_nothing_and_loading_again_works(reloaded: Bench) -> None:
    """Hostile case 59. test_pressure.py has the rounds."""
    bench = reloaded
    for _ in range(3):
        bench.vm.run(["rmmod", "ntzc_igb", "ntzc"])
        assert "ntzc" not in bench.vm.read_file("/proc/modules").decode()
        assert "ntzc" not in bench.vm.listdir("/dev")
        assert "ntzc" not in bench.vm.listdir("/sys/class/misc")
        for path in bench.modules:
            bench.vm.run(["insmod", path])
    bench.load()
    tap = bench.abi.Tap().attach(bench.iface).map()
    bench.wire.send(frame(1))
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    assert tap.data(desc) == frame(1)
    tap.close()


def has_driver(bench: Bench) -> bool:
    try:
        return "driver" in bench.vm.listdir(f"/sys/bus/pci/devices/{bench.vm.pci(0)}")
    except (VMError, FileNotFoundError):
        return False


def take_card(bench: Bench) -> None:
    """Give card 0 to NTZC's driver: the stock one, loaded for the peer, may have been quicker."""
    address = bench.vm.pci(0)
    device = f"/sys/bus/pci/devices/{address}"
    bench.vm.write_file(f"{device}/driver_override", b"ntzc_igb")
    bench.vm.write_file(f"{device}/driver/unbind", address.encode())
    bench.vm.write_file("/sys/bus/pci/drivers_probe", address.encode())


@pytest.mark.quick
def test_a_card_pulled_out_and_put_back(reloaded: Bench) -> None:
    """Hostile cases 49 and 85."""
    bench = reloaded
    for n in range(3):
        tap = bench.abi.Tap().attach(bench.iface).map()
        bench.wire.send(frame(n, 77))
        (desc,) = bench.vm.guest.fetch(tap.read_all(1))
        bench.vm.unplug(0)
        assert tap.poll() & (POLLHUP | POLLERR) == POLLHUP | POLLERR
        assert err(tap.read, 1) == errno.ENODEV
        assert tap.data(desc) == frame(n, 77)
        bench.vm.plug(0)
        bench.vm.wait_until(lambda: has_driver(bench), 30, "the card and a driver")
        take_card(bench)
        bench.load()
        assert tap.release(desc[HANDLE]) == 1
        tap.close()


@pytest.mark.quick
def test_frames_in_flight_when_a_tap_closes_come_back(bench: Bench) -> None:
    for _ in range(20):
        tap = bench.abi.Tap().attach(bench.iface).setup_tx(256)
        descs = bench.vm.guest.fetch(tap.reserve(64))
        ready = [tap.fill(d, frame(i)) for i, d in enumerate(descs)]
        assert tap.submit(*ready) == 64
        tap.close()
        assert bench.wire.recv_many(64, 10) == [frame(i) for i in range(64)]


def test_a_tap_that_comes_before_the_card_is_up_leaves_room_for_its_rings(bench: Bench) -> None:
    """The pool is made for the tap, and for the rings that there will be."""
    bench.vm.run(["ip", "link", "set", bench.iface, "down"])
    bench.vm.run(["ethtool", "-G", bench.iface, "rx", "4096"])
    try:
        tap = bench.abi.Tap().attach(bench.iface).map()
        bench.vm.run(["ip", "link", "set", bench.iface, "up"])
        bench.vm.wait_carrier(0)
        bench.wire.send(frame(1))
        (desc,) = bench.vm.guest.fetch(tap.read_all(1))
        assert tap.data(desc) == frame(1)
        tap.close()
    finally:
        bench.vm.run(["ip", "link", "set", bench.iface, "up"])
        bench.usual_rings(bench.iface)
        bench.vm.wait_carrier(0)


def stall(bench: Bench, tap: Any) -> None:
    """Take bus mastering from the card, and have it send 64 frames that it cannot fetch."""
    bench.vm.wait_carrier(0)  # without a link they would be refused
    bench.vm.run(["setpci", "-s", bench.vm.pci(0), "COMMAND=0:4"])
    descs = bench.vm.guest.fetch(tap.reserve(64))
    assert tap.submit(*(tap.fill(d, frame(i)) for i, d in enumerate(descs))) == 64


def revive(bench: Bench) -> None:
    """Make the card master again, and start it anew."""
    bench.vm.run(["setpci", "-s", bench.vm.pci(0), "COMMAND=4:4"])
    for state in ("down", "up"):
        bench.vm.run(["ip", "link", "set", bench.iface, state])
    bench.vm.wait_carrier(0)
    bench.wire.drain()


@pytest.fixture
def stalled(bench: Bench) -> Iterator[Bench]:
    """For who stalls it: whatever comes, the next test finds a card that works."""
    yield bench
    revive(bench)


def test_a_tap_that_closes_while_the_card_keeps_its_buffers_leaves_none_behind(
    stalled: Bench,
) -> None:
    """Bus mastering off, so that they are in flight for sure; a reset brings them back."""
    bench = stalled
    tap = bench.abi.Tap().attach(bench.iface).setup_tx(128)
    stall(bench, tap)
    assert tap.stats()["tx_in_flight"] == 64
    tap.close()
    assert bench.port_stats(bench.iface)["tx_in_flight"] == 64
    bench.vm.wait_until(
        lambda: bench.port_stats(bench.iface)["tx_in_flight"] == 0, 60, "the watchdog"
    )


def test_a_hung_transmitter_is_reset_and_every_buffer_comes_back(stalled: Bench) -> None:
    """Hostile cases 73 and 83: bus mastering off, so that the card cannot write back."""
    bench = stalled
    tap = bench.abi.Tap().attach(bench.iface, quota=1).setup_tx(128)
    resets = bench.port_stats(bench.iface)["resets"]
    stall(bench, tap)
    bench.vm.wait_until(
        lambda: tap.stats()["tx_in_flight"] == 0, 60, "the watchdog to give the buffers back"
    )
    assert tap.stats()["tx_failed"] > 0
    assert bench.port_stats(bench.iface)["resets"] > resets
    revive(bench)
    (desc,) = bench.vm.guest.fetch(tap.reserve(1))
    assert tap.submit(tap.fill(desc, frame(99))) == 1
    assert bench.wire.recv(10) == frame(99)
    tap.close()


@pytest.mark.quick
def test_the_mapping_is_read_safely_while_the_card_goes(reloaded: Bench) -> None:
    bench = reloaded
    tap = bench.abi.Tap().attach(bench.iface).map()
    bench.wire.send(frame(2, 99))
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    bench.vm.run(["rmmod", "ntzc_igb"])
    size = tap.field("rx_bytes")
    # a mapping made after the card went
    address, failed = bench.abi.call("mmap", 0, size, 1, 1, tap.fd, 0)
    assert not failed
    assert bench.abi.peek(address + desc[OFFSET], 99) == frame(2, 99)
    bench.abi.call("munmap", address, size)
    tap.close()
