# SPDX-License-Identifier: GPL-2.0-or-later
"""Moving a PCI card between its stock driver and NTZC's, through sysfs.

The kernel's side is told in Documentation/ABI/testing/sysfs-bus-pci: ``bind``, ``unbind``
and ``driver_override``.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pyntzc._errors import (
    BusyError,
    ModuleNotLoadedError,
    NoSuchPortError,
    NtzcError,
    NtzcOSError,
    PermissionDeniedError,
)

STOCK_DRIVERS = {"ntzc_igb": "igb"}
"""NTZC's drivers, and whose cards each takes."""

_ADDRESS = re.compile(r"(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", re.IGNORECASE)
_SETTLE_S = 10


class CardInUseError(NtzcError):
    """The card carries something that moving it would cut off."""


def _ip(*arguments: str) -> list[dict[str, object]]:
    """Ask iproute2; its JSON output is a list of objects."""
    done = subprocess.run(
        ["ip", "-json", *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    found = json.loads(done.stdout or "[]")
    return [entry for entry in found if entry]


class Cards:
    """The PCI cards of this machine. *root* and *write* are for tests."""

    def __init__(
        self,
        root: Path = Path("/sys"),
        write: Callable[[Path, str], object] = Path.write_text,
        ip: Callable[..., list[dict[str, object]]] = _ip,
    ) -> None:
        self._root = root
        self._do_write = write
        self._ip = ip

    # --- looking ---

    def find(self, name: str) -> str:
        """Return the PCI address of a card named by that (also without domain) or an interface.

        Raises NoSuchPortError.
        """
        if match := _ADDRESS.fullmatch(name):
            address = f"{match[1] or '0000'}:{match[2]}".lower()
            if self._device(address).is_dir():
                return address
        elif name and "/" not in name:
            device = (self._root / "class/net" / name / "device").resolve()
            address = device.name
            if _ADDRESS.fullmatch(address) and self._device(address).is_dir():
                return address
        raise NoSuchPortError(errno.ENODEV, "no such PCI card, and no interface of one", name)

    def driver(self, address: str) -> str | None:
        """Return the name of the driver that has the card, if any."""
        link = self._device(address) / "driver"
        return link.resolve().name if link.exists() else None

    def interfaces(self, address: str) -> list[str]:
        """Return the names of the card's interfaces."""
        folder = self._device(address) / "net"
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def of_ntzc(self) -> list[str]:
        """Return the addresses of all cards that one of NTZC's drivers has."""
        return sorted(
            entry.name
            for name in STOCK_DRIVERS
            for entry in self._driver(name).glob("*:*:*.*")
            if _ADDRESS.fullmatch(entry.name)
        )

    def uses(self, address: str) -> list[str]:
        """Return what the card carries, each as a phrase; empty if it can be moved at will.

        Link-local IPv6 addresses, which every interface has, don't count.
        """
        found = []
        for interface in self.interfaces(address):
            found += self._addresses(interface)
            for family in ("-4", "-6"):
                for route in self._ip(family, "route", "show", "default"):
                    hops = route.get("nexthops") or [route]
                    assert isinstance(hops, list)
                    if any(hop.get("dev") == interface for hop in hops):
                        found.append(f"{interface} carries the default route")
                        break
            above = sorted((self._root / "class/net" / interface).glob("upper_*"))
            found += [
                f"{interface} is part of {entry.name.removeprefix('upper_')}" for entry in above
            ]
        return found

    def _addresses(self, interface: str) -> list[str]:
        found = []
        for link in self._ip("address", "show", "dev", interface):
            infos = link.get("addr_info")
            assert isinstance(infos, list)
            for info in infos:
                if info.get("family") == "inet" or info.get("scope") != "link":
                    found.append(f"{interface} has the address {info.get('local')}")
        return found

    # --- moving ---

    def attach(self, address: str, *, force: bool = False) -> None:
        """Take the card from its driver and give it to NTZC's. On failure all is as before.

        Raises CardInUseError unless *force*, ModuleNotLoadedError if NTZC's driver is not
        loaded, PermissionDeniedError, NtzcError if the driver does not take this card.
        """
        new = next(iter(STOCK_DRIVERS))
        self._require_driver(new)
        self._require_idle(address, force)
        old = self.driver(address)
        with ExitStack() as undo:
            if old is not None:
                self._unbind(old, address, undo)
            # bind without an override, for which the driver must know the card's id;
            # with one it would be given any card
            self._override(address, None, undo)
            undo.callback(self._leave, new, address)
            self._bind(new, address)
            self._override(address, new, undo)
            undo.pop_all()
        self._settle()

    def detach(self, address: str, *, force: bool = False, driver: str | None = None) -> None:
        """Give a card of NTZC's back to the stock driver, or to *driver*. Else as attach()."""
        old = self.driver(address)
        if old not in STOCK_DRIVERS:
            raise NtzcError(f"{address} is not NTZC's: its driver is {old or 'none'}")
        new = driver or STOCK_DRIVERS[old]
        self._require_driver(new)
        self._require_idle(address, force)
        with ExitStack() as undo:
            self._unbind(old, address, undo)
            self._override(address, None, undo)
            undo.callback(self._leave, new, address)
            self._bind(new, address)
            undo.pop_all()
        self._settle()

    # What undoes something is noted before it is done, and looks whether it was: an
    # interrupt comes when a driver, which takes its time, returns.

    def _unbind(self, driver: str, address: str, undo: ExitStack) -> None:
        undo.callback(self._return, driver, address)
        self._write(self._driver(driver) / "unbind", address)

    def _return(self, driver: str, address: str) -> None:
        if self.driver(address) != driver:
            self._write(self._driver(driver) / "bind", address)

    def _leave(self, driver: str, address: str) -> None:
        if self.driver(address) == driver:
            self._write(self._driver(driver) / "unbind", address)

    def _bind(self, driver: str, address: str) -> None:
        try:
            self._write(self._driver(driver) / "bind", address)
        except NtzcOSError as error:
            if error.errno != errno.ENODEV:
                raise
            raise NtzcError(f"{address}: not a card that {driver} knows") from error
        if self.driver(address) != driver:
            raise NtzcError(f"{address}: {driver} did not take the card; see the kernel's log")

    def _override(self, address: str, driver: str | None, undo: ExitStack) -> None:
        """Say which driver alone may have the card, or that any may."""
        path = self._device(address) / "driver_override"
        before = path.read_text().strip()
        undo.callback(self._write, path, "\n" if before == "(null)" else f"{before}\n")
        self._write(path, f"{driver or ''}\n")

    def _require_driver(self, name: str) -> None:
        if not self._driver(name).is_dir():
            raise ModuleNotLoadedError(
                errno.ENOENT, f"the driver is not loaded; load it (modprobe {name})", name
            )

    def _require_idle(self, address: str, force: bool) -> None:
        if force:
            return
        try:
            uses = self.uses(address)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise CardInUseError(
                f"{address}: cannot tell whether it is in use ({error}); --force moves it anyway"
            ) from error
        if uses:
            raise CardInUseError(f"{address}: {', '.join(uses)}; --force moves it anyway")

    def _settle(self) -> None:
        """Wait until udev has given the new interface its name."""
        if self._root == Path("/sys") and shutil.which("udevadm"):
            subprocess.run(
                ["udevadm", "settle", f"--timeout={_SETTLE_S}"], check=False, capture_output=True
            )

    def _device(self, address: str) -> Path:
        return self._root / "bus/pci/devices" / address

    def _driver(self, name: str) -> Path:
        return self._root / "bus/pci/drivers" / name

    def _write(self, path: Path, text: str) -> None:
        try:
            self._do_write(path, text)
        except PermissionError as error:
            raise PermissionDeniedError(
                error.errno or errno.EACCES, "moving a card needs root", str(path)
            ) from error
        except OSError as error:
            cls = BusyError if error.errno == errno.EBUSY else NtzcOSError
            raise cls(error.errno, error.strerror, str(path)) from error
