# SPDX-License-Identifier: GPL-2.0-or-later
"""Moving cards, on a sysfs of files that reacts as the kernel does."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

import pyntzc
from pyntzc._cards import CardInUseError, Cards

CARD = "0000:01:00.0"
OTHER = "0000:02:00.0"


class FakeSysfs:
    """Two cards: CARD, which igb has and NTZC's driver knows, and OTHER, which it doesn't."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.writes: list[str] = []
        self.refuse: dict[str, int] = {}
        self.ip_answers: dict[tuple[str, ...], list[dict[str, object]]] = {}
        for driver in ("igb", "ntzc_igb", "e1000e"):
            (root / "bus/pci/drivers" / driver).mkdir(parents=True)
        for address, driver, interface in ((CARD, "igb", "eth1"), (OTHER, "e1000e", "eth2")):
            device = root / "bus/pci/devices" / address
            (device / "net" / interface).mkdir(parents=True)
            (device / "driver_override").write_text("(null)\n")
            (root / "class/net" / interface).mkdir(parents=True)
            (root / "class/net" / interface / "device").symlink_to(device)
            self._bind(address, driver)
        (root / "class/net/lo").mkdir()

    def cards(self) -> Cards:
        return Cards(self.root, self.write, self.ip)

    def ip(self, *arguments: str) -> list[dict[str, object]]:
        if arguments[0] == "address":
            return self.ip_answers.get(arguments, [{"ifname": arguments[-1], "addr_info": []}])
        return self.ip_answers.get(arguments, [])

    def state(self) -> dict[str, tuple[str | None, str]]:
        devices = self.root / "bus/pci/devices"
        return {
            address: (
                self.cards().driver(address),
                (devices / address / "driver_override").read_text().strip(),
            )
            for address in (CARD, OTHER)
        }

    def _bind(self, address: str, driver: str) -> None:
        target = self.root / "bus/pci/drivers" / driver
        (self.root / "bus/pci/devices" / address / "driver").symlink_to(target)
        (target / address).symlink_to(self.root / "bus/pci/devices" / address)

    def write(self, path: Path, text: str) -> None:
        name = str(path.relative_to(self.root / "bus/pci"))
        self.writes.append(f"{name} {text.strip()}")
        if number := self.refuse.pop(name, 0):
            raise OSError(number, "refused", str(path))
        text = text.strip()
        if path.name == "driver_override":
            path.write_text(f"{text or '(null)'}\n")
        elif path.name == "unbind":
            (path.parent / text).unlink()
            (self.root / "bus/pci/devices" / text / "driver").unlink()
        else:
            override = (self.root / "bus/pci/devices" / text / "driver_override").read_text()
            known = {CARD: {"igb", "ntzc_igb"}, OTHER: {"e1000e"}}[text]
            if override.strip() != "(null)":
                known = {override.strip()}
            if path.parent.name not in known:
                raise OSError(errno.ENODEV, "No such device", str(path))
            self._bind(text, path.parent.name)


@pytest.fixture
def sysfs(tmp_path: Path) -> FakeSysfs:
    return FakeSysfs(tmp_path)


def test_cards_are_found_by_address_and_by_interface(sysfs: FakeSysfs) -> None:
    cards = sysfs.cards()
    assert cards.find(CARD) == cards.find("01:00.0") == cards.find("eth1") == CARD
    assert cards.interfaces(CARD) == ["eth1"]
    for name in ("eth9", "lo", "0000:09:00.0", "", "../eth1", "."):
        with pytest.raises(pyntzc.NoSuchPortError):
            cards.find(name)


def test_attach_and_detach_move_a_card_and_leave_no_trace(sysfs: FakeSysfs) -> None:
    before = sysfs.state()
    cards = sysfs.cards()
    cards.attach(CARD)
    assert sysfs.state()[CARD] == ("ntzc_igb", "ntzc_igb")
    assert cards.of_ntzc() == [CARD]
    cards.detach(CARD)
    assert sysfs.state() == before


def test_an_override_that_was_there_does_not_stop_attach(sysfs: FakeSysfs) -> None:
    (sysfs.root / "bus/pci/devices" / CARD / "driver_override").write_text("igb\n")
    sysfs.cards().attach(CARD)
    assert sysfs.state()[CARD] == ("ntzc_igb", "ntzc_igb")


def test_a_card_that_the_driver_does_not_know_stays_as_it_was(sysfs: FakeSysfs) -> None:
    before = sysfs.state()
    with pytest.raises(pyntzc.NtzcError, match="not a card that ntzc_igb knows"):
        sysfs.cards().attach(OTHER)
    assert sysfs.state() == before


