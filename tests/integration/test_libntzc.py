# SPDX-License-Identifier: GPL-2.0-or-later
"""libntzc in the guest: all doors and all ways to receive and to send mean the same."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .conftest import REPOSITORY, Bench
from .frames import frame

LIBRARY = str(REPOSITORY / "build/lib/libntzc.so.0")
SAMPLES = REPOSITORY / "build/lib"
DOORS = {"auto": 0, "calls": 1, "rings": 2}
Open = Callable[..., Any]


@pytest.fixture
def open_tap(bench: Bench) -> Iterator[Open]:
    """Make a tap in the guest, by interface and door."""
    taps = []

    def opened(name: str, door: str = "rings", ring_size: int = 0) -> Any:
        tap = bench.vm.guest.modules["clib"].Tap(LIBRARY, name, DOORS[door], ring_size)
        taps.append(tap)
        return tap

    yield opened
    for tap in taps:
        tap.close()


@pytest.fixture
def socket(bench: Bench) -> Iterator[Any]:
    """A packet socket on the stock driver's card, in the guest."""
    peer = bench.vm.guest.modules["stockpeer"].Peer(bench.peer)
    yield peer
    peer.close()


@pytest.mark.quick
@pytest.mark.parametrize("how", ["peek", "view", "take", "handles"])
@pytest.mark.parametrize("door", DOORS)
def test_every_frame_comes_by_each_door(bench: Bench, open_tap: Open, door: str, how: str) -> None:
    tap = open_tap(bench.iface, door, 64)
    assert tap.door() == (1 if door == "calls" else 2)
    # rings of 64 go around often, with batches that do not divide them
    for start in range(0, 300, 50):
        bench.wire.send_many([frame(n) for n in range(start, start + 50)])
        assert tap.expect(how, start, 50, 7) == ""
    stats = bench.vm.guest.fetch(tap.stats())
    assert (stats["received"], stats["released"], stats["held"]) == (300, 300, 0)
    assert stats["bad_release"] == 0


@pytest.mark.quick
def test_what_came_by_one_tap_comes_by_the_other(bench: Bench, open_tap: Open) -> None:
    taps = [open_tap(bench.iface, door) for door in DOORS]
    bench.wire.send_many([frame(n) for n in range(100)])
    assert [tap.expect("view", 0, 100) for tap in taps] == ["", "", ""]


@pytest.mark.quick
@pytest.mark.parametrize("door", ["calls", "rings"])
def test_frames_filled_in_place_arrive_in_order(bench: Bench, open_tap: Open, door: str) -> None:
    tap = open_tap(bench.iface, door)
    tap.setup_tx(100)  # a ring of 128, of which it fills 100
    tap.send(0, 1000)
    assert bench.wire.recv_many(1000, 30) == [frame(n) for n in range(1000)]
    stats = bench.vm.guest.fetch(tap.stats())
    assert (stats["tx_submitted"], stats["tx_completed"], stats["tx_in_flight"]) == (1000, 1000, 0)
    assert stats["bad_submit"] == 0


@pytest.mark.quick
def test_frames_written_in_the_ring_arrive_in_order(bench: Bench, open_tap: Open) -> None:
    tap = open_tap(bench.iface, "rings")
    tap.setup_tx(100)
    tap.send_in_views(0, 1000)
    assert bench.wire.recv_many(1000, 30) == [frame(n) for n in range(1000)]
    stats = bench.vm.guest.fetch(tap.stats())
    assert (stats["tx_submitted"], stats["tx_completed"], stats["bad_submit"]) == (1000, 1000, 0)


@pytest.mark.quick
@pytest.mark.parametrize("door", ["calls", "rings"])
@pytest.mark.parametrize("with_memory", [False, True])
def test_frames_are_forwarded_to_their_own_and_another_card(
    bench: Bench, open_tap: Open, socket: Any, door: str, with_memory: bool
) -> None:
    tap = open_tap(bench.iface, door)
    if with_memory:
        tap.setup_tx()
    wanted = [frame(n) for n in range(100)]
    bench.wire.send_many(wanted)
    tap.forward(100, 0)
    assert bench.wire.recv_many(100, 30) == wanted
    target = tap.add_target(bench.near)
    assert target == 1
    bench.wire.send_many(wanted)
    tap.forward(100, target)
    assert socket.expect(tuple((n, 60) for n in range(100))) == ""
    stats = bench.vm.guest.fetch(tap.stats())
    assert (stats["tx_forwarded"], stats["held"], stats["bad_submit"]) == (200, 0, 0)


