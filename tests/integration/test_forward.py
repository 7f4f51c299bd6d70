# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames forwarded by reference to another card, by the bare ABI: from card 0 to card 1.

What is forwarded comes out at card 2, which the stock driver has. That it also does where a card
reaches no memory but what is mapped for it, test_bridge.py sees.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from emulation.errors import VMError

from .conftest import Bench
from .frames import FLAGS, HANDLE, LEN, OFFSET, RX_VLAN, frame

EBUSY, EINVAL, ENODEV = errno.EBUSY, errno.EINVAL, errno.ENODEV
Desc = tuple[int, ...]


def to(target: int, *descs: Desc) -> list[Desc]:
    """The descriptors that forward received frames."""
    return [(d[HANDLE], d[OFFSET], 0, d[LEN], 0, 0, 0, 0, target, 0) for d in descs]


def refused(call: Any, *args: Any, **more: Any) -> int:
    """The errno with which *call* is refused."""
    with pytest.raises(OSError) as caught:
        call(*args, **more)
    assert caught.value.errno
    return int(caught.value.errno)


@pytest.fixture
def peer(bench: Bench) -> Iterator[Any]:
    """A packet socket on the stock driver's card, which may be slower to see the link."""
    bench.vm.wait_carrier(2)
    peer = bench.vm.guest.modules["stockpeer"].Peer(bench.peer)
    yield peer
    peer.close()


def receive(bench: Bench, tap: Any, *frames: bytes) -> list[Desc]:
    """Send frames to card 0; return their descriptors."""
    bench.wire.send_many(frames)
    descs: list[Desc] = list(bench.vm.guest.fetch(tap.read_all(len(frames), 20)))
    assert len(descs) == len(frames)
    return descs


def add_target(bench: Bench, tap: Any) -> int:
    """Let *tap* send to card 1, and see that it is told how long frames may be there."""
    target, frame_max = bench.vm.guest.fetch(tap.add_target(bench.near))
    assert frame_max == next(
        p.frame_max for p in bench.abi.ports() if p.name.decode() == bench.near
    )
    return int(target)


def of_lengths(*lengths: int) -> tuple[tuple[int, int], ...]:
    return tuple((length, length) for length in lengths)


def test_every_length_goes_to_another_card_while_others_hold_the_frames(
    bench: Bench, tap: Any, peer: Any
) -> None:
    reader = bench.abi.Tap().attach(bench.iface, ring_size=4096).map()
    target = add_target(bench, tap)
    lengths = range(60, 1515, 13)
    descs = receive(bench, tap, *(frame(n, n) for n in lengths))
    held = bench.vm.guest.fetch(reader.read_all(len(lengths), 20))
    for start in range(0, len(descs), 32):
        part = to(target, *descs[start : start + 32])
        assert tap.submit(*part) == len(part)
    assert peer.expect(of_lengths(*lengths)) == ""
    # sent, and not copied: the frames are the reader's alone now
    assert refused(tap.release, descs[0][HANDLE]) == errno.ESTALE
    assert bench.port_stats(bench.iface)["pool_held"] == len(lengths)
    receive(bench, tap, *(frame(n) for n in range(200)))
    assert [reader.data(desc) for desc in held] == [frame(n, n) for n in lengths]
    stats = bench.vm.guest.fetch(tap.stats())
    assert (stats["tx_submitted"], stats["tx_forwarded"]) == (len(lengths), len(lengths))
    reader.close()


@pytest.mark.quick
def test_own_card_and_another_in_turns(bench: Bench, tap: Any, peer: Any) -> None:
    target = add_target(bench, tap)
    descs = receive(bench, tap, *(frame(n, n) for n in range(100, 200)))
    ready = [to(target if n % 3 else 0, desc)[0] for n, desc in enumerate(descs)]
    while ready:
        ready = ready[tap.submit(*ready) :]
    lengths = [(n, 100 + n) for n in range(100)]
    assert peer.expect(of_lengths(*(size for n, size in lengths if n % 3))) == ""
    mine = [frame(size, size) for n, size in lengths if n % 3 == 0]
    assert bench.wire.recv_many(len(mine), 30) == mine


