# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's make-up: cards, cables, ports and kernel command line, as QEMU takes them.

Nothing here runs anything; :mod:`emulation.vm` does.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emulation import pace, protocol
from emulation.cache import REPOSITORY

INIT = Path(__file__).with_name("init.sh")
_FIRST_ROOT_PORT = 0x10  # device numbers on pcie.0, one a card

# `rep movsb` counts an instruction a byte, so a kernel that prefers it would look slow, and
# differently slow from one card or peer to the next: instruction counts go without.
_PINNED_CPU = "max,la57=off,erms=off,fsrm=off,fzrm=off,fsrs=off,fsrc=off"
_CPU = "max,la57=off"  # five-level page tables only slow the emulation down

# Each queue of a virtio device has an event descriptor, all of which QEMU's main loop asks the
# host about whenever it wakes: more than 400, as each serial device has 64 queues. Without a
# hypervisor in the host's kernel they save nothing.
_NO_EVENTFDS = [
    word
    for device in ("serial", "9p")
    for word in ("-global", f"virtio-{device}-pci.ioeventfd=off")
]


@dataclass(frozen=True)
class Layout:
    """Where a machine's sockets and files lie; short, as a socket's path is limited."""

    folder: Path

    @property
    def console(self) -> Path:
        """What the machine wrote to its serial console, and virtme-ng to the terminal."""
        return self.folder / "console.log"

    @property
    def boot_script(self) -> Path:
        """What the guest's first program, ``init.sh``, becomes."""
        return self.folder / "boot.sh"

    @property
    def qemu(self) -> Path:
        """What virtme-ng runs as QEMU."""
        return self.folder / "qemu.sh"

    @property
    def insn(self) -> Path:
        """What the instruction counter writes."""
        return self.folder / "insn.bin"

    @property
    def qmp(self) -> Path:
        """The socket on which QEMU calls us for QMP."""
        return self.folder / "qmp"

    @property
    def agent(self) -> Path:
        """The socket on which QEMU calls us for the agent's port."""
        return self.folder / "agent"

    def port(self, name: str) -> Path:
        """Return the socket on which QEMU calls us for one more virtio-serial port."""
        return self.folder / name

    def wire(self, index: int) -> Path:
        """Return the socket on which QEMU calls us for wire *index*."""
        return self.folder / f"w{index}"