@pytest.mark.quick
@pytest.mark.parametrize("door", ["calls", "rings"])
def test_own_buffers_go_where_their_descriptors_say(
    bench: Bench, open_tap: Open, socket: Any, door: str
) -> None:
    tap = open_tap(bench.iface, door)
    target = tap.add_target(bench.near)
    tap.setup_tx()
    tap.send(0, 100, target)
    tap.send(100, 100)
    assert socket.expect(tuple((n, 60) for n in range(100))) == ""
    assert bench.wire.recv_many(100, 30) == [frame(n) for n in range(100, 200)]


@pytest.mark.quick
@pytest.mark.parametrize("door", ["calls", "rings"])
def test_a_copy_can_be_changed_and_sent(bench: Bench, open_tap: Open, door: str) -> None:
    tap = open_tap(bench.iface, door)
    tap.setup_tx()
    plain = frame(1, 200)
    tagged = plain[:12] + bytes.fromhex("8100a00c") + plain[12:]
    for received in (plain, tagged):
        bench.wire.send(received)
        tap.copy_back(150, b"changed")
        at = len(received) - 50
        assert bench.wire.recv(10) == received[:at] + b"changed" + received[at + 7 :]


@pytest.mark.quick
@pytest.mark.parametrize("door", ["calls", "rings"])
def test_an_interface_that_is_down_is_told(bench: Bench, open_tap: Open, door: str) -> None:
    tap = open_tap(bench.iface, door)
    tap.setup_tx()
    bench.vm.run(["ip", "link", "set", bench.iface, "down"])
    try:
        with pytest.raises(OSError) as caught:
            tap.send(0, 1)
        assert caught.value.errno == errno.ENETDOWN
    finally:
        bench.vm.run(["ip", "link", "set", bench.iface, "up"])
        bench.vm.wait_carrier(0)


def test_the_sample_bridge_joins_two_cards(bench: Bench, socket: Any) -> None:
    run = bench.vm.spawn([SAMPLES / "bridge", "-c", "200", bench.iface, bench.near])
    bench.vm.wait_until(
        lambda: sum(p.n_taps for p in bench.abi.ports()) == 2, 60, "the bridge's taps"
    )
    wanted = tuple((n, 60 + n) for n in range(100))
    bench.wire.send_many([frame(*which) for which in wanted])
    assert socket.expect(wanted) == ""
    socket.send(wanted)
    assert bench.wire.recv_many(100, 30) == [frame(*which) for which in wanted]
    done = run.wait(60).check()
    assert done.stdout.count("100 frames") == 2
    assert done.stdout.count("dropped 0, lost 0") == 2


def test_a_bridge_onto_itself_is_refused(bench: Bench) -> None:
    same = bench.vm.run([SAMPLES / "bridge", bench.iface, bench.iface], check=False)
    assert same.returncode == 2
    assert "to itself" in same.stderr


def test_sniff_takes_an_expression(bench: Bench) -> None:
    run = bench.vm.spawn([SAMPLES / "sniff", "-c", "10", "-x", bench.iface, "greater", "100"])
    bench.vm.wait_until(
        lambda: run.returncode is not None or sum(p.n_taps for p in bench.abi.ports()) == 1,
        60,
        "its tap",
    )
    bench.wire.send_many([frame(n, 60 if n % 2 else 200) for n in range(20)])
    done = run.wait(60).check()
    seen = [line for line in done.stdout.splitlines() if line.startswith(frame(0).hex()[:24])]
    assert seen == [frame(n, 200).hex() for n in range(0, 20, 2)]
    assert "filtered out" in done.stdout
    wrong = bench.vm.run([SAMPLES / "sniff", bench.iface, "udp prt 53"], check=False)
    assert wrong.returncode == 2
    assert "udp prt 53" in wrong.stderr
