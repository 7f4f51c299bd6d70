# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine in which NTZC and its peers are measured.

Three cards, one of NTZC's driver, one of the stock driver, one for user space to drive, in a
VM of one processor whose every instruction is counted; the host offers all of them the same
frames in the same way. A figure is what was executed between two marks of a program,
interrupts and timer ticks included, divided by its packets. Start-up and first touches of
pages come before the first mark; two runs of equal length follow each other, and what differs
between them shows how well it repeats.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import shlex
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from bench.cost import Cost, runs
from bench.source import USUAL_LEN, Source
from bench.systems import ROOT, Card, Case, PeerPrograms, System
from emulation import kernels, modules
from emulation.insn.counter import Place
from emulation.vm import VM

MODERATION_US = 8000  # some 100 frames an interrupt and more, at the rate that the host offers
RING = 4096
STEADY = 0.01  # by how much, at most, the two runs should differ
ATTEMPTS = 2  # at a case whose runs differ by more
_HUGE_PAGES = 160  # of 2 MiB, for DPDK: 256 MiB and some
# Of one processor the kernel would take the lock prefixes out, and they are counted. Now and then
# it would look which memory is used, or copy what a program has into huge pages; and while it
# idles until more frames come, it would wake to see whether a clock or a processor has stopped.
KERNEL_LINE = (
    "noreplace-smp damon_stat.enabled=0 transparent_hugepage=never tsc=reliable nowatchdog"
)
# An instruction takes 2^0 ns, so that a busy host does not make for more timers and interrupts.
COUNTED_CLOCK = ("-icount", "shift=0,sleep=on")
# What a driver does once in a while, however many packets there are.
_RARE = r"stats|watchdog|link|irq_on$"
_KNOWN_ROUNDS = 2000
_KNOWN_LEN = 1000


def of(counts: Mapping[Place, int], owners: Collection[str], but: str = "$^") -> int:
    """Return how many of *counts* are of functions of *owners*, but of those named so."""
    kept = (
        n for (owner, name), n in counts.items() if owner in owners and not re.search(but, name)
    )
    return sum(kept)


class CounterError(Exception):
    """The counter counted something else than what is known to have happened."""


@dataclass(frozen=True)
class Record:
    """A result; figures are per packet.

    Attributes:
        system: of :data:`bench.systems.SYSTEMS`.
        setup: how it was set up.
        command: what ran in the machine, from the repository's folder.
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
        insn_copying: of those in the kernel, in its routines for copying.
        syscalls: system calls.
        interrupts: of devices, timers and processors.
        atomics: instructions with a lock prefix, and exchanges with memory.
        copied_bytes: what the kernel's routines for copying were asked to copy.
        mmio: accesses to device registers, by the card's driver or by user space.
        mmio_reads: of those, reads.
        mmio_reads_hot: of those, where packets are dealt with: all but the once in a while.
        mmio_writes: and writes.
        packets: of both runs, as the program counts.
        repeat: how much more the second run took than the first, as a fraction.
        steady: whether that is at most one percent.
        attempts: how often the case was run; the steadiest counts.
        sitting: when its machine was booted: a run may have been interrupted.
        revision: of what was measured; see :func:`revision`.

    """

    system: str
    setup: str
    command: str
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
    insn_copying: float
    syscalls: float
    interrupts: float
    atomics: float
    copied_bytes: float
    mmio: float
    mmio_reads: float
    mmio_reads_hot: float
    mmio_writes: float
    packets: int
    repeat: float
    steady: bool
    attempts: int
    sitting: str
    revision: str


def revision() -> str:
    """Return a digest of all that is measured, and of what measures it."""
    folders = ("module", "driver", "libntzc", "pyntzc", "bench", "emulation")
    kinds = {".c", ".h", ".py", ".pyi"}
    paths = (path for name in folders for path in (ROOT / name).rglob("*"))
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.suffix in kinds):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


