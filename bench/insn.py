# SPDX-License-Identifier: GPL-2.0-or-later
"""``make insn``: guest instructions per packet, by user, kernel, driver and core.

Every instruction that the VM's one processor executes between two marks of a program is
counted, interrupts, timer ticks and idling included. The programs are bench/insn.c and, for
Python, bench/batch.py. Two runs of equal length follow each other; the figures are of the
second, and the first shows how well they repeat.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.systems import ROOT, Programs
from emulation import kernels, modules
from emulation.insn.counter import Profile
from emulation.vm import VM

COUNT = 16384
MODERATION_US = 8000  # some 100 frames an interrupt and more, at the rate that the host offers
RING = 4096
TAPS = 5


@dataclass(frozen=True)
class Case:
    """One measurement: what is done with frames of which length, how."""

    name: str
    what: str
    len_bytes: int = 60
    batch: int = 64
    calls: bool = False
    taps: int = 1
    python: bool = False


CASES = (
    Case("rx-rings", "rx"),
    Case("rx-rings", "rx", len_bytes=1514),
    Case("rx-read", "rx", calls=True),
    Case("rx-read", "rx", len_bytes=1514, calls=True),
    Case(f"rx-rings-{TAPS}taps", "rx", taps=TAPS),
    Case("tx-rings", "tx"),
    Case("tx-rings", "tx", len_bytes=1514),
    Case("tx-calls", "tx", calls=True),
    Case("forward-rings", "forward"),
    Case("forward-calls", "forward", calls=True),
    Case("rx-rings-256", "rx", batch=256),
    Case("rx-python-256", "rx", batch=256, python=True),
)


@dataclass(frozen=True)
class Figure:
    """Instructions per packet of one measurement."""

    case: Case
    profile: Profile
    repeat: float

    @property
    def per_packet(self) -> float:
        """All of them."""
        return self.profile.total / COUNT

    def row(self) -> str:
        """One line of the table."""
        owners = dict(self.profile.by_owner)
        parts = [owners.pop(name, 0) for name in ("user", "kernel", "ntzc_igb", "ntzc")]
        parts[1] += sum(owners.values())
        cells = [f"{part / COUNT:8.1f}" for part in parts]
        repeat = f"{100 * self.repeat:+7.2f}%"
        head = f"{self.case.name:<16}{self.case.len_bytes:6}"
        return f"{head}{self.per_packet:9.1f}{''.join(cells)}{repeat}"


HEAD = (
    f"{'':16}{'bytes':>6}{'total':>9}{'user':>8}{'kernel':>8}{'driver':>8}{'core':>8}{'again':>8}"
)


@dataclass(frozen=True)
class Bound:
    """What a figure made of others must not exceed."""

    what: str
    most: float
    figure: Callable[[dict[tuple[str, int], float]], float]
    unit: str = ""

    def check(self, found: dict[tuple[str, int], float]) -> bool:
        """Print how it stands; return whether it holds."""
        value = self.figure(found)
        good = value <= self.most
        print(f"bound: {self.what}: {value:.3g}{self.unit} of at most {self.most:g}{self.unit}"
              f"{'' if good else '  EXCEEDED'}")  # fmt: skip
        return good


def _longer(name: str) -> Callable[[dict[tuple[str, int], float]], float]:
    return lambda found: 100 * found[name, 1514] / found[name, 60] - 100


BOUNDS = (
    Bound("receive through rings", 200, lambda f: f["rx-rings", 60]),
    Bound("receive through read and write", 300, lambda f: f["rx-read", 60]),
    Bound("1,514 bytes instead of 60, rings", 5, _longer("rx-rings"), "%"),
    Bound("1,514 bytes instead of 60, read", 5, _longer("rx-read"), "%"),
    Bound("each further tap", 60,
          lambda f: (f[f"rx-rings-{TAPS}taps", 60] - f["rx-rings", 60]) / (TAPS - 1)),
    Bound("forward", 330, lambda f: f["forward-rings", 60]),
    Bound("Python's batches against C's", 1.5,
          lambda f: f["rx-python-256", 60] / f["rx-rings-256", 60], " times"),
)  # fmt: skip


def _command(programs: Programs, case: Case, iface: str) -> list[str | Path]:
    if case.python:
        script = ROOT / "bench/batch.py"
        return [sys.executable, script, programs.marks, iface, str(COUNT), str(case.batch)]
    flags = ["-c"] * case.calls + ["-b", str(case.batch), "-k", str(case.taps)]
    return [programs.client, *flags, case.what, iface, str(COUNT), str(case.len_bytes)]


def measure(vm: VM, programs: Programs, iface: str, case: Case) -> Figure:
    """Run one measurement in the machine."""
    wire = vm.wires[0]
    assert wire
    frame = bytes.fromhex("02000000aa0102000000aa0288b5").ljust(case.len_bytes, b"\x5a")
    run = vm.spawn(_command(programs, case, iface), env={"PYTHONPATH": str(ROOT / "build/python")})
    vm.wait_until(lambda: b"ready" in run.stdout or run.returncode is not None, 60, "the tap")
    if case.what != "tx":
        while run.returncode is None:
            # less than the tap's ring, so that nothing is lost
            wire.send_many([frame] * 512)
            wire.drain()
    run.wait(300).check()
    wire.drain()
    first, second = vm.insn.between(1, 2), vm.insn.between(2, 3)
    return Figure(case, second, second.total / first.total - 1)


def main(kernel: str, *args: str) -> int:
    """Print the figures; return 1 if one is above its bound."""
    wanted = [arg for arg in args if not arg.startswith("--")]
    cases = [case for case in CASES if not wanted or case.name in wanted]
    built = modules.build(kernels.fetch(kernel))
    programs = Programs()
    figures: dict[tuple[str, int], float] = {}
    with VM(kernel, cards=1, cpus=1, insn=True) as vm:
        vm.load_modules(built)
        iface = vm.interface(0)
        vm.run(["ethtool", "-L", iface, "combined", "1"], check=False)
        vm.run(["ethtool", "-G", iface, "rx", str(RING), "tx", str(RING)])
        vm.run(["ethtool", "-C", iface, "rx-usecs", str(MODERATION_US)])
        vm.run(["ip", "link", "set", iface, "up"])
        vm.wait_carrier(0)
        print(f"guest instructions per packet, kernel {vm.kernel.release}, batches of 64,")
        print(f"interrupts moderated to {MODERATION_US} us, {COUNT} packets\n{HEAD}")
        for case in cases:
            figure = measure(vm, programs, iface, case)
            figures[case.name, case.len_bytes] = figure.per_packet
            print(figure.row(), flush=True)
            if "--profile" in args:
                print(figure.profile.table(COUNT))
        vm.assert_log_clean()
    if wanted:
        return 0
    held = [bound.check(figures) for bound in BOUNDS]
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
