# SPDX-License-Identifier: GPL-2.0-or-later
"""``make bench``: NTZC and its peers, side by side in one machine.

Two cards, one of NTZC's driver and one of the stock driver, in a VM of one processor whose
every instruction is counted; the host offers both the same frames at the same rate. A figure
is what was executed between two marks of a program, interrupts and timer ticks included,
divided by its packets. Start-up and first touches of pages come before the first mark; two
runs of equal length follow each other, and the second counts: the first shows how well it
repeats. Results go to build/bench/results.json.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click
from rich.progress import track

from bench.systems import ROOT, SYSTEMS, Case, Programs, System
from emulation import kernels, modules
from emulation.vm import VM

MODERATION_US = 8000  # some 100 frames an interrupt and more, at the rate that the host offers
RING = 4096
SIZES = (60, 124, 252, 508, 1020, 1276, 1514, 9014)
BATCHES = (1, 4, 16, 64, 256, 512)
TAPS = (1, 2, 5, 16)
JUMBO = 1514
OURS, STOCK = 0, 1
RESULTS = ROOT / "build/bench/results.json"


def full() -> Iterator[tuple[System, Case]]:
    """Every way with every size; ours also by batch and by taps."""
    for system in SYSTEMS:
        for direction in system.directions:
            for size in SIZES:
                yield system, Case(direction, size)
            for batch in BATCHES:
                if system.batches and batch != 64:
                    yield system, Case(direction, batch=batch)
        if system.taps:
            for taps in TAPS[1:]:
                yield system, Case("rx", taps=taps)


def quick() -> Iterator[tuple[System, Case]]:
    """The shortest and the longest usual frame; a further tap; Python and C in large batches."""
    for system in SYSTEMS:
        for direction in system.directions:
            for size in (60, 1514):
                yield system, Case(direction, size)
    by_name = {system.name: system for system in SYSTEMS}
    yield by_name["ntzc-rings"], Case("rx", taps=5)
    for name in ("ntzc-rings", "ntzc-python"):
        yield by_name[name], Case("rx", batch=256)


@dataclass(frozen=True)
class Record:
    """A result; figures are per packet.

    Attributes:
        system: of :data:`bench.systems.SYSTEMS`.
        setup: how it was set up.
        kernel: release that it ran on.
        driver: of the card.
        direction: ``rx``, ``tx`` or ``forward``.
        frame_len: bytes without the frame check sequence.
        batch: frames that the program asks for at a time.
        taps: how many read each frame.
        insn_user: guest instructions in user space.
        insn_kernel: in the kernel, NTZC's modules and the card's driver excepted.
        insn_driver: in the card's driver.
        insn_core: in ntzc.ko.
        insn_total: all.
        mmio_reads: device registers read by modules.
        mmio_writes: and written.
        packets: between the two marks.
        repeat: how much more the counted run took than the one before it, as a fraction.

    """

    system: str
    setup: str
    kernel: str
    driver: str
    direction: str
    frame_len: int
    batch: int
    taps: int
    insn_user: float
    insn_kernel: float
    insn_driver: float
    insn_core: float
    insn_total: float
    mmio_reads: float
    mmio_writes: float
    packets: int
    repeat: float


class Bench:
    """The machine, with everything in it."""

    def __init__(self, vm: VM, programs: Programs) -> None:
        self.vm = vm
        self._programs = programs
        self._mtu = 1500
        self.ifaces = [vm.interface(OURS), vm.interface(STOCK)]
        for card, name in enumerate(self.ifaces):
            vm.run(["ethtool", "-L", name, "combined", "1"], check=False)
            vm.run(["ethtool", "-G", name, "rx", str(RING), "tx", str(RING)])
            vm.run(["ethtool", "-C", name, "rx-usecs", str(MODERATION_US)])
            vm.run(["sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1"])
            vm.run(["ip", "link", "set", name, "up"])
            vm.wait_carrier(card)

    def _fit(self, frame_len: int) -> None:
        mtu = 1500 if frame_len <= JUMBO else frame_len - 14
        if mtu == self._mtu:
            return
        for card, name in enumerate(self.ifaces):
            self.vm.run(["ip", "link", "set", name, "mtu", str(mtu)])
            self.vm.wait_carrier(card)
        self._mtu = mtu

    def measure(self, system: System, case: Case) -> Record:
        """Run one case."""
        self._fit(case.frame_len)
        card = OURS if system.ours else STOCK
        self._run(system, case, card)
        first, second = self.vm.insn.between(1, 2), self.vm.insn.between(2, 3)
        owners = dict(second.by_owner)
        driver = "ntzc_igb" if system.ours else "igb"
        user, drv, core = (owners.pop(name, 0) for name in ("user", driver, "ntzc"))
        n = case.count
        return Record(
            system.name, system.setup, self.vm.kernel.release, driver, case.direction,
            case.frame_len, case.batch, case.taps, user / n, sum(owners.values()) / n, drv / n,
            core / n, second.total / n, second.mmio_reads / n, second.mmio_writes / n, n,
            second.total / first.total - 1,
        )  # fmt: skip

    def _run(self, system: System, case: Case, card: int) -> None:
        wire = self.vm.wires[card]
        assert wire
        frame = bytes.fromhex("02000000aa0102000000aa0288b5").ljust(case.frame_len, b"\x5a")
        command = system.command(self._programs, case, self.ifaces[card])
        run = self.vm.spawn(command, env={"PYTHONPATH": str(ROOT / "build/python")})
        ready = f"{system.name} to be ready"
        self.vm.wait_until(lambda: b"ready" in run.stdout or run.returncode is not None, 60, ready)
        if case.direction != "tx":
            while run.returncode is None:
                # less than anybody's ring, so that nothing is lost
                wire.send_many([frame] * 512)
                wire.drain()
        run.wait(600).check()
        wire.drain()


def measure(kernel: str, cases: Iterable[tuple[System, Case]]) -> Iterator[Record]:
    """Measure *cases* in one machine."""
    programs = Programs()
    built = modules.build(kernels.fetch(kernel))
    with VM(kernel, cards=2, cpus=1, insn=True, mmio=True) as vm:
        vm.write_file(f"/sys/bus/pci/devices/{vm.pci(STOCK)}/driver_override", b"igb")
        vm.load_modules(built)
        vm.run(["modprobe", "igb"])
        bench = Bench(vm, programs)
        for system, case in cases:
            yield bench.measure(system, case)
        vm.assert_log_clean()


def describe(record: Record) -> str:
    """Return a line of the table."""
    parts = (record.insn_user, record.insn_kernel, record.insn_driver, record.insn_core)
    cells = "".join(f"{part:9.1f}" for part in parts)
    what = f"{record.system:<18}{record.direction:<8}{record.frame_len:5}{record.batch:5}"
    return f"{what}{record.taps:3}{record.insn_total:10.1f}{cells}{100 * record.repeat:+7.1f}%"


HEAD = (
    f"{'':18}{'':8}{'bytes':>5}{'batch':>5}{'tp':>3}{'total':>10}{'user':>9}{'kernel':>9}"
    f"{'driver':>9}{'core':>9}{'again':>8}"
)


@click.command()
@click.argument("kernel")
@click.option("--quick", "is_quick", is_flag=True, help="Two sizes, fewer cases.")
@click.option("--only", multiple=True, help="Name of a system; may be repeated.")
def main(kernel: str, is_quick: bool, only: tuple[str, ...]) -> None:
    """Measure everything on KERNEL and write build/bench/results.json."""
    names = {system.name for system in SYSTEMS}
    if unknown := set(only) - names:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: know {', '.join(sorted(names))}")
    cases = [
        (system, case)
        for system, case in (quick() if is_quick else full())
        if not only or system.name in only
    ]
    records: list[Record] = []
    print(HEAD)
    progress = track(measure(kernel, cases), total=len(cases), disable=not sys.stdout.isatty())
    for record in progress:
        records.append(record)
        print(describe(record), flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(_results(records), indent=1) + "\n")
    print(f"written: {RESULTS.relative_to(ROOT)}")


def _results(records: list[Record]) -> dict[str, Any]:
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "moderation_us": MODERATION_US,
        "ring": RING,
        "records": [dataclasses.asdict(record) for record in records],
    }


if __name__ == "__main__":
    main()
