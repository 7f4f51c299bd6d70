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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cost import Cost, runs
from bench.lab import COUNTED_CLOCK, KERNEL_LINE, MODERATION_US, RING
from bench.source import Source
from bench.systems import ROOT, Programs
from emulation import kernels, modules
from emulation.vm import VM

COUNT = 16384
TAPS = 5
BASELINE = ROOT / "bench/baseline.json"
GROWTH = 0.03  # of the hot path, at most, against the baseline
ATTEMPTS = 3  # at a case that has grown; what is recorded is the mean of so many


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
    Case(f"rx-rings-{TAPS}taps", "rx", taps=TAPS),
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


Figures = dict[tuple[str, int], Figure]


@dataclass(frozen=True)
class Bound:
    """What a figure made of others must not exceed."""

    what: str
    most: float
    figure: Callable[[Figures], float]
    unit: str = ""

    def check(self, found: Figures) -> bool:
        """Print how it stands; return whether it holds."""
        value = self.figure(found)
        good = value <= self.most
        print(f"bound: {self.what}: {value:.3g}{self.unit} of at most {self.most:g}{self.unit}"
              f"{'' if good else '  EXCEEDED'}")  # fmt: skip
        return good


def _longer(name: str) -> Callable[[Figures], float]:
    def figure(found: Figures) -> float:
        long, short = (found[name, length].cost for length in (1514, 60))
        return 100 * ((long.hot + long.copying) / (short.hot + short.copying) - 1)

    return figure


def _cost(name: str) -> Callable[[Figures], float]:
    return lambda found: found[name, 60].cost.total


def _further_tap(found: Figures) -> float:
    return (_cost(f"rx-rings-{TAPS}taps")(found) - _cost("rx-rings")(found)) / (TAPS - 1)


def _loaded(found: Figures) -> float:
    loaded, plain = (found[name, 60].cost.hot for name in ("rx-rings-loaded", "rx-rings"))
    return 100 * (loaded / plain - 1)


def _python(found: Figures) -> float:
    return _cost("rx-python-256")(found) / _cost("rx-rings-256")(found)


BOUNDS = (
    Bound("receive through rings", 200, _cost("rx-rings")),
    Bound("receive through read and write", 300, _cost("rx-read")),
    Bound("1,514 bytes instead of 60, rings, but for the waiting", 5, _longer("rx-rings"), "%"),
    Bound("1,514 bytes instead of 60, read, but for the waiting", 5, _longer("rx-read"), "%"),
    Bound("each further tap", 60, _further_tap),
    Bound("a pool four times as large, 2,000 frames held, 32 taps idle: hot path", 3, _loaded, "%"),
    Bound("forward", 330, _cost("forward-rings")),
    Bound("Python's batches against C's", 1.5, _python, " times"),
)


def _command(programs: Programs, case: Case, iface: str) -> list[str | Path]:
    if case.python:
        script = ROOT / "bench/batch.py"
        return [sys.executable, script, programs.marks, iface, str(COUNT), str(case.batch)]
    flags = ["-c"] * case.calls + ["-l"] * case.loaded
    flags += ["-b", str(case.batch), "-k", str(case.taps)]
    return [programs.client, *flags, case.what, iface, str(COUNT), str(case.len_bytes)]


def measure(vm: VM, programs: Programs, source: Source, iface: str, case: Case) -> Figure:
    """Run one measurement in the machine."""
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
                # a host that is late makes the card lose frames, which cost, too
                if not record and _growth(case.key, min(found)) <= GROWTH:
                    break
            hot[case.key] = sum(found) / len(found) if record else min(found)
    if record:
        _record(vm.kernel.release, hot)
    return _compare(hot)


def main(kernel: str, *args: str) -> int:
    """Print the figures; return 1 if one is above its bound, or the hot path has grown."""
    if "--check" in args or "--record" in args:
        return int(not _check(kernel, record="--record" in args))
    wanted = [arg for arg in args if not arg.startswith("--")]
    programs = Programs()
    figures: Figures = {}
    with _machine(kernel) as (vm, source, iface):
        print(f"guest instructions per packet, kernel {vm.kernel.release}, batches of 64,")
        print(f"interrupts moderated to {MODERATION_US} us, {COUNT} packets\n{HEAD}")
        for case in [case for case in CASES if not wanted or case.name in wanted]:
            figure = measure(vm, programs, source, iface, case)
            figures[case.name, case.len_bytes] = figure
            print(figure.row(), flush=True)
            if "--profile" in args:
                print(figure.table())
    if wanted:
        return 0
    held = [bound.check(figures) for bound in BOUNDS]
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