@dataclass(frozen=True)
class Machine:
    """What is asked for; see :class:`emulation.vm.VM` for the meaning of each field."""

    cards: int
    cpus: int
    parallel: bool
    memory: str
    append: str
    stock_igb: bool
    cross: tuple[tuple[int, int], ...]
    taps: bool
    insn_plugin: Path | None
    mmio: bool
    qemu_args: tuple[str, ...]
    pace: float

    @property
    def emulated(self) -> bool:
        """Whether the processors are emulated: the counter works with no other."""
        return self.insn_plugin is not None or not kvm_works()

    def wired(self) -> list[int]:
        """Return the cards with a wire to the host (of a pair with a tap: the first)."""
        second = {b for _, b in self.cross}
        first = {a for a, _ in self.cross}
        return [i for i in range(self.cards) if i not in second and (self.taps or i not in first)]

    def mac(self, index: int) -> str:
        """Return the address in the NVM of card *index*."""
        return f"52:54:00:82:57:{index:02x}"

    def root_port(self, index: int) -> str:
        """Return the folder in sysfs of the root port that card *index* sits on."""
        return f"/sys/devices/pci0000:00/0000:00:{_FIRST_ROOT_PORT + index:02x}.0"

    def qemu(self, layout: Layout) -> list[str]:
        """Return what QEMU is told beyond what virtme-ng tells it."""
        words = ["-nodefaults", "-cpu", _PINNED_CPU if self.insn_plugin else _CPU, *_NO_EVENTFDS]
        if self.emulated and not self.parallel:
            # A processor that waits for another's answer spins, for as long as the host lets the
            # other's thread wait; in one thread it is the other's turn at once. Where two machines
            # share two host processors, that halves what they take.
            words += ["-accel", "tcg,thread=single"]
        if self.insn_plugin:
            mmio = "on" if self.mmio else "off"
            words += ["-plugin", f"{self.insn_plugin},out={layout.insn},mmio={mmio}"]
        words += ["-chardev", f"socket,id=qmp,path={layout.qmp},server=off"]
        words += ["-mon", "chardev=qmp,mode=control"]
        words += ["-chardev", f"socket,id=agent,path={layout.agent},server=off"]
        words += ["-device", "virtio-serial-pci,id=ntzc"]
        words += ["-device", f"virtserialport,bus=ntzc.0,name={protocol.PORT},chardev=agent"]
        # remap: files of several of the host's devices are told apart
        words += ["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"]
        words += ["-device", "virtio-9p-pci,fsdev=host,mount_tag=ntzc.host"]
        words += self._cables(layout)
        for i in range(self.cards):
            address = f"{_FIRST_ROOT_PORT + i:#x}"
            words += ["-device", f"pcie-root-port,id=rp{i},slot={i + 1},addr={address}"]
            words += ["-device", ",".join(f"{k}={v}" for k, v in self.card(i).items())]
        return [*words, *self.qemu_args]

    def card(self, index: int) -> dict[str, str]:
        """Return the properties of card *index*, as ``-device`` and ``device_add`` take them."""
        return {
            "driver": "igb",
            "id": f"card{index}",
            "netdev": f"net{index}",
            "bus": f"rp{index}",
            "mac": self.mac(index),
        }

    def _cables(self, layout: Layout) -> list[str]:
        hub_of = {card: hub for hub, pair in enumerate(self.cross) for card in pair}
        words: list[str] = []
        for i in range(self.cards):
            if i in hub_of:
                words += ["-netdev", f"hubport,id=net{i},hubid={hub_of[i]}"]
            else:
                words += ["-netdev", self._wire(f"net{i}", i, layout)]
        for hub, (first, _) in enumerate(self.cross):
            if self.taps:
                words += ["-netdev", self._wire(f"tap{hub}", first, layout)]
                words += ["-netdev", f"hubport,id=hub{hub},hubid={hub},netdev=tap{hub}"]
        return words

    @staticmethod
    def _wire(ident: str, wire: int, layout: Layout) -> str:
        return f"stream,id={ident},server=off,addr.type=unix,addr.path={layout.wire(wire)}"

    def kernel_line(self) -> str:
        """Return what the kernel is told beyond what virtme-ng tells it."""
        words = [
            # The kernel's tests of its own ciphers are a quarter of what a boot executes.
            "cryptomgr.notests",
            # A timer that comes late, as an emulated one may, is no broken one.
            "no_timer_check",
            # All its processors read the host's clock. Without this word 6.1 doubts that, and asks
            # the HPET for the time, whose every reading is a device's; newer kernels come to
            # doubt it where the emulator gets little time.
            "tsc=reliable",
            # A boot is the work of one processor, for which the emulated others wait awake:
            # the boot script has them join. The lock prefixes stay meanwhile, and whoever
            # joins takes this delay, four GHz worth, as to measure it fails under emulation.
            "maxcpus=1 noreplace-smp lpj=16000000" if self.cpus > 1 else "",
            "oops=panic panic=-1 log_buf_len=4M printk.devkmsg=on loglevel=6",
            self.append,
        ]
        return " ".join(words).strip()

    def boot_script(self) -> str:
        """Return what the guest runs: the agent, for as long as it lives."""
        modules = ["virtio_console", *(["igb"] if self.stock_igb else [])]
        python = Path(sys.executable)
        lines = [
            # a kernel may have them built in
            f"modprobe -aq {' '.join(modules)}",
            f"cd {shlex.quote(str(REPOSITORY))}",
            f"PATH={shlex.quote(str(python.parent))}:$PATH",
            "for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do echo 1 >$cpu; done"
            if self.cpus > 1
            else "",
            f"export {pace.VARIABLE}={self.pace:g}",
            f"{shlex.quote(str(python))} -m emulation.agent",
            "poweroff -f",
        ]
        return "\n".join(lines) + "\n"

    @staticmethod
    def qemu_script(layout: Layout) -> str:
        """Return what runs QEMU and tells on the console how it ended; virtme-ng would not.

        It also has the kernel run ``init.sh`` in place of virtme-ng's own first program, which
        ends the kernel's command line.
        """
        lines = [
            "#!/bin/sh",
            "for word; do",
            "	shift",
            '	case $word in *" init="*)',
            f'		word="${{word% init=*}} init={INIT} -- {layout.boot_script}" ;;',
            "	esac",
            '	set -- "$@" "$word"',
            "done",
            'qemu-system-x86_64 "$@"',
            "status=$?",
            'test $status -eq 0 || echo "QEMU ended with status $status" >&2',
            "exit $status",
        ]
        return "\n".join(lines) + "\n"

    def vng(self, kernel_image: Path, layout: Layout) -> list[str]:
        """Return the virtme-ng command that boots the machine and runs its boot script."""
        command = [str(Path(sys.executable).parent / "vng"), "--run", str(kernel_image)]
        command += ["--user", "root", "--disable-microvm", "--force-9p", "--verbose"]
        if self.emulated:
            command += ["--disable-kvm"]
        command += ["--cpus", str(self.cpus), "--memory", self.memory, "--qemu", str(layout.qemu)]
        command += [f"--append={self.kernel_line()}"]
        command += [f"--qemu-opts={shlex.join(self.qemu(layout))}"]
        # What it would run, were its own first program the guest's: with something to run, it
        # shows the console and asks for no terminal.
        return [*command, "--exec", "true"]


def kvm_works(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor itself can run guests.

    A machine that is virtual itself may have a ``/dev/kvm`` that opens and then hangs.
    """
    flags = {word for line in cpuinfo.read_text().splitlines() for word in line.split()}
    return bool(flags & {"vmx", "svm"}) and Path("/dev/kvm").exists()


def check(machine: Machine) -> None:
    """Check what is asked for.

    Raises:
        ValueError: it cannot be built.

    """
    crossed: Sequence[int] = [card for pair in machine.cross for card in pair]
    if len(set(crossed)) != len(crossed) or any(c not in range(machine.cards) for c in crossed):
        raise ValueError(f"cross={machine.cross} does not pair different cards")
    if machine.cards > 8:
        raise ValueError("at most 8 cards")