def test_a_stripped_tag_is_put_back_by_the_other_card(bench: Bench, tap: Any) -> None:
    plain = frame(5, 200)
    tagged = plain[:12] + struct.pack("!HH", 0x8100, 0xA064) + plain[12:]
    target = add_target(bench, tap)
    seen = bench.vm.spawn(
        ["tcpdump", "-i", bench.peer, "-Q", "in", "-xx", "-n", "-l", "-c", "1", "vlan"]
    )
    bench.vm.wait_until(lambda: b"listening" in seen.stderr, 60, "tcpdump")
    (desc,) = receive(bench, tap, tagged)
    assert desc[FLAGS] & RX_VLAN and tap.data(desc) == plain
    assert tap.submit(*to(target, desc)) == 1
    lines = seen.wait(60).check().stdout.splitlines()
    dump = [line.split(":", 1)[1] for line in lines if line.startswith("\t0x")]
    assert bytes.fromhex("".join(dump)) == tagged


def test_targets_that_cannot_be_are_refused(bench: Bench, tap: Any) -> None:
    add = tap.add_target
    assert refused(add, bench.iface) == EINVAL, "its own card"
    assert refused(add, bench.near, flags=1) == EINVAL
    for name in (bench.peer, "lo", "nosuch", ""):
        assert refused(add, name) == ENODEV, name
    assert refused(add, "", ifindex=1 << 30) == ENODEV
    index = int(bench.vm.read_file(f"/sys/class/net/{bench.near}/ifindex"))
    assert bench.vm.guest.fetch(add("", ifindex=index))[0] == 1
    assert refused(add, bench.near) == EBUSY, "a second time"
    assert refused(bench.abi.Tap().add_target, bench.near) == errno.ENOTCONN


@pytest.mark.quick
def test_a_target_that_was_not_added_is_refused_and_the_frame_stays(bench: Bench, tap: Any) -> None:
    (desc,) = receive(bench, tap, frame(1))
    assert refused(tap.submit, *to(1, desc)) == EINVAL
    add_target(bench, tap)
    for target in (2, 8, 255):
        assert refused(tap.submit, *to(target, desc)) == EINVAL
    # of several, those before the bad one go
    more = receive(bench, tap, frame(2), frame(3))
    assert tap.submit(*to(0, desc), *to(7, more[0]), *to(0, more[1])) == 1
    assert bench.wire.recv(10) == frame(1)
    assert tap.release(*(d[HANDLE] for d in more)) == 2


def test_a_frame_too_long_for_the_other_card_is_refused_and_stays(
    bench: Bench, tap: Any, peer: Any
) -> None:
    target = add_target(bench, tap)
    bench.vm.run(["ip", "link", "set", bench.near, "mtu", "1000"])
    bench.vm.wait_carrier(1)
    try:
        most = next(p.frame_max for p in bench.abi.ports() if p.name.decode() == bench.near)
        short, long = receive(bench, tap, frame(most, most), frame(most + 1, most + 1))
        assert refused(tap.submit, *to(target, long)) == EINVAL
        assert tap.submit(*to(target, short)) == 1
        assert peer.expect(of_lengths(most)) == ""
        assert tap.data(long) == frame(most + 1, most + 1)
        # its own card still takes it
        assert tap.submit(*to(0, long)) == 1
        assert bench.wire.recv(10) == frame(most + 1, most + 1)
    finally:
        bench.vm.run(["ip", "link", "set", bench.near, "mtu", "1500"])
        bench.vm.wait_carrier(1)


