# SPDX-License-Identifier: GPL-2.0-or-later
"""Cards that are torn out, reset and broken while traffic goes both ways: guest/load.c.

All of it happens to card 1, whose neighbour in the same machine sends without end.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulation.errors import VMError

from . import guestc
from .conftest import Bench
from .frames import HANDLE, frame

pytestmark = pytest.mark.parallel

UNPLUGS, ALL_UNPLUGS = 3, 100
FLAPS, ALL_FLAPS = 5, 100
RESETS = 5
REBINDS = 5

CARD = 1
EIMC, IMC = 0x01528, 0x0150C  # interrupt mask clear, [8.8.4] and [8.8.10]
EIMS, IMS = 0x01524, 0x000D0  # and set, [8.8.3] and [8.8.9]: read, they tell what is not masked
LINK_CHANGE = 1 << 2  # in IMS
NO_SAY, NEEDS_RESET, DISCONNECT, RECOVERED = 1, 3, 4, 5  # enum pci_ers_result
MANC, KEEP_PHY = 0x05820, 1 << 18  # the firmware's traffic, [8.21.8]


class Load:
    """guest/load.c at work on card 1."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._words: list[str] = []
        self._errors = b""
        self._partial = b""
        self._changed = threading.Condition()
        program: list[str | Path] = [guestc.build("load"), bench.near, bench.peer]
        self._process = bench.vm.spawn(program, on_output=self._take)

    def _take(self, stream: str, data: bytes) -> None:
        with self._changed:
            if stream == "stderr":
                self._errors += data
            else:
                *lines, self._partial = (self._partial + data).split(b"\n")
                self._words += [line.decode() for line in lines]
            self._changed.notify_all()

    def count(self, word: str) -> int:
        with self._changed:
            return self._words.count(word)

    def wait(self, word: str, count: int = 1, timeout_s: float = 60) -> None:
        """Wait until it has said *word* that many times."""
        with self._changed:
            came = self._changed.wait_for(
                lambda: self._words.count(word) >= count or self._errors,
                timeout_s * self.bench.vm.kernel.pace,
            )
        state = self.bench.vm.run(["ip", "-s", "link"]).stdout if not came else ""
        said = f"{self._words[-3:]} {self._errors.decode()}"
        assert came and not self._errors, f"no {word}: {said}\n{state}"

    def wait_moving(self) -> None:
        """Wait until more frames have come: not what it had said of those before."""
        self.wait("moving", self.count("moving") + 2)

    def wait_again(self, lives: int) -> None:
        """Wait until it has outlived that many cards, and works with the next."""
        self.wait("gone", lives)
        self.wait("attached", lives + 1)
        self.wait_moving()

    def end(self) -> None:
        self._process.close_stdin()
        self._process.wait(60).check()
        self.wait("done")

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


@pytest.fixture
def load(bench: Bench) -> Iterator[Load]:
    load = Load(bench)
    try:
        load.wait("attached")
        load.wait("moving")
        yield load
        load.end()
    finally:
        load.kill()
        repair(bench)


def device(bench: Bench) -> str:
    return f"/sys/bus/pci/devices/{bench.vm.pci(CARD)}"


def bound(bench: Bench) -> bool:
    try:
        return "driver" in bench.vm.listdir(device(bench))
    except (VMError, FileNotFoundError):
        return False


def unbind(bench: Bench) -> None:
    bench.vm.write_file(f"{device(bench)}/driver/unbind", bench.vm.pci(CARD).encode())


def bind(bench: Bench) -> None:
    bench.vm.write_file("/sys/bus/pci/drivers/ntzc_igb/bind", bench.vm.pci(CARD).encode())


def take(bench: Bench) -> None:
    """Have our driver get the card, which the stock one may have been quicker to take."""
    bench.vm.write_file(f"{device(bench)}/driver_override", b"ntzc_igb")
    driver = bench.vm.run(["readlink", "-f", f"{device(bench)}/driver"]).stdout
    if not driver.strip().endswith("ntzc_igb"):
        unbind(bench)
        bind(bench)


