# SPDX-License-Identifier: GPL-2.0-or-later
"""``make insn``: guest instructions per packet, by user, kernel, driver and core.

Every instruction that the VM's one processor executes between two marks of a program is
counted, interrupts, timer ticks and idling included. The programs are bench/insn.c and, for
Python, bench/batch.py. Two runs of equal length follow each other; the figures are of both, and
"again" is how much more the second took. What is divided by what: bench/cost.py.

``--check`` instead holds the hot path, which is what the program, the driver and the core
execute, against bench/baseline.json: it may not grow. What the rest of the kernel does besides
comes and goes with the host's load. ``--record`` writes that file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cost import Cost, runs
from bench.goals import Record, standing
from bench.lab import COUNTED_CLOCK, KERNEL_LINE, MODERATION_US, RING
from bench.source import Source
from bench.systems import ROOT, Programs
from emulation import kernels, modules
from emulation.vm import VM

COUNT = 16384
BASELINE = ROOT / "bench/baseline.json"
GROWTH = 0.03  # of the hot path, at most, against the baseline
ATTEMPTS = 3  # the least of so many is recorded; at a case that has grown, compared


@dataclass(frozen=True)
class Case:
    """One measurement: what is done with frames of which length, how."""

    name: str
    what: str
    len_bytes: int = 60
    batch: int = 64
    calls: bool = False
    taps: int = 1
    loaded: bool = False
    python: bool = False

    @property
    def key(self) -> str:
        """Names it in the baseline."""
        return f"{self.name} {self.len_bytes}"


CASES = (
    Case("rx-rings", "rx"),
    Case("rx-rings", "rx", len_bytes=1514),
    Case("rx-read", "rx", calls=True),
    Case("rx-read", "rx", len_bytes=1514, calls=True),
    Case("rx-rings-5taps", "rx", taps=5),
    Case("rx-rings-loaded", "rx", loaded=True),
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
    """What was measured of a case."""

    case: Case
    cost: Cost

    def record(self) -> Record:
        """As bench/goals.py wants it."""
        case, cost = self.case, self.cost
        way = "python" if case.python else "read" if case.calls else "rings"
        user, kernel, driver, core = cost.parts
        return {
            "system": f"ntzc-{way}{'-loaded' * case.loaded}",
            "direction": case.what,
            "frame_len": case.len_bytes,
            "batch": case.batch,
            "taps": case.taps,
            "insn_user": user,
            "insn_kernel": kernel,
            "insn_driver": driver,
            "insn_core": core,
            "insn_copying": cost.copying,
            "insn_total": cost.total,
        }

    def row(self) -> str:
        """One line of the table."""
        cells = [f"{part:8.1f}" for part in self.cost.parts]
        head = f"{self.case.name:<16}{self.case.len_bytes:6}{self.cost.total:9.1f}"
        return f"{head}{''.join(cells)}{100 * self.cost.repeat:+7.2f}%"

    def table(self) -> str:
        """Return the second run by function."""
        run = self.cost.runs[-1]
        return run.profile.table(run.delivered)


HEAD = (
    f"{'':16}{'bytes':>6}{'total':>9}{'user':>8}{'kernel':>8}{'driver':>8}{'core':>8}{'again':>8}"
)


def _command(programs: Programs, case: Case, iface: str) -> list[str | Path]:
    if case.python:
        numbers = [str(COUNT), str(case.batch)]
        words: list[str | Path] = [programs.marks, iface, *numbers, case.what, str(case.len_bytes)]
        return [sys.executable, ROOT / "bench/batch.py", *words]
    flags = ["-c"] * case.calls + ["-l"] * case.loaded
    flags += ["-b", str(case.batch), "-k", str(case.taps)]
    return [programs.client, *flags, case.what, iface, str(COUNT), str(case.len_bytes)]


@contextmanager
def _queues(vm: VM, iface: str, case: Case) -> Iterator[None]:
    """Give the card a second queue for the taps of a loaded one that get nothing."""
    if case.loaded:
        vm.run(["ethtool", "-L", iface, "combined", "2"])
        vm.wait_carrier(0)
    yield
    if case.loaded:
        vm.run(["ethtool", "-L", iface, "combined", "1"])
        vm.wait_carrier(0)


def measure(vm: VM, programs: Programs, source: Source, iface: str, case: Case) -> Figure:
    """Run one measurement in the machine."""
    with _queues(vm, iface, case):
        return _measure(vm, programs, source, iface, case)


def _measure(vm: VM, programs: Programs, source: Source, iface: str, case: Case) -> Figure:
    environment = {"PYTHONPATH": str(ROOT / "build/python"), **source.environment}
    run = vm.spawn(_command(programs, case, iface), env=environment)
    vm.wait_until(lambda: b"ready" in run.stdout or run.returncode is not None, 60, "the tap")
    if case.what != "tx":
        source.feed(run, 0, case.len_bytes)
    run.wait(300).check()
    assert vm.wires[0]
    vm.wires[0].drain()
    program = None if case.python else programs.client
    profiles = (vm.insn.between(1, 2, program), vm.insn.between(2, 3, program))
    parts = runs(profiles, COUNT, run.stdout, sends=case.what == "tx")
    return Figure(case, Cost(parts, "ntzc_igb"))


def _record(release: str, hot: dict[str, float]) -> None:
    record = {"release": release, "hot": {name: round(value, 1) for name, value in hot.items()}}
    BASELINE.write_text(json.dumps(record, indent=1) + "\n")
    print(f"recorded: {BASELINE.relative_to(ROOT)}")


def _growth(name: str, value: float) -> float:
    return float(value / json.loads(BASELINE.read_text())["hot"][name] - 1)


def _compare(hot: dict[str, float]) -> bool:
    """Print how the hot path stands against the baseline; return whether all of it holds."""
    release = json.loads(BASELINE.read_text())["release"]
    print(f"hot path, of at most {GROWTH:.0%} more than on {release}:")
    grown = []
    for name, value in hot.items():
        growth = _growth(name, value)
        grown += [name] * (growth > GROWTH)
        print(f"  {name:<22}{value:8.1f}{100 * growth:+7.1f}%{'  GROWN' * (growth > GROWTH)}")
    return not grown


@contextmanager
def _machine(kernel: str) -> Iterator[tuple[VM, Source, str]]:
    built = modules.build(kernels.fetch(kernel))
    with VM(kernel, cards=1, cpus=1, insn=True, append=KERNEL_LINE, qemu_args=COUNTED_CLOCK) as vm:
        vm.load_modules(built)
        iface = vm.interface(0)
        vm.run(["ethtool", "-L", iface, "combined", "1"], check=False)
        vm.run(["ethtool", "-G", iface, "rx", str(RING), "tx", str(RING)])
        vm.run(["ethtool", "-C", iface, "rx-usecs", str(MODERATION_US)])
        vm.run(["ip", "link", "set", iface, "up"])
        vm.wait_carrier(0)
        yield vm, Source(vm, 0), iface
        vm.assert_log_clean()


def _check(kernel: str, *, record: bool) -> bool:
    """Compare the hot path with the baseline, or record it; return whether it holds."""
    programs = Programs()
    hot: dict[str, float] = {}
    with _machine(kernel) as (vm, source, iface):
        for case in (case for case in CASES if not case.python):
            found: list[float] = []
            for _ in range(ATTEMPTS):
                figure = measure(vm, programs, source, iface, case)
                found.append(figure.cost.hot)
                print(figure.row(), flush=True)
                if not record and _growth(case.key, min(found)) <= GROWTH:
                    break
            # what comes on top is the host's: frames that it sent late, or the card had to drop
            hot[case.key] = min(found)
    if record:
        _record(vm.kernel.release, hot)
    return _compare(hot)


def _judge(records: list[Record]) -> bool:
    """Print how the goals stand that are of these figures; return whether all must-haves hold."""
    rows = [row for row in standing(records) if row["value"]]
    for row in rows:
        print(f"{row['what']}: {row['value']}; must be {row['must']}: {row['verdict']}")
    return all(row["verdict"] != "missed" for row in rows)


def main(kernel: str, *args: str) -> int:
    """Print the figures; return 1 if one misses what must hold, or the hot path has grown."""
    if "--check" in args or "--record" in args:
        return int(not _check(kernel, record="--record" in args))
    wanted = [arg for arg in args if not arg.startswith("--")]
    programs = Programs()
    records: list[Record] = []
    with _machine(kernel) as (vm, source, iface):
        print(f"guest instructions per packet, kernel {vm.kernel.release}, batches of 64,")
        print(f"interrupts moderated to {MODERATION_US} us, {COUNT} packets\n{HEAD}")
        for case in [case for case in CASES if not wanted or case.name in wanted]:
            figure = measure(vm, programs, source, iface, case)
            records.append(figure.record())
            print(figure.row(), flush=True)
            if "--profile" in args:
                print(figure.table())
    if wanted:
        return 0
    return int(not _judge(records))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
