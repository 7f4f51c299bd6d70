# SPDX-License-Identifier: GPL-2.0-or-later
"""``make insn``: guest instructions per packet, by user, kernel, driver and core.

Every instruction that the VM's one processor executes between two marks of bench/insn.c is
counted, interrupts, timer ticks and idling included. Two runs of equal length follow each
other; the figures are of the second, and the first shows how well they repeat.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from emulation import kernels, modules
from emulation.insn import counter
from emulation.insn.counter import Profile
from emulation.vm import VM

ROOT = Path(__file__).resolve().parent.parent
COUNT = 16384
MODERATION_US = 8000  # some 100 frames an interrupt and more, at the rate that the host offers
RING = 4096

# what issue and docs promise: the most instructions for a frame of 60 bytes, and how much
# more a frame of 1,514 bytes may cost
BOUND_RX = 300
BOUND_RATIO = 1.05


@dataclass(frozen=True)
class Figure:
    """Instructions per packet of one measurement."""

    what: str
    len_bytes: int
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
        return f"{self.what:<8}{self.len_bytes:6}{self.per_packet:9.1f}{''.join(cells)}{repeat}"


HEAD = f"{'':8}{'bytes':>6}{'total':>9}{'user':>8}{'kernel':>8}{'driver':>8}{'core':>8}{'again':>8}"


def _program(built: counter.Built) -> Path:
    target = ROOT / "build/bench/insn"
    target.parent.mkdir(parents=True, exist_ok=True)
    includes = [f"-I{ROOT / d}" for d in ("libntzc/include", "module/include")]
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Wextra", *includes, f"-I{built.include}",
         "-o", target, ROOT / "bench/insn.c", ROOT / "build/lib/libntzc.a"],
        check=True,
    )  # fmt: skip
    return target


def measure(vm: VM, program: Path, iface: str, what: str, len_bytes: int) -> Figure:
    """Run one measurement in the machine."""
    wire = vm.wires[0]
    assert wire
    frame = bytes.fromhex("02000000aa0102000000aa0288b5").ljust(len_bytes, b"\x5a")
    run = vm.spawn([program, what, iface, str(COUNT), str(len_bytes)])
    vm.wait_until(lambda: b"ready" in run.stdout or run.returncode is not None, 60, "the tap")
    if what != "tx":
        while run.returncode is None:
            # less than the tap's ring, so that nothing is lost
            wire.send_many([frame] * 512)
            wire.drain()
    run.wait(300).check()
    wire.drain()
    first, second = vm.insn.between(1, 2), vm.insn.between(2, 3)
    return Figure(what, len_bytes, second, second.total / first.total - 1)


def main(kernel: str, *args: str) -> int:
    """Print the figures; return 1 if one is above its bound."""
    built = modules.build(kernels.fetch(kernel))
    program = _program(counter.build())
    with VM(kernel, cards=1, cpus=1, insn=True) as vm:
        vm.load_modules(built)
        iface = vm.interface(0)
        vm.run(["ethtool", "-L", iface, "combined", "1"], check=False)
        vm.run(["ethtool", "-G", iface, "rx", str(RING), "tx", str(RING)])
        vm.run(["ethtool", "-C", iface, "rx-usecs", str(MODERATION_US)])
        vm.run(["ip", "link", "set", iface, "up"])
        vm.wait_carrier(0)
        # whatever the boot left running would be counted
        vm.run(["udevadm", "settle"])
        print(f"guest instructions per packet, kernel {vm.kernel.release}, batches of 64,")
        print(f"interrupts moderated to {MODERATION_US} us, {COUNT} packets\n{HEAD}")
        figures = []
        for what, len_bytes in (
            ("rx", 60), ("rx", 1514), ("tx", 60), ("tx", 1514), ("forward", 60),
        ):  # fmt: skip
            figures.append(measure(vm, program, iface, what, len_bytes))
            print(figures[-1].row(), flush=True)
            if "--profile" in args:
                print(figures[-1].profile.table(COUNT))
        vm.assert_log_clean()
    small, large = figures[:2]
    ratio = large.per_packet / small.per_packet
    print(f"bound: receive {small.per_packet:.0f} of at most {BOUND_RX}; 1,514 bytes cost")
    print(f"{100 * ratio - 100:+.1f}% of at most {100 * BOUND_RATIO - 100:+.0f}%")
    return int(small.per_packet > BOUND_RX or ratio > BOUND_RATIO)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