@pytest.mark.parametrize(
    "step",
    [
        "drivers/igb/unbind",
        "drivers/ntzc_igb/bind",
        f"devices/{CARD}/driver_override",
    ],
)
@pytest.mark.parametrize("number", [errno.EPERM, errno.EBUSY, errno.EIO])
@pytest.mark.parametrize("override", ["(null)", "igb"])
def test_a_failed_attach_puts_everything_back(
    sysfs: FakeSysfs, step: str, number: int, override: str
) -> None:
    (sysfs.root / "bus/pci/devices" / CARD / "driver_override").write_text(f"{override}\n")
    before = sysfs.state()
    sysfs.refuse[step] = number
    with pytest.raises(pyntzc.NtzcOSError) as caught:
        sysfs.cards().attach(CARD)
    assert caught.value.errno == number
    assert isinstance(caught.value, pyntzc.PermissionDeniedError) == (number == errno.EPERM)
    assert sysfs.state() == before


@pytest.mark.parametrize(
    "step", ["drivers/ntzc_igb/unbind", "drivers/igb/bind", f"devices/{CARD}/driver_override"]
)
def test_a_failed_detach_puts_everything_back(sysfs: FakeSysfs, step: str) -> None:
    sysfs.cards().attach(CARD)
    before = sysfs.state()
    sysfs.refuse[step] = errno.EIO
    with pytest.raises(pyntzc.NtzcOSError):
        sysfs.cards().detach(CARD)
    assert sysfs.state() == before


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        (
            ("address", "show", "dev", "eth1"),
            [{"addr_info": [{"family": "inet", "local": "10.0.0.1", "scope": "global"}]}],
            "eth1 has the address 10.0.0.1",
        ),
        (
            ("address", "show", "dev", "eth1"),
            [{"addr_info": [{"family": "inet6", "local": "2001:db8::1", "scope": "global"}]}],
            "eth1 has the address 2001:db8::1",
        ),
        (
            ("-4", "route", "show", "default"),
            [{"dst": "default", "dev": "eth1"}],
            "eth1 carries the default route",
        ),
        (
            ("-6", "route", "show", "default"),
            [{"dst": "default", "nexthops": [{"dev": "eth0"}, {"dev": "eth1"}]}],
            "eth1 carries the default route",
        ),
    ],
)
def test_a_card_in_use_is_refused_unless_forced(
    sysfs: FakeSysfs, question: tuple[str, ...], answer: list[dict[str, object]], why: str
) -> None:
    sysfs.ip_answers[question] = answer
    with pytest.raises(CardInUseError, match=why):
        sysfs.cards().attach(CARD)
    assert not sysfs.writes
    sysfs.cards().attach(CARD, force=True)
    assert sysfs.state()[CARD][0] == "ntzc_igb"
    with pytest.raises(CardInUseError, match=why):
        sysfs.cards().detach(CARD)


def test_a_part_of_a_bond_is_refused_and_a_link_local_address_is_not(sysfs: FakeSysfs) -> None:
    link_local = {"family": "inet6", "local": "fe80::1", "scope": "link"}
    sysfs.ip_answers["address", "show", "dev", "eth1"] = [{"addr_info": [link_local]}]
    assert sysfs.cards().uses(CARD) == []
    (sysfs.root / "class/net/eth1/upper_bond0").mkdir()
    assert sysfs.cards().uses(CARD) == ["eth1 is part of bond0"]


def test_a_card_whose_use_cannot_be_told_is_refused(sysfs: FakeSysfs) -> None:
    def no_ip(*arguments: str) -> Any:
        raise FileNotFoundError(errno.ENOENT, "no such file", "ip")

    with pytest.raises(CardInUseError, match="cannot tell"):
        Cards(sysfs.root, sysfs.write, no_ip).attach(CARD)


def test_a_driver_that_is_not_loaded_is_told_before_anything_moves(sysfs: FakeSysfs) -> None:
    (sysfs.root / "bus/pci/drivers/ntzc_igb").rmdir()
    with pytest.raises(pyntzc.ModuleNotLoadedError, match="modprobe ntzc_igb"):
        sysfs.cards().attach(CARD)
    assert not sysfs.writes


def test_only_cards_of_ntzc_are_detached(sysfs: FakeSysfs) -> None:
    with pytest.raises(pyntzc.NtzcError, match="its driver is e1000e"):
        sysfs.cards().detach(OTHER)