@pytest.mark.quick
def test_a_target_that_is_down_is_told_and_the_frame_stays(
    bench: Bench, tap: Any, peer: Any
) -> None:
    target = add_target(bench, tap)
    descs = receive(bench, tap, *(frame(n, n) for n in (60, 61)))
    bench.vm.run(["ip", "link", "set", bench.near, "down"])
    try:
        assert refused(tap.submit, *to(target, *descs)) == errno.ENETDOWN
        assert [tap.data(desc) for desc in descs] == [frame(60, 60), frame(61, 61)]
        # the other way is as good as before
        (other,) = receive(bench, tap, frame(9))
        assert tap.submit(*to(0, other)) == 1
        assert bench.wire.recv(10) == frame(9)
    finally:
        bench.vm.run(["ip", "link", "set", bench.near, "up"])
        bench.vm.wait_carrier(1)
    assert tap.submit(*to(target, *descs)) == 2
    assert peer.expect(of_lengths(60, 61)) == ""


@pytest.mark.quick
def test_what_is_on_its_way_when_the_target_goes_down_comes_back(bench: Bench, tap: Any) -> None:
    target = add_target(bench, tap)
    for _ in range(bench.rounds(10)):
        descs = receive(bench, tap, *(frame(n) for n in range(64)))
        assert tap.submit(*to(target, *descs)) == 64
        bench.vm.run(["ip", "link", "set", bench.near, "down"])
        bench.assert_whole()
        bench.vm.run(["ip", "link", "set", bench.near, "up"])
        bench.vm.wait_carrier(1)


@pytest.mark.quick
def test_what_is_on_its_way_when_the_tap_closes_arrives(bench: Bench, peer: Any) -> None:
    for _ in range(bench.rounds(20)):
        tap = bench.abi.Tap().attach(bench.iface)
        target = add_target(bench, tap)
        descs = receive(bench, tap, *(frame(n, n) for n in range(100, 164)))
        assert tap.submit(*to(target, *descs)) == 64
        tap.close()
        assert peer.expect(of_lengths(*range(100, 164))) == ""


def test_the_queues_of_a_target_stay_in_use(bench: Bench, peer: Any) -> None:
    queues = next(p.n_queues for p in bench.abi.ports() if p.name.decode() == bench.near)
    assert queues > 1
    # a tap of the last queue sends through the last queue of the other card
    tap = bench.abi.Tap().attach(bench.iface, queues=1 << queues - 1).setup_tx(1)
    target = add_target(bench, tap)
    done = bench.vm.run(["ethtool", "-L", bench.near, "combined", "1"], check=False)
    bench.vm.wait_carrier(1)
    (desc,) = tap.reserve(1)
    assert tap.submit((*tap.fill(desc, frame(60))[:8], target, 0)) == 1
    assert peer.expect(of_lengths(60)) == ""
    assert done.returncode and "busy" in done.stderr
    tap.close()
    for count in (1, queues):
        bench.vm.run(["ethtool", "-L", bench.near, "combined", str(count)])
    bench.vm.wait_carrier(1)


def test_a_wait_for_a_buffer_ends_when_another_card_gives_one_back(bench: Bench) -> None:
    """Bus mastering is off, so that the other card keeps the buffers until it is reset."""
    tap = bench.abi.Tap().attach(bench.iface, quota=1).setup_tx(1)
    target = add_target(bench, tap)
    descs = bench.vm.guest.fetch(tap.reserve(64))
    ready = [(*tap.fill(desc, frame(1))[:8], target, 0) for desc in descs]
    bench.vm.run(["setpci", "-s", bench.vm.pci(1), "COMMAND=0:4"])
    assert tap.submit(*ready) == len(ready)
    waiter = bench.vm.guest.modules["bridgewait"].Reserve(tap)
    try:
        bench.vm.wait_until(waiter.sleeps, 10, "the wait for a buffer")
        bench.vm.wait_until(lambda: tap.stats()["tx_in_flight"] == 0, 60, "the reset")
        bench.vm.wait_until(lambda: not waiter.waits(), 10, "the buffer")
    finally:
        got = waiter.end()
        bench.vm.run(["setpci", "-s", bench.vm.pci(1), "COMMAND=4:4"])
        for state in ("down", "up"):
            bench.vm.run(["ip", "link", "set", bench.near, state])
        bench.vm.wait_carrier(1)
    assert got == 1
    tap.close()


