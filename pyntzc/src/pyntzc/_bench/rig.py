# SPDX-License-Identifier: GPL-2.0-or-later
"""Trials on real cards: frames out through one tap and in through another, by the loops in C."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyntzc._bench.figures import FCS_BYTES, NS_PER_S, latency, line_rate_fps
from pyntzc._bench.trial import Cpu, Load, Trial
from pyntzc._errors import InterfaceDownError, NtzcError, os_error
from pyntzc._libntzc import ffi, lib
from pyntzc._port import Device, Port, PortFlag
from pyntzc._tap import Tap
from pyntzc._tap import open as open_tap

_TICK_S = 0.1
_TEST_FRAMES = "udp src port 49184 and udp dst port 7 and net 198.18.0.0/15"
_REFLECTOR = {"frame_len": lib.NTZC_METER_MIN_FRAME, "frames": 1}


class AbandonedError(Exception):
    """The user wants no more."""


@dataclass(frozen=True)
class Wiring:
    """Which cards, and how they are used.

    Attributes:
        tx: the card that sends.
        rx: the card that receives, the same one if the far end sends everything back.
        dst: where frames go to, an Ethernet address; empty for that of *rx*.
        max_rate_fps: the most that is offered; 0 for what the line carries.
        settle_ns: how long to wait for frames after the last was sent.
        ring_size: frames that may wait in the receiving tap, per queue; 0 for the default.
        busy_poll_us: microseconds to poll the card before the receiver sleeps.
        tx_cpu: the processor that sends; None for any.
        rx_cpu: the processor that receives; None for any.

    """

    tx: Port
    rx: Port
    dst: str = ""
    max_rate_fps: int = 0
    settle_ns: int = 2 * NS_PER_S
    ring_size: int = 0
    busy_poll_us: int = 0
    tx_cpu: int | None = None
    rx_cpu: int | None = None

    @property
    def reflected(self) -> bool:
        """Whether one card does both."""
        return self.tx.id == self.rx.id


def check_ready(port: Port) -> None:
    """Raise InterfaceDownError or NtzcError unless the card's interface is up and has a link."""
    if not port.flags & PortFlag.UP:
        text = f"the interface is down: ip link set dev {port.name} up"
        raise InterfaceDownError(errno.ENETDOWN, text, port.name)
    if not port.flags & PortFlag.CARRIER:
        raise NtzcError(f"{port.name}: there is no link: see to the cable, or wait a moment")


