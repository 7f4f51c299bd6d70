# SPDX-License-Identifier: GPL-2.0-or-later
"""What was measured on: the host and its cards, as far as the kernel and ethtool tell.

What cannot be known is None, so that a report does not pass over it in silence.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyntzc
from pyntzc._port import Port

_CPU = "sys/devices/system/cpu"
_QEMU_SUBSYSTEM = "0x1af4"  # Red Hat's PCI vendor number, QEMU's default for subsystems
_KINDS = {
    "emulation": "emulation: rates mean nothing for hardware",
    "virtual machine": "virtual machine: rates depend on its host",
    "hardware": "no sign of emulation was found",
}


def run_ethtool(*arguments: str) -> str | None:
    """Return what ethtool printed, or None if it failed or is not installed."""
    try:
        done = subprocess.run(
            ["ethtool", *arguments], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True)
class Environment:
    """Whether rates mean anything.

    Attributes:
        kind: ``emulation``, ``virtual machine`` or ``hardware``.
        reasons: what says so.

    """

    kind: str
    reasons: tuple[str, ...]

    @property
    def label(self) -> str:
        """What to print above and below each figure."""
        return _KINDS[self.kind]

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {"kind": self.kind, "label": self.label, "reasons": list(self.reasons)}


class System:
    """The machine that this runs on. *root* and *ethtool* are for tests."""

    def __init__(
        self,
        root: Path = Path("/"),
        ethtool: Callable[..., str | None] = run_ethtool,
    ) -> None:
        self._root = root
        self._ethtool = ethtool

    def _read(self, path: str) -> str | None:
        try:
            return (self._root / path).read_text(errors="replace").strip()
        except OSError:
            return None

    def environment(self, ports: list[Port]) -> Environment:
        """Return what the machine and the cards *ports* are.

        QEMU's cards have its own subsystem number; a card that is passed through to a
        machine of QEMU's counts as emulated too, as its interrupts and its bus are.
        """
        emulated = []
        for port in ports:
            vendor = self._read(f"sys/bus/pci/devices/{port.bus}/subsystem_vendor")
            if vendor == _QEMU_SUBSYSTEM:
                emulated.append(f"{port.name} has QEMU's PCI subsystem number {vendor}")
        vendor = self._read("sys/class/dmi/id/sys_vendor")
        if vendor == "QEMU":
            emulated.append("the machine's vendor by DMI is QEMU")
        if emulated:
            return Environment("emulation", tuple(emulated))
        if "hypervisor" in (self._cpuinfo("flags") or "").split():
            return Environment("virtual machine", ("the processor's flags name a hypervisor",))
        return Environment("hardware", ())

    def describe(self) -> dict[str, Any]:
        """Return what is known of the host."""
        folder = self._root / _CPU / "vulnerabilities"
        names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        uname = platform.uname()
        return {
            "cpu": self._cpuinfo("model name"),
            "cpus": os.cpu_count(),
            "microcode": self._cpuinfo("microcode"),
            "memory_kib": self._memory_kib(),
            "kernel": uname.release,
            "kernel_version": uname.version,
            "command_line": self._read("proc/cmdline"),
            "vendor": self._read("sys/class/dmi/id/sys_vendor"),
            "product": self._read("sys/class/dmi/id/product_name"),
            "mitigations": {n: self._read(f"{_CPU}/vulnerabilities/{n}") for n in names},
            "governor": self._read(f"{_CPU}/cpu0/cpufreq/scaling_governor"),
            "smt": self._read(f"{_CPU}/smt/control"),
            "turbo_off": self._read(f"{_CPU}/intel_pstate/no_turbo"),
            "pyntzc": pyntzc.__version__,
        }

    def _cpuinfo(self, key: str) -> str | None:
        found = re.search(rf"^{key}\s*: (.*)$", self._read("proc/cpuinfo") or "", re.MULTILINE)
        return found[1] if found else None

    def _memory_kib(self) -> int | None:
        found = re.search(r"^MemTotal:\s*(\d+) kB", self._read("proc/meminfo") or "", re.MULTILINE)
        return int(found[1]) if found else None

    def describe_port(self, port: Port) -> dict[str, Any]:
        """Return what is known of a card."""
        pci = f"sys/bus/pci/devices/{port.bus}"
        files = (
            "vendor device subsystem_vendor subsystem_device revision "
            "current_link_speed current_link_width max_link_speed max_link_width"
        )
        about = {name: self._read(f"{pci}/{name}") for name in files.split()}
        return {
            "interface": port.name,
            "bus": port.bus,
            "mac": port.mac,
            "queues": port.queues,
            "buffers": port.buffers,
            "buffer_bytes": port.buf_size,
            "frame_max_bytes": port.frame_max,
            "numa_node": port.numa_node,
            "mtu": self._read(f"sys/class/net/{port.name}/mtu"),
            "speed_mbit_s": self._read(f"sys/class/net/{port.name}/speed"),
            "pci": about,
            "driver": self._table("-i", port),
            "rings": self._table("-g", port),
            "coalescing": self._table("-c", port),
            "channels": self._table("-l", port),
            "pause": self._table("-a", port),
        }

    def _table(self, option: str, port: Port) -> dict[str, str] | None:
        """Return one of ethtool's lists; keys of a further section are told apart by its name."""
        text = self._ethtool(option, port.name)
        if text is None:
            return None
        found: dict[str, str] = {}
        section = ""
        for line in text.splitlines():
            key, colon, value = (part.strip() for part in line.partition(":"))
            if not colon:
                continue
            pair = re.fullmatch(r"(\S+)\s+TX: (\S+)", value)  # two on a line
            if pair and key.endswith("RX"):
                value = pair[1]
                if pair[2] != "n/a":
                    found[f"{section}{key[:-2]}TX"] = pair[2]
            if not value and not line[:1].isspace() and key.endswith(("maximums", "settings")):
                section = f"{key.lower()}: "
            elif value not in ("", "n/a"):
                found[section + key] = value
        return found