def replace(bench: Bench) -> None:
    """Pull the card out, and put one in that our driver has."""
    bench.vm.unplug(CARD)
    bench.vm.plug(CARD)
    bench.vm.wait_until(lambda: bound(bench), 30, "the card and a driver")
    take(bench)


def repair(bench: Bench) -> None:
    """Have the card there and at work, whatever a test left."""
    try:
        bench.vm.pci(CARD)
    except VMError:
        bench.vm.plug(CARD)
        bench.vm.wait_until(lambda: bound(bench), 30, "the card and a driver")
        take(bench)
    if not bound(bench):
        bind(bench)
    bench.load()


def is_full(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--full"))


def test_cards_pulled_out_under_load_are_followed_by_cards_that_work(
    bench: Bench, load: Load, request: pytest.FixtureRequest
) -> None:
    """Hostile cases 49 and 85."""
    for n in range(1, (ALL_UNPLUGS if is_full(request) else UNPLUGS) + 1):
        bench.vm.unplug(CARD)
        load.wait("gone", n)
        bench.vm.plug(CARD)
        bench.vm.wait_until(lambda: bound(bench), 30, "the card and a driver")
        take(bench)
        load.wait_again(n)


def test_unbinding_under_load_ends_every_open_tap_for_ever(bench: Bench, load: Load) -> None:
    """Hostile cases 56 and 57: file, mapping and poller."""
    for n in range(1, REBINDS + 1):
        unbind(bench)
        load.wait("gone", n)
        bind(bench)
        load.wait_again(n)


def test_a_card_removed_while_the_watchdog_is_about_to_look(bench: Bench, load: Load) -> None:
    """Hostile case 87: at every tenth of the watchdog's second, a hung transmitter included."""

    def uptime_s() -> float:
        return float(bench.vm.read_file("/proc/uptime").split()[0])

    for lives in range(1, 11):
        until = uptime_s() + 0.1 * lives
        if lives % 2:
            bench.vm.run(["setpci", "-s", bench.vm.pci(CARD), "COMMAND=0:4"])
            until += 2.5  # about when it finds that nothing is sent
        while uptime_s() < until:
            pass
        unbind(bench)
        load.wait("gone", lives)
        bind(bench)
        load.wait_again(lives)


def test_a_card_whose_memory_cannot_be_read_is_gone_and_comes_back_when_bound_anew(
    bench: Bench, load: Load
) -> None:
    """Hostile case 84: memory decode off, so that all registers read as ones."""
    for n in range(1, 4):
        bench.vm.run(["setpci", "-s", bench.vm.pci(CARD), "COMMAND=0:2"])
        load.wait("gone", n)
        unbind(bench)
        bind(bench)
        load.wait_again(n)


def test_a_function_reset_under_load_is_survived(bench: Bench, load: Load) -> None:
    """Hostile case 88."""
    assert b"flr" in bench.vm.read_file(f"{device(bench)}/reset_method")
    for _ in range(RESETS):
        bench.vm.write_file(f"{device(bench)}/reset", b"1")
        load.wait_moving()
    assert load.count("gone") == 0


def inject(bench: Bench, error: str, outcome: str) -> None:
    """Have the card's root port report an error; wait for what the PCI core makes of it."""
    port = bench.vm.root_port(CARD)
    # errors are reported: SERR, of the bridge too, and DevCtl
    bench.vm.run(["setpci", "-s", port, "COMMAND=100:100", "BRIDGE_CONTROL=2:2", "CAP_EXP+8.w=f:f"])
    bench.vm.kernel_log()
    bench.vm.qmp.human(f"pcie_aer_inject_error rp{CARD} {error}")
    bench.vm.wait_until(
        lambda: any(outcome in line for line in bench.vm.kernel_log()), 30, f"AER: {outcome}"
    )


def test_an_error_on_the_bus_that_is_not_fatal_leaves_a_running_card_alone(
    bench: Bench, load: Load
) -> None:
    """The card was not stopped for it, and must not be started a second time after it."""
    before = bench.port_stats(bench.near)["pool_card"]
    for _ in range(2):
        inject(bench, "COMP_TIME", "recovery successful")
        load.wait_moving()
    assert load.count("gone") == 0
    after = bench.port_stats(bench.near)["pool_card"]
    assert after < 1.5 * before, "more than the rings have room for"


def test_a_card_that_does_not_come_back_after_a_fatal_error_ends_its_taps(
    bench: Bench, load: Load
) -> None:
    """Hostile case 85. The emulated root port's link stays down; the kernel tells no driver."""
    slot = ["setpci", "-s", bench.vm.root_port(CARD), "CAP_EXP+18.w"]
    control = bench.vm.run(slot).stdout.strip()
    inject(bench, "DLP", "recovery failed")
    load.wait("gone", timeout_s=120)
    # the port was reset, too, and has forgotten that cards are plugged
    slot[-1] += f"={control}"
    bench.vm.run(slot)
    replace(bench)
    load.wait_again(1)


def test_a_card_comes_back_after_fatal_errors(bench: Bench, load: Load) -> None:
    """Hostile case 85: it forgets everything; taps that are open go on."""
    for _ in range(RESETS):
        assert bench.vm.break_bus(CARD, "frozen") == NEEDS_RESET
        assert bench.vm.break_bus(CARD, "reset") == RECOVERED
        bench.vm.break_bus(CARD, "resume")
        load.wait_moving()
    assert load.count("gone") == 0


def test_a_card_that_vanishes_soon_after_an_error_gets_the_same_time_again(
    bench: Bench, load: Load
) -> None:
    """Hostile case 85: not what is left of the time that it had at first."""
    for _ in range(RESETS):
        assert bench.vm.break_bus(CARD, "relapse") == RECOVERED
        load.wait_moving()
    assert load.count("gone") == 0


def test_a_card_that_was_given_up_has_no_say_in_what_becomes_of_others(
    bench: Bench, load: Load
) -> None:
    """Hostile case 85: the functions of one card recover together, or not at all."""
    assert bench.vm.break_bus(CARD, "failed") == DISCONNECT
    load.wait("gone")
    for step in ("frozen", "reset"):
        assert bench.vm.break_bus(CARD, step) == NO_SAY
    bench.vm.break_bus(CARD, "resume")
    done = bench.vm.run(["ip", "link", "set", bench.near, "mtu", "1400"], check=False)
    assert done.returncode and "No such device" in done.stderr, done
    replace(bench)
    load.wait_again(1)


def test_a_link_that_flaps_under_load_is_survived(
    bench: Bench, load: Load, request: pytest.FixtureRequest
) -> None:
    """Hostile case 86."""
    path = f"/sys/class/net/{bench.near}/carrier"
    for _ in range(ALL_FLAPS if is_full(request) else FLAPS):
        bench.vm.set_link(CARD, False)
        bench.vm.wait_until(lambda: bench.vm.read_file(path) == b"0\n", 30, "no link")
        bench.vm.set_link(CARD, True)
        load.wait_moving()
    assert load.count("gone") == 0


@pytest.mark.parametrize(
    "words",
    [
        "ip link set {0} down; ip link set {0} up",
        "ethtool -G {0} rx 64 tx 64; ethtool -G {0} rx 256 tx 256",
        "ip link set {0} mtu 1400; ip link set {0} mtu 1500",
        "ethtool -K {0} rxvlan off; ethtool -K {0} rxvlan on",
        "ethtool -C {0} rx-usecs 100; ethtool -C {0} rx-usecs 20",
    ],
    ids=["down", "rings", "mtu", "features", "coalescing"],
)
def test_settings_changed_under_load_are_survived(bench: Bench, load: Load, words: str) -> None:
    """Hostile case 90."""
    for _ in range(3):
        bench.vm.run(["sh", "-ec", words.format(bench.near)])
        load.wait_moving()
    done = bench.vm.run(["ethtool", "-L", bench.near, "combined", "1"], check=False)
    assert done.returncode != 0, "the number of queues is fixed while a tap is open"
    assert load.count("gone") == 0
    bench.usual_rings(bench.near)


def test_bus_mastering_that_is_taken_and_given_back_under_load(bench: Bench, load: Load) -> None:
    """Hostile case 83."""
    resets = bench.port_stats(bench.near)["resets"]
    bench.vm.run(["setpci", "-s", bench.vm.pci(CARD), "COMMAND=0:4"])
    bench.vm.wait_until(
        lambda: bench.port_stats(bench.near)["resets"] > resets, 60, "the watchdog's reset"
    )
    bench.vm.run(["setpci", "-s", bench.vm.pci(CARD), "COMMAND=4:4"])
    bench.vm.write_file(f"{device(bench)}/reset", b"1")
    load.wait_moving()
    assert load.count("gone") == 0


def unmasked(bench: Bench, n_queues: int) -> bool:
    """Whether the card may interrupt for each queue and, by vector 0, for a change of its link."""
    peek = bench.vm.guest.modules["registers"].peek
    vectors, causes = (peek(f"{device(bench)}/resource0", register) for register in (EIMS, IMS))
    return bool(vectors == (2 << n_queues) - 1 and causes & LINK_CHANGE)


def mask_all(bench: Bench) -> None:
    poke = bench.vm.guest.modules["registers"].poke
    for register in (EIMC, IMC):
        poke(f"{device(bench)}/resource0", register, 0xFFFFFFFF)


def test_interrupts_masked_behind_the_drivers_back_only_delay(bench: Bench, load: Load) -> None:
    """Hostile case 92."""
    for _ in range(3):
        mask_all(bench)
        load.wait_moving()


def test_interrupts_masked_on_a_quiet_card_are_unmasked_again(bench: Bench) -> None:
    """Hostile case 92: no poll is under way that would unmask its own, and none unmasks the link's.

    That a frame comes, and that the link's state is seen, could be the watchdog's own looking; so
    the card is asked what it may interrupt for.
    """
    neighbour = bench.vm.guest.modules["neighbour"].Neighbour(bench.peer)
    tap = bench.abi.Tap().attach(bench.near).map()

    def wait_unmasked() -> None:
        n_queues = tap.field("n_queues")
        bench.vm.wait_until(lambda: unmasked(bench, n_queues), 30, "all to be unmasked")

    wait_unmasked()
    for n in range(3):
        mask_all(bench)
        neighbour.send(n)
        (desc,) = bench.vm.guest.fetch(tap.read_all(1))
        assert tap.data(desc) == frame(n)
        tap.release(desc[HANDLE])
        wait_unmasked()
        for up in (False, True):
            mask_all(bench)
            bench.vm.set_link(CARD, up)
            bench.vm.wait_carrier(CARD, up=up)
            wait_unmasked()
    tap.close()
    neighbour.close()


def test_a_link_that_the_firmware_uses_is_left_as_it_is(bench: Bench, load: Load) -> None:
    """What is wanted of it is refused: the card would go by that, and the PHY would not."""
    poke = bench.vm.guest.modules["registers"].poke
    words = ["ethtool", "-s", bench.near, "autoneg", "off", "speed", "100", "duplex", "full"]
    poke(f"{device(bench)}/resource0", MANC, KEEP_PHY)
    try:
        for refused in (words, ["ethtool", "-r", bench.near]):
            done = bench.vm.run(refused, check=False)
            assert done.returncode and "busy" in done.stderr.lower(), done
        load.wait_moving()
    finally:
        poke(f"{device(bench)}/resource0", MANC, 0)
    speed = f"/sys/class/net/{bench.near}/speed"
    assert bench.vm.read_file(speed) == b"1000\n"