def has_driver(bench: Bench) -> bool:
    try:
        return "driver" in bench.vm.listdir(f"/sys/bus/pci/devices/{bench.vm.pci(1)}")
    except (VMError, FileNotFoundError):
        return False


def take_near(bench: Bench) -> None:
    """Give card 1 to NTZC's driver: the stock one, loaded for the peer, may have been quicker."""
    address = bench.vm.pci(1)
    device = f"/sys/bus/pci/devices/{address}"
    bench.vm.write_file(f"{device}/driver_override", b"ntzc_igb")
    bench.vm.write_file(f"{device}/driver/unbind", address.encode())
    bench.vm.write_file("/sys/bus/pci/drivers_probe", address.encode())
    bench.load()


@pytest.fixture
def pulled(bench: Bench) -> Iterator[Bench]:
    """Card 1 is back in its slot and in use afterwards."""
    yield bench
    if not has_driver(bench):
        bench.vm.plug(1)
        bench.vm.wait_until(lambda: has_driver(bench), 30, "the card and a driver")
    take_near(bench)


@pytest.mark.quick
def test_a_target_that_is_pulled_out_is_told_and_the_tap_lives_on(pulled: Bench, tap: Any) -> None:
    bench = pulled
    target = add_target(bench, tap)
    descs = receive(bench, tap, *(frame(n, n) for n in range(60, 124)))
    assert tap.submit(*to(target, *descs[:32])) == 32
    bench.vm.unplug(1)
    left = descs[32:]
    assert refused(tap.submit, *to(target, *left)) == ENODEV
    assert tap.data(left[0]) == frame(92, 92)
    assert tap.submit(*to(0, *left)) == 32
    assert bench.wire.recv_many(32, 10) == [frame(n, n) for n in range(92, 124)]
    # what was on its way to it is back
    bench.vm.wait_until(lambda: not bench.pool_fault(bench.iface), 15, "a whole pool")
    bench.vm.plug(1)
    bench.vm.wait_until(lambda: has_driver(bench), 30, "the card and a driver")
    take_near(bench)
    # the card that is there now is another target
    (desc,) = receive(bench, tap, frame(77, 77))
    assert refused(tap.submit, *to(target, desc)) == ENODEV
    again = add_target(bench, tap)
    assert again != target
    # a new socket, as some of those on their way may have arrived
    peer = bench.vm.guest.modules["stockpeer"].Peer(bench.peer)
    assert tap.submit(*to(again, desc)) == 1
    assert peer.expect(of_lengths(77)) == ""
    peer.close()


@pytest.mark.quick
def test_what_is_on_its_way_when_its_own_card_goes_arrives(bench: Bench, peer: Any) -> None:
    """Receive memory outlives the card that wrote to it as long as another one reads it."""
    address = bench.vm.pci(0)
    unbind, bind = (f"/sys/bus/pci/drivers/ntzc_igb/{what}" for what in ("unbind", "bind"))
    for _ in range(3):
        bench.vm.wait_carrier(2)
        tap = bench.abi.Tap().attach(bench.iface).map()
        target = add_target(bench, tap)
        descs = receive(bench, tap, *(frame(n, n) for n in range(100, 164)))
        try:
            assert tap.submit(*to(target, *descs)) == 64
            bench.vm.write_file(unbind, address.encode())
            tap.close()
            assert peer.expect(of_lengths(*range(100, 164))) == ""
        finally:
            bench.vm.write_file(bind, address.encode())
            bench.load()