def speed_mbit_s(port: Port, root: Path = Path("/sys/class/net")) -> int:
    """Return the speed of a card's link; raise NtzcError if the kernel does not tell it."""
    try:
        speed = int((root / port.name / "speed").read_text())
    except (OSError, ValueError):
        speed = -1
    if speed <= 0:
        raise NtzcError(f"{port.name}: the kernel does not tell the speed of its link")
    return speed


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _busy_ns() -> int:
    """Return the processor time that all processors have spent on something; proc_stat(5)."""
    with Path("/proc/stat").open() as file:
        ticks = [int(word) for word in file.readline().split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = ticks[:8]
    busy = user + nice + system + irq + softirq + steal
    return busy * NS_PER_S // os.sysconf("SC_CLK_TCK")


class CardRig:
    """Two cards, or one whose far end sends everything back. A context manager.

    *wanted* is called often; once it returns False, :meth:`run` raises AbandonedError.
    """

    def __init__(self, wiring: Wiring, wanted: Callable[[], bool] = lambda: True) -> None:
        for port in (wiring.tx, wiring.rx):
            check_ready(port)
        self.wiring = wiring
        self.speed_mbit_s = min(speed_mbit_s(port) for port in (wiring.tx, wiring.rx))
        self._wanted = wanted
        self._tag = secrets.randbits(32)
        self._stack = ExitStack()
        with self._stack:
            self._device = self._stack.enter_context(Device())
            self._open()
            self._workers = self._stack.enter_context(ThreadPoolExecutor(2))
            self._stack = self._stack.pop_all()

    def _open(self) -> None:
        wiring = self.wiring
        self._rx: Tap = self._stack.enter_context(
            open_tap(
                wiring.rx,
                clock="monotonic",
                ring_size=wiring.ring_size,
                busy_poll_us=wiring.busy_poll_us,
            )
        )
        self._tx = self._rx
        if not wiring.reflected:  # what comes in there is not for this program
            sender = open_tap(wiring.tx, ring_size=1, quota=1, promisc=False)
            self._tx = self._stack.enter_context(sender)
        self._tx._tx_setup()

    def __enter__(self) -> Self:
        """Return itself; leaving closes the taps."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the taps."""
        self._stack.close()

    @property
    def largest_bytes(self) -> int:
        """The largest frame that both cards take, its check sequence included."""
        return min(self._tx.frame_max, self._rx.frame_max) + FCS_BYTES

    def top_rate_fps(self, size_bytes: int) -> int:
        """Return what the line carries, or the most that was asked for."""
        line = line_rate_fps(size_bytes, self.speed_mbit_s)
        return min(line, self.wiring.max_rate_fps or line)

    def run(self, load: Load) -> Trial:
        """Send *load* and wait for it.

        Raises AbandonedError, InterfaceDownError, PortGoneError, and NtzcError if the link
        went down or the card was reset meanwhile.
        """
        meter = self._meter(load)
        before, busy_ns, start_ns = self._causes(), _busy_ns(), time.monotonic_ns()
        self._run(meter)
        wall_ns, busy_ns = time.monotonic_ns() - start_ns, _busy_ns() - busy_ns
        causes = {name: value - before[name] for name, value in self._causes().items()}
        if causes["tx_failed"]:
            raise NtzcError(
                f"{self._tx.interface}: the link went down, or the card was reset: "
                f"{causes['tx_failed']} frames were not sent"
            )
        return self._trial(load, meter, causes, wall_ns, busy_ns)

    def _meter(self, load: Load) -> Any:
        self._tag = (self._tag + 1) & 0xFFFFFFFF
        plan = {
            "dst": _mac(self.wiring.dst or self.wiring.rx.mac),
            "src": _mac(self.wiring.tx.mac),
            "frame_len": load.size_bytes - FCS_BYTES,
            "tag": self._tag,
            "frames": load.frames,
            "rate_fps": load.rate_fps,
            "duration_ns": load.limit_ns,
            "settle_ns": self.wiring.settle_ns,
        }
        return _create(plan)

    def _run(self, meter: Any) -> None:
        """Have two threads send and receive, and see both to their end."""
        wiring = self.wiring
        jobs = {
            self._start(lib.ntzc_meter_receive, meter, self._rx, wiring.rx_cpu): self._rx,
            self._start(lib.ntzc_meter_send, meter, self._tx, wiring.tx_cpu): self._tx,
        }
        pending: set[Future[int]] = set(jobs)
        try:
            while pending and self._wanted():
                done, pending = wait(pending, _TICK_S)
                for job in done:
                    if job.result() < 0:
                        raise os_error(job.result(), jobs[job].interface)
        finally:
            lib.ntzc_meter_stop(meter)
            wait(jobs)
        if pending:
            raise AbandonedError

    def _start(
        self, loop: Callable[[Any, Any], int], meter: Any, tap: Tap, cpu: int | None
    ) -> Future[int]:
        def job() -> int:
            usual = os.sched_getaffinity(0)  # this thread's
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
            try:
                return loop(meter, tap._tap)
            finally:
                os.sched_setaffinity(0, usual)

        return self._workers.submit(job)

    def _causes(self) -> dict[str, int]:
        """Return what this host's counters say of losses, which only grow."""
        tap = self._rx.stats()
        port = self._device.stats(self.wiring.rx)
        return {
            "lost_ring": tap.lost_ring,
            "lost_quota": tap.lost_quota,
            "lost_pool": tap.lost_pool,
            "missed": tap.missed,
            "rx_errors": port.rx_errors,
            "tx_failed": self._tx.stats().tx_failed,
        }

    def _trial(
        self, load: Load, meter: Any, causes: dict[str, int], wall_ns: int, busy_ns: int
    ) -> Trial:
        r = ffi.new("struct ntzc_meter_result *")
        counts = ffi.new("__u64[]", lib.NTZC_METER_BUCKETS)
        lib.ntzc_meter_result(meter, r, counts)
        same = (
            "sent received duplicates reordered corrupt stale foreign backward "
            "send_ns late_max_ns first_rx_ns last_rx_ns"
        )
        return Trial(
            load=load,
            latency=latency(list(counts), r.latency_min_ns, r.latency_max_ns),
            cpu=Cpu(wall_ns, busy_ns, r.send_cpu_ns, r.receive_cpu_ns),
            causes=causes,
            **{name: getattr(r, name) for name in same.split()},
        )


def _create(plan: dict[str, Any]) -> Any:
    out = ffi.new("struct ntzc_meter **")
    code = lib.ntzc_meter_create(ffi.new("struct ntzc_meter_plan *", plan), out)
    if code < 0:
        raise os_error(code)
    return ffi.gc(out[0], lib.ntzc_meter_destroy)


@dataclass(frozen=True)
class Reflected:
    """What a far end did.

    Attributes:
        received: test frames that came in.
        sent: of those, frames that were sent back.

    """

    received: int
    sent: int


def reflect(
    port: Port, wanted: Callable[[], bool], *, ring_size: int = 0, busy_poll_us: int = 0
) -> Reflected:
    """Send every test frame back through the card that it came in by, until not *wanted*.

    It goes as it came, by reference; the rest is as in :class:`Wiring`. Raises
    InterfaceDownError, PortGoneError, NtzcError.
    """
    check_ready(port)
    meter = _create(_REFLECTOR)
    opened = open_tap(port, filter=_TEST_FRAMES, ring_size=ring_size, busy_poll_us=busy_poll_us)
    with opened as tap, ThreadPoolExecutor(1) as workers:
        tap._tx_setup()  # with it comes the transmit ring
        job = workers.submit(lib.ntzc_meter_reflect, meter, tap._tap)
        try:
            while wanted() and not job.done():
                wait([job], _TICK_S)
        finally:
            lib.ntzc_meter_stop(meter)
        if job.result() < 0:
            raise os_error(job.result(), tap.interface)
    r = ffi.new("struct ntzc_meter_result *")
    lib.ntzc_meter_result(meter, r, ffi.new("__u64[]", lib.NTZC_METER_BUCKETS))
    return Reflected(r.received, r.sent)
