# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual machine with 82576 cards, as a context manager.

It boots a kernel of ``ci/kernels.toml`` over the host's own file system (as it is when first
looked at; what the guest writes vanishes with it), runs commands inside, holds the other ends
of the cards' cables, and tells a machine that died from a command that failed. Everything of
one machine lies in one temporary folder, so several may run at once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from emulation import keeper, kernels, klog, modules
from emulation.cache import REPOSITORY
from emulation.channel import Channel, Completed, Process
from emulation.errors import GuestTimeout, VMDied, VMError
from emulation.insn import counter
from emulation.insn.counter import Counter
from emulation.kernels import Kernel
from emulation.machine import Layout, Machine, check
from emulation.python import GuestPython
from emulation.qmp import Monitor
from emulation.wire import Wire

_CONSOLE_LINES = 40
# How the warning begins that a machine died, or hung, before anything of ours ran in it.
BOOTED_AGAIN = "a machine did not come up, and was booted again"
_POWEROFF_S = 60
_POLL_S = 0.05


def _environment(folder: Path) -> dict[str, str]:
    """Let virtme-ng find its own parts beside Python, and keep its files in *folder*."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "TMPDIR": str(folder)}


class VM:
    """A machine, running while the ``with`` block lasts.

    Deadlines are for a usual kernel; where the machine's is slower, each is multiplied by its
    pace (:mod:`emulation.pace`).

    Args:
        kernel: a name from ``ci/kernels.toml``, or a kernel.
        cards: how many 82576 cards, each behind a root port of its own.
        cpus: virtual processors; None for what suits the kernel.
        parallel: the processors really run at the same time, as races want it; else, if emulated,
            they take turns, which costs the host less.
        memory: as QEMU takes it.
        append: more words for the kernel's command line.
        stock_igb: let the kernel's own igb driver load by itself.
        cross: pairs of cards joined by a cable; every other card is wired to the host.
        taps: give each crossed cable a wire to the host too, which sees and can send
            frames; it is the wire of the pair's first card.
        insn: count instructions, with :attr:`insn`; see :mod:`emulation.insn`.
        mmio: count the modules' accesses to device registers too, which is slower.
        pythonpath: folders of the host where :attr:`guest` finds modules first.
        qemu_args: more words for QEMU.
        boot_timeout_s: how long the boot may take.

    Attributes:
        wires: by card, the host's end of its cable; None where there is none.
        kernel: the kernel that it runs.
        console: the file that holds what the machine wrote to its console.

    """

    def __init__(
        self,
        kernel: str | Kernel = "6.12",
        *,
        cards: int = 2,
        cpus: int | None = None,
        parallel: bool = False,
        memory: str = "2G",
        append: str = "",
        stock_igb: bool = False,
        cross: Sequence[tuple[int, int]] = (),
        taps: bool = False,
        insn: bool = False,
        mmio: bool = False,
        pythonpath: Sequence[str | Path] = (),
        qemu_args: Sequence[str] = (),
        boot_timeout_s: float = 150,
    ) -> None:
        self.kernel = kernels.fetch(kernel) if isinstance(kernel, str) else kernel
        self._insn = counter.build() if insn else None
        self._machine = Machine(
            cards=cards,
            cpus=self.kernel.cpus if cpus is None else cpus,
            parallel=parallel,
            memory=memory,
            append=f"{self.kernel.append} {append}".strip(),
            pace=self.kernel.pace,
            stock_igb=stock_igb,
            cross=tuple(cross),
            taps=taps,
            insn_plugin=self._insn.plugin if self._insn else None,
            mmio=mmio,
            qemu_args=tuple(qemu_args),
        )
        check(self._machine)
        self._pythonpath = [str(path) for path in pythonpath]
        self._port_numbers = itertools.count()
        # each processor has its own work to do in a boot, and the host may have two
        self._boot_timeout_s = boot_timeout_s * max(1, self._machine.cpus / 2)
        self._closing = False
        self._dead = threading.Event()
        self._log: list[str] = []
        self._log_read = 0
        self._own: set[str] = set()
        self._log_checked = 0
        self.wires: list[Wire | None] = [None] * cards

    def __enter__(self) -> Self:
        try:
            self._try_boot()
        except (VMDied, GuestTimeout) as error:
            # Nothing of ours had run in it: that tells of the emulator, and of the kernel under
            # an emulator that gets little time. Seen with QEMU 10.0.2: its assertion
            # iotlb_to_section with an IOMMU; with 8 processors, an end without a word, and one
            # that its timer did not wake, for which RCU and all others waited.
            warnings.warn(f"{BOOTED_AGAIN}: {error}", stacklevel=2)
            self._closing = False
            self._dead.clear()
            self._try_boot()
        return self

    def _try_boot(self) -> None:
        self._cleanup = contextlib.ExitStack()
        with self._cleanup:
            self._boot()
            self._cleanup = self._cleanup.pop_all()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None or not self.alive:
            self._keep_console()
        self._closing = True
        self._cleanup.__exit__(None, None, None)

    # Life and death

    def _boot(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="ntzc-vm-"))
        self._cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        layout = Layout(folder)
        self.console = layout.console
        with self._listener(layout.qmp) as qmp, self._listener(layout.agent) as agent:
            for i in self._machine.wired():
                wire = Wire(layout.wire(i), self._died, self.kernel.pace)
                self.wires[i] = wire
                self._cleanup.callback(wire.close)
            self._start(layout)
            self._cleanup.callback(self._stop)
            agent_port = self._accept(agent)
            qmp_port = self._accept(qmp)
        self._channel = Channel(agent_port, self._died, self._lost, self.kernel.pace)
        self._cleanup.callback(self._channel.close)
        self.qmp = Monitor(qmp_port, self._died)
        self._cleanup.callback(self.qmp.close)
        for wire in self._wired():
            wire.connect()
        self._cleanup.callback(self._quit)
        try:
            self._channel.wait_ready(self._boot_timeout_s)
        except VMError:
            self._keep_console()
            raise
        self._cleanup.callback(self._poweroff)

    @staticmethod
    @contextlib.contextmanager
    def _listener(path: Path) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(path))
            listener.listen(1)
            yield listener

    def _start(self, layout: Layout) -> None:
        command = self._machine.vng(self.kernel.image, layout)
        layout.boot_script.write_text(self._machine.boot_script())
        layout.qemu.write_text(self._machine.qemu_script(layout))
        layout.qemu.chmod(0o700)
        lifeline, self._lifeline = os.pipe()
        with layout.console.open("ab") as console:  # QEMU opens it once more, and writes too
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", keeper.__file__, str(lifeline), layout.folder, *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd=REPOSITORY,
                env=_environment(layout.folder),
                pass_fds=[lifeline],
                start_new_session=True,
            )
        os.close(lifeline)

    def _accept(self, listener: socket.socket) -> socket.socket:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        pidfd = os.pidfd_open(self._keeper.pid)
        try:
            poll.register(pidfd, select.POLLIN)
            ready = [fd for fd, _ in poll.poll(60_000)]
        finally:
            os.close(pidfd)
        if listener.fileno() not in ready:
            raise self._died()
        return listener.accept()[0]

    def _lost(self) -> None:
        """Wake everybody: the channel's reader found that QEMU has gone."""
        self._dead.set()
        for wire in self._wired():
            wire.machine_lost()

    def _died(self) -> VMError:
        if self._closing:
            return VMError("the machine has been shut down")
        # virtme-ng ends just after QEMU: its last words belong to the console's.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(10)
        status = self._keeper.poll()
        return VMDied(f"the machine died (status {status})", self.console_tail())

    def console_tail(self, lines: int = _CONSOLE_LINES) -> str:
        """Return the last *lines* lines that the machine wrote to its console."""
        text = self.console.read_text(errors="replace").replace("\r", "")
        return "\n".join(text.splitlines()[-lines:])

    def _keep_console(self) -> None:
        """Save the console of a machine in which something went wrong."""
        kept = REPOSITORY / "build" / "consoles"
        kept.mkdir(parents=True, exist_ok=True)
        target = kept / f"{self.console.parent.name}.log"
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(self.console, target)

    def _poweroff(self) -> None:
        self._closing = True
        with contextlib.suppress(VMError, subprocess.TimeoutExpired):
            self._channel.poweroff()
            self._keeper.wait(_POWEROFF_S * self.kernel.pace)

    def _quit(self) -> None:
        """End QEMU, unless the guest has."""
        self._closing = True
        if self._keeper.poll() is None:
            with contextlib.suppress(VMError, OSError):
                self.qmp.command("quit", timeout_s=5)

    def _stop(self) -> None:
        """See the machine's processes to their end."""
        try:
            self._keeper.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait()
        os.close(self._lifeline)

    @property
    def alive(self) -> bool:
        """Whether the machine still runs."""
        return not self._dead.is_set()

    # Commands and files

    def run(
        self,
        argv: Sequence[str | Path],
        timeout_s: float = 60,
        *,
        check: bool = True,
        stdin: bytes = b"",
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a command in the guest, as root, and wait for its end.

        Args:
            argv: the command; the host's file system is the guest's, read-only.
            timeout_s: then it is killed, with its process group.
            check: raise if its status is not 0.
            stdin: what it finds on standard input.
            cwd: its working directory; default: the repository.
            env: variables beside the guest's own.

        Raises:
            CommandFailed: its status was not 0, and *check*.
            OSError: it could not be started.
            GuestTimeout: it took too long.
            VMDied: the machine died.

        """
        process = self.spawn(argv, cwd=cwd, env=env)
        process.write(stdin)
        process.close_stdin()
        try:
            done = process.wait(timeout_s)
        except GuestTimeout as error:
            process.kill()
            text = (process.stdout + process.stderr).decode(errors="replace")
            raise GuestTimeout(f"{error}\n{text}".rstrip()) from None
        return done.check() if check else done

    def spawn(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        terminal: tuple[int, int] | None = None,
        on_output: Callable[[str, bytes], None] | None = None,
    ) -> Process:
        """Start a command in the guest and go on; *argv*, *cwd*, *env* as for :meth:`run`.

        *terminal* gives it a terminal of that many rows and columns. *on_output* is called
        with ("stdout" or "stderr", bytes) for each piece of output, which is then not kept.
        """
        words = [str(word) for word in argv]
        return self._channel.spawn(words, cwd=cwd, env=env, terminal=terminal, on_output=on_output)

    def read_file(self, path: str | Path) -> bytes:
        """Return the content of a file of the guest."""
        return self._channel.call("read", str(path))[1]

    def write_file(self, path: str | Path, data: bytes) -> None:
        """Write a file of the guest, as ``sysfs`` and ``procfs`` want it: in one write."""
        self._channel.call("write", str(path), payload=data)

    def listdir(self, path: str | Path) -> list[str]:
        """Return the sorted names in a directory of the guest."""
        names: list[str] = self._channel.call("listdir", str(path))[0]
        return names

    def python(
        self, pythonpath: Sequence[str | Path] = (), *, timeout_s: float = 120
    ) -> GuestPython:
        """Start another Python process in the guest, to call from here.

        Args:
            pythonpath: folders where it finds modules before the machine's *pythonpath*.
            timeout_s: how long one call may take; then it raises a TimeoutError that says
                where the process is, and the process is given up: every further call is
                an EOFError.

        """
        folders = [str(path) for path in pythonpath] + self._pythonpath
        name = f"ntzc.python{next(self._port_numbers)}"
        port = self._plug_port(name)
        words = [sys.executable, "-m", "emulation.pyagent", name, *folders]
        return GuestPython(
            self.spawn(words, cwd=str(REPOSITORY)),
            port,
            timeout_s * self.kernel.pace,
            self._died,
            lambda: self._unplug_port(name),
        )

    def _plug_port(self, name: str) -> socket.socket:
        """Give the guest one more virtio-serial port; return this end of it."""
        path = Layout(self.console.parent).port(name)
        with self._listener(path) as listener:
            data = {"addr": {"type": "unix", "data": {"path": str(path)}}, "server": False}
            backend = {"type": "socket", "data": data}
            self.qmp.command("chardev-add", id=name, backend=backend)
            end = listener.accept()[0]
        properties: dict[str, Any] = {
            "bus": "ntzc.0",
            "id": f"{name}.port",
            "name": name,
            "chardev": name,
        }
        self.qmp.command("device_add", driver="virtserialport", **properties)
        return end

    def _unplug_port(self, name: str) -> None:
        self.qmp.command("device_del", id=f"{name}.port")
        self.qmp.command("chardev-remove", id=name)

    @cached_property
    def guest(self) -> GuestPython:
        """A long-lived Python process in the guest: ``vm.guest.modules["os"].getpid()``."""
        guest = self.python()
        self._cleanup.callback(guest.close)
        return guest

    @cached_property
    def insn(self) -> Counter:
        """The instruction counter of a machine made with ``insn=True``."""
        assert self._insn is not None, "this machine was made without insn=True"
        return Counter(
            Layout(self.console.parent).insn,
            self._insn,
            lambda: self.read_file("/proc/kallsyms"),
            lambda program: self.run([program]),
        )

    def wait_until(
        self, condition: Callable[[], bool], timeout_s: float = 60, what: str = "the condition"
    ) -> None:
        """Ask *condition* again and again until it holds.

        Raises:
            GuestTimeout: *timeout_s* seconds passed.
            VMDied: the machine died.

        """
        timeout_s *= self.kernel.pace
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self._dead.wait(_POLL_S):
                raise self._died()
            if time.monotonic() > deadline:
                raise GuestTimeout(f"waited {timeout_s:g} s for {what}")

    # Modules and the kernel's log

    def load_modules(
        self, paths: Sequence[str | Path], parameters: Mapping[str, str] | None = None
    ) -> None:
        """Load modules, in this order, each after the stock modules that it needs.

        Args:
            paths: ``.ko`` files, as :func:`emulation.modules.build` returns them.
            parameters: by module name, its parameters as on a command line.

        """
        own = {Path(path).stem.replace("-", "_") for path in paths}
        for path in map(Path, paths):
            needs = self.run(["modinfo", "-F", "depends", path]).stdout.strip()
            for name in needs.split(","):
                if name and name not in own:
                    self.run(["modprobe", name])
            self.run(["insmod", path, *(parameters or {}).get(path.stem, "").split()])

    def sleep(self, seconds: int = 1) -> Process:
        """Have the machine begin to sleep (S3); return what ends when it is awake again.

        All goes as in a sleep: processes are frozen, cards suspended, processors taken away;
        but then the last one waits for *seconds* instead of turning the machine off. Cards lose
        what they knew, and what the machine itself runs on stays awake (emulation/asleep).
        """
        self._load_own("asleep")
        self.write_file("/sys/module/suspend/parameters/pm_test_delay", str(seconds).encode())
        self.write_file("/sys/power/pm_test", b"core")
        return self.spawn(["sh", "-c", "echo mem >/sys/power/state"])

    def break_bus(self, index: int, step: str) -> int:
        """Have a card's driver live through a fatal error on the bus, which no emulated link does.

        Args:
            index: the card.
            step: what is next: "frozen" (the card cannot be had), "reset" (it lost all that it
                knew, and can), "resume" (its neighbours can, too), or "failed" (it is lost);
                "relapse" is all of an error, a card that vanishes a second later, and all of
                another that is told of before its time is over.

        Returns:
            What the driver says to it, in "relapse" to the second reset: an enum pci_ers_result of
            the kernel; 0 after "resume".

        """
        self._load_own("broken_bus")
        parameters = "/sys/module/broken_bus/parameters"
        self.write_file(f"{parameters}/step", f"{self.pci(index)} {step}".encode())
        return int(self.read_file(f"{parameters}/verdict"))

    def _load_own(self, name: str) -> None:
        """Load a module of this package, unless it is."""
        if name in self._own:
            return
        origin = REPOSITORY / "emulation" / name
        self.load_modules(modules.build(self.kernel, origin=origin, variant=name))
        self._own.add(name)

    def kernel_log(self) -> list[str]:
        """Return the lines of the kernel's log that came since the last call."""
        self._read_log()
        lines = self._log[self._log_read :]
        self._log_read = len(self._log)
        return lines

    def assert_log_clean(self, allow: Sequence[str] = ()) -> None:
        """Check the lines of the kernel's log that came since the last check.

        Args:
            allow: regular expressions for lines that are no fault here.

        Raises:
            AssertionError: the kernel reported a fault.

        """
        self._read_log()
        lines = self._log[self._log_checked :]
        self._log_checked = len(self._log)
        faults = klog.faults(lines, allow)
        assert not faults, "the kernel's log is not clean:\n" + "\n".join(faults)

    def _read_log(self) -> None:
        lost, data = self._channel.call("log")
        if lost:
            raise VMError("the kernel's log overwrote records before they were read")
        self._log += klog.lines(data)

    # Cards

    @property
    def n_cards(self) -> int:
        """How many cards the machine has, plugged in or not."""
        return self._machine.cards

    def mac(self, index: int) -> str:
        """Return the address in the NVM of card *index*, in lower case."""
        return self._machine.mac(index)

    def root_port(self, index: int) -> str:
        """Return the PCI address of the root port that card *index* sits on."""
        return Path(self._machine.root_port(index)).name

    def pci(self, index: int) -> str:
        """Return the PCI address of card *index*, such as ``0000:01:00.0``.

        Raises:
            VMError: the card is unplugged.

        """
        for name in self.listdir(self._machine.root_port(index)):
            if name.count(":") == 2 and name.endswith(":00.0"):
                return name
        raise VMError(f"card {index} is not plugged in")

    def interface(self, index: int, timeout_s: float = 60) -> str:
        """Return the name of the network interface of card *index*, waiting for its driver.

        Raises:
            GuestTimeout: no driver made one.

        """
        folder = f"/sys/bus/pci/devices/{self.pci(index)}/net"
        names: list[str] = []

        def registered() -> bool:
            with contextlib.suppress(FileNotFoundError):
                names[:] = self.listdir(folder)
            return bool(names)

        self.wait_until(registered, timeout_s, f"an interface of card {index}")
        return names[0]

    def wait_carrier(self, index: int, up: bool = True, timeout_s: float = 60) -> None:
        """Wait until the interface of card *index*, which is set up, has (or lacks) a link."""
        path = f"/sys/class/net/{self.interface(index)}/carrier"
        wanted = b"1\n" if up else b"0\n"
        what = f"card {index}'s link to be {'up' if up else 'down'}"
        self.wait_until(lambda: self.read_file(path) == wanted, timeout_s, what)

    def set_link(self, index: int, up: bool) -> None:
        """Plug (or pull) the cable of card *index* at the card."""
        self.qmp.command("set_link", name=f"card{index}", up=up)

    def unplug(self, index: int, timeout_s: float = 60) -> None:
        """Take card *index* out, with the guest's cooperation, and wait until it is out."""
        ident = f"card{index}"
        self.qmp.command("device_del", id=ident)
        self.qmp.wait_event(
            "DEVICE_DELETED",
            lambda data: data.get("device") == ident,
            timeout_s * self.kernel.pace,
        )

    def plug(self, index: int) -> None:
        """Put card *index* back into its slot."""
        properties: dict[str, Any] = {**self._machine.card(index)}
        self.qmp.command("device_add", **properties)

    def _wired(self) -> list[Wire]:
        return [wire for wire in self.wires if wire is not None]