class Lab:
    """The machine, with everything in it; made by :func:`lab`.

    Args:
        vm: a machine with a card for each of :class:`Card`.
        programs: what runs in it.

    """

    def __init__(self, vm: VM, programs: PeerPrograms) -> None:
        self.vm = vm
        self._programs = programs
        self._sitting = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._revision = revision()
        self._mtu = 1500
        self._queues = 1
        self._user_mmio = False
        self._ifaces = {card: vm.interface(card) for card in (Card.OURS, Card.STOCK)}
        for card, name in self._ifaces.items():
            vm.run(["ethtool", "-L", name, "combined", "1"], check=False)
            vm.run(["ethtool", "-G", name, "rx", str(RING), "tx", str(RING)])
            vm.run(["ethtool", "-C", name, "rx-usecs", str(MODERATION_US)])
            vm.run(["sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1"])
            # AF_XDP takes what the card takes; the others ask for it themselves
            vm.run(["ip", "link", "set", name, "promisc", "on", "up"])
            vm.wait_carrier(card)
        self._source = Source(vm, Card.STOCK)
        self._alone: Card | None = None
        vm.insn.watch()

    @property
    def release(self) -> tuple[int, int]:
        """The kernel's, as (major, minor)."""
        major, minor = self.vm.kernel.release.split(".")[:2]
        return int(major), int(minor)

    def check_counter(self) -> dict[str, int]:
        """Run what is known: so many calls, which copy so much, and atomic instructions.

        Returns:
            What was counted, and as ``rounds`` and ``len_bytes`` what was done.

        Raises:
            CounterError: it is not what was done.

        """
        self.vm.write_file("/run/known", bytes(_KNOWN_LEN))
        numbers = [str(_KNOWN_ROUNDS), str(_KNOWN_LEN)]
        self.vm.run([self._programs.known, "/run/known", *numbers])
        counted = self.vm.insn.between(1, 2)
        found = {
            "pause_ms": self._source.pause_ms,
            "rounds": _KNOWN_ROUNDS,
            "len_bytes": _KNOWN_LEN,
            "syscalls": counted.syscalls,
            "copied_bytes": counted.copied_bytes,
            "user_atomics": counted.atomics.get("user", 0),
        }
        exact = {"syscalls": _KNOWN_ROUNDS, "user_atomics": _KNOWN_ROUNDS}
        if any(found[name] != wanted for name, wanted in exact.items()):
            raise CounterError(f"counted {found}")
        # interrupts in between may copy a little, too
        if not 0 <= found["copied_bytes"] - _KNOWN_ROUNDS * _KNOWN_LEN < _KNOWN_ROUNDS:
            raise CounterError(f"counted {found}")
        return found

    def why_not(self, system: System, case: Case) -> str:
        """Return why the machine cannot run a case, or nothing."""
        if self.release < system.since:
            first = ".".join(map(str, system.since))
            return f"the stock driver has it since Linux {first}; this is {self.vm.kernel.release}"
        if case.frame_len > system.max_len:
            return f"frames of {case.frame_len} bytes do not fit into its buffers of a page"
        return ""

    def measure(self, system: System, case: Case, attempts: int = ATTEMPTS) -> Record:
        """Run one case, again if its two runs differ; the steadiest of *attempts* counts."""
        self._leave_alone(system.card)
        self._fit(case.frame_len)
        self._split(system)
        self._count_for(system)
        found: list[Cost] = []
        while len(found) < attempts and all(abs(cost.repeat) > STEADY for cost in found):
            said = self._run(system, case)
            profiles = self.vm.insn.between(1, 2), self.vm.insn.between(2, 3)
            parts = runs(profiles, case.count, said, sends=case.direction == "tx")
            found.append(Cost(parts, system.card.driver))
        return self._record(system, case, min(found, key=lambda c: abs(c.repeat)), len(found))

    def _record(self, system: System, case: Case, cost: Cost, attempts: int) -> Record:
        syscalls = sum(run.profile.syscalls for run in cost.runs) / cost.packets
        # not what other cards' drivers do meanwhile
        drives = ("user", system.card.driver)
        reads = cost.kernels(lambda p: of(p.mmio_reads, drives))
        hot_reads = cost.kernels(lambda p: of(p.mmio_reads, drives, _RARE))
        writes = cost.kernels(lambda p: of(p.mmio_writes, drives))
        return Record(
            system.name, system.setup, self._command(system, case), self.vm.kernel.release,
            system.card.driver, case.direction, case.frame_len, case.batch, case.taps, *cost.parts,
            cost.total, cost.copying, syscalls, cost.kernels(lambda p: p.interrupts),
            cost.kernels(lambda p: sum(p.atomics.values())), cost.kernels(lambda p: p.copied_bytes),
            reads + writes, reads, hot_reads, writes, cost.packets, cost.repeat,
            abs(cost.repeat) <= STEADY, attempts, self._sitting, self._revision,
        )  # fmt: skip

    def _place(self, card: Card) -> str:
        return self._ifaces.get(card) or self.vm.pci(card)

    def _command(self, system: System, case: Case) -> str:
        words = system.command(self._programs, case, self._place(system.card))
        short = [str(word).replace(f"{ROOT}/", "") for word in words]
        return shlex.join("python" if word == sys.executable else word for word in short)

    def _leave_alone(self, card: Card) -> None:
        """Take the other cards' interfaces down, if they are not.

        The stock driver looks after a link every two seconds, and waits for the card meanwhile:
        300,000 instructions, which would be 20 of each packet of somebody else's.
        """
        if card is self._alone:
            return
        for other, name in self._ifaces.items():
            self.vm.run(["ip", "link", "set", name, "up" if other is card else "down"])
        self._alone = card

    def _fit(self, frame_len: int) -> None:
        mtu = 1500 if frame_len <= USUAL_LEN else frame_len - 14
        if mtu == self._mtu:
            return
        for name in self._ifaces.values():
            self.vm.run(["ip", "link", "set", name, "mtu", str(mtu)])
        self._mtu = mtu

    def _split(self, system: System) -> None:
        if system.ours and system.queues != self._queues:
            words = ["ethtool", "-L", self._ifaces[Card.OURS], "combined", str(system.queues)]
            self.vm.run(words)
            self._queues = system.queues

    def _count_for(self, system: System) -> None:
        """Count user space's accesses to devices while it drives one, which slows it down."""
        wanted = system.card is Card.USER
        if wanted != self._user_mmio:
            self.vm.insn.watch(user_mmio=wanted)
            self._user_mmio = wanted

    def _run(self, system: System, case: Case) -> bytes:
        """Run one case; return what the program said."""
        card = system.card
        wire = self.vm.wires[card]
        assert wire
        if card in self._ifaces:
            self.vm.wait_carrier(card)  # it may have been down, or reset by who used XDP
        command = system.command(self._programs, case, self._place(card))
        environment = {"PYTHONPATH": str(ROOT / "build/python"), **self._source.environment}
        run = self.vm.spawn(command, env=environment)
        ready = f"{system.name} to be ready"
        self.vm.wait_until(lambda: b"ready" in run.stdout or run.returncode is not None, 60, ready)
        if case.direction != "tx":
            self._source.feed(run, card, case.frame_len, system.slowness)
        run.wait(600).check()
        wire.drain()
        return run.stdout


@contextmanager
def lab(kernel: str) -> Iterator[Lab]:
    """Boot the machine with *kernel*, a name of ``ci/kernels.toml``, and set it up.

    At the end the kernel's log must be clean.
    """
    programs = PeerPrograms()
    built = modules.build(kernels.fetch(kernel))
    with VM(
        kernel,
        cards=len(Card),
        cpus=1,
        insn=True,
        mmio=True,
        append=KERNEL_LINE,
        qemu_args=COUNTED_CLOCK,
    ) as vm:
        for card in (Card.STOCK, Card.USER):
            path = f"/sys/bus/pci/devices/{vm.pci(card)}/driver_override"
            vm.write_file(path, card.driver.encode())
        vm.load_modules(built)
        for card in (Card.STOCK, Card.USER):
            vm.run(["modprobe", card.driver])
            vm.run(["sh", "-c", f"echo {vm.pci(card)} >/sys/bus/pci/drivers_probe"])
        vm.write_file("/proc/sys/vm/nr_hugepages", str(_HUGE_PAGES).encode())
        vm.write_file("/proc/sys/net/core/bpf_jit_kallsyms", b"1")
        yield Lab(vm, programs)
        vm.assert_log_clean()
