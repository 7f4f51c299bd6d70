# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes without memory, and what exec() leaves, in the guest.

Each function ends well or raises; it leaves no process and no control group.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import abi
from neighbour import Child, Neighbour, ours

from emulation.pace import patience, wait_for

GROUPS = Path("/sys/fs/cgroup")
MIB = 1 << 20
HANDLE = 0


@contextlib.contextmanager
def group(memory_max: int) -> Iterator[Path]:
    """A control group of so many bytes."""
    (GROUPS / "cgroup.subtree_control").write_text("+memory")
    path = GROUPS / "squeezed"
    path.mkdir()
    try:
        (path / "memory.max").write_text(str(memory_max))
        yield path
    finally:
        wait_for(lambda: _reads(path / "cgroup.procs", ""), "the group's last process to end")
        path.rmdir()


def _reads(path: Path, text: str) -> bool:
    return path.read_text() == text


def _events(path: Path) -> dict[str, int]:
    lines = (path / "memory.events").read_text().splitlines()
    return {name: int(count) for name, count in (line.split() for line in lines)}


def _charged(path: Path) -> int:
    return int((path / "memory.current").read_text())


def within(path: Path, function: Callable[..., Any], *args: Any) -> Any:
    """What *function* returns in a process of that group."""

    def enter() -> Any:
        (path / "cgroup.procs").write_text(str(os.getpid()))
        return function(*args)

    return Child(enter).result()


def _setup_errno(name: str, n_bufs: int) -> int:
    tap = abi.Tap().attach(name, ring_size=64, quota=16)
    try:
        tap.setup_tx(n_bufs, 2048)
    except OSError as error:
        return error.errno or 0
    finally:
        tap.close()
    return 0


def transmit_memory_is_charged(name: str) -> None:
    """A tap's transmit memory counts against its group, is refused there, and comes off again."""
    with group(64 * MIB) as path:

        def charges() -> int:
            tap = abi.Tap().attach(name, ring_size=64, quota=16)
            before = _charged(path)
            tap.setup_tx(16 * MIB // 2048, 2048)
            grown = _charged(path) - before
            tap.close()
            wait_for(lambda: _charged(path) < before + 2 * MIB, "the charge to go")
            return grown

        assert within(path, charges) >= 16 * MIB
        for _ in range(5):
            assert within(path, _setup_errno, name, 256 * MIB // 2048) == errno.ENOMEM
        assert within(path, _setup_errno, name, 16 * MIB // 2048) == 0
        assert _events(path)["oom_kill"] == 0


def rings_are_charged(name: str) -> None:
    """The rings of a tap count against its group, and are refused there."""
    with group(24 * MIB) as path:

        def attach_many() -> int:
            taps = []
            try:
                while True:
                    # a ring of 2 MiB for each queue
                    taps.append(abi.Tap().attach(name, ring_size=65536))
            except OSError as error:
                return -(error.errno or 0) if not taps else len(taps)
            finally:
                for tap in taps:
                    tap.close()

        count = within(path, attach_many)
        assert 0 < count < 12, count
        assert within(path, attach_many) == count, "all of it came back"
        assert _events(path)["oom_kill"] == 0


def waits_alone_for_memory(name: str, what: str) -> None:
    """A group may have its programs wait for each charge; nobody else waits for them with it."""

    def wait(path: Path) -> None:
        (path / "cgroup.procs").write_text(str(os.getpid()))
        tap = abi.Tap()
        if what == "transmit":
            tap.attach(name, ring_size=64, quota=16)
        (path / "memory.high").write_text("65536")
        if what == "transmit":
            tap.setup_tx(256 * MIB // 2048, 2048)
        else:
            tap.attach(name, ring_size=65536)

    with group(512 * MIB) as path:
        child = Child(wait, path)
        try:
            call = Path(f"/proc/{child.pid}/wchan")
            wait_for(lambda: "mem_cgroup" in call.read_text(), "the charge to be waited for")
            slowest = 0.0
            for _ in range(30):
                begun = time.monotonic()
                assert abi.port_stats(name)
                slowest = max(slowest, time.monotonic() - begun)
                time.sleep(0.1)
            assert "mem_cgroup" in call.read_text(), "it was not waiting all the while"
            assert slowest < patience(1), slowest
        finally:
            child.kill()


def killed_for_memory(name: str, peer: str) -> int:
    """A process that holds frames takes all memory of its group; return what it died of."""
    neighbour = Neighbour(peer)
    ready = os.pipe()

    def greedy(path: Path) -> None:
        (path / "cgroup.procs").write_text(str(os.getpid()))
        tap = abi.Tap().attach(name).map().setup_tx(64)
        neighbour.send(*range(20))
        assert len(ours(tap, 20)) == 20
        assert len(tap.reserve(32)) == 32
        os.write(ready[1], b"!")
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(4096)) * 256)

    with group(64 * MIB) as path:
        child = Child(greedy, path)
        os.close(ready[1])
        os.read(ready[0], 1)
        status = int(child.ended())
        assert _events(path)["oom_kill"] >= 1
    os.close(ready[0])
    neighbour.close()
    return status


def across_exec(name: str, peer: str) -> None:
    """exec() ends a tap whose file is to be closed, and the mapping; any other lives on."""
    neighbour = Neighbour(peer)
    port = next(i for i, p in enumerate(abi.ports()) if p.name.decode() == name)

    def held() -> int:
        return int(abi.port_stats(name)["pool_held"])

    def run(stays: bool) -> None:
        tap = abi.Tap().attach(name).map().setup_tx(8)
        os.set_inheritable(tap.fd, stays)
        neighbour.send(*range(5))
        assert len(ours(tap, 5)) == 5
        assert len(tap.reserve(8)) == 8
        os.execv("/bin/sleep", ["sleep", "1000"])

    for stays in (True, False):
        child = Child(run, stays)
        comm = Path(f"/proc/{child.pid}/comm")
        wait_for(partial(_reads, comm, "sleep\n"), "exec")
        if stays:
            assert abi.ports()[port].n_taps == 1 and held() == 5
            assert "ntzc" not in Path(f"/proc/{child.pid}/maps").read_text()
        else:
            wait_for(lambda: abi.ports()[port].n_taps == 0 and held() == 0, "the tap's end")
        os.kill(child.pid, signal.SIGKILL)
        assert child.ended() == -signal.SIGKILL
        wait_for(lambda: abi.ports()[port].n_taps == 0 and held() == 0, "the tap's end")
    neighbour.close()


def only_mapped(name: str) -> None:
    """A mapping without file or driver keeps the core loaded; without it the core can go."""
    areas = (0, abi.MMAP_TX, abi.MMAP_RX_RINGS, abi.MMAP_TX_RINGS)
    tap = abi.Tap().attach(name).setup_tx(4, flags=abi.TX_RINGS)
    sizes = (4096, 4096, tap.field("rings_bytes"), tap.tx_setup_out.rings_bytes)
    mapped = [
        (abi.call("mmap", 0, size, mmap.PROT_READ, mmap.MAP_SHARED, tap.fd, offset)[0], size)
        for offset, size in zip(areas, sizes, strict=True)
    ]
    assert all(address > 0 for address, _ in mapped)
    tap.close()
    subprocess.run(["rmmod", "ntzc_igb"], check=True)
    for address, size in mapped:
        assert abi.unload_core() == errno.EWOULDBLOCK
        assert abi.call("munmap", address, size) == (0, 0)
    assert abi.unload_core() == 0


def flood(peer: str) -> None:
    """Send without end, whatever becomes of the link."""
    neighbour = Neighbour(peer)
    number = 0
    while True:
        with contextlib.suppress(OSError):
            neighbour.send(*range(number, number + 64))
        number += 64


def reload(rounds: int, modules: tuple[str, ...], name: str, peer: str) -> None:
    """Unload and load, under traffic in every second round; nothing of ours stays."""
    sender = Child(flood, peer)
    base = Path("/proc/modules")
    try:
        for number in range(rounds):
            if number % 2:
                wait_for(lambda: Path(f"/sys/class/net/{name}").exists(), "the interface")
                subprocess.run(["ip", "link", "set", name, "up", "promisc", "on"], check=True)
                frames = Path(f"/sys/class/net/{name}/statistics/rx_packets")
                wait_for(lambda: int(frames.read_text()) > 0, "a frame")  # noqa: B023 - called here
            subprocess.run(["rmmod", "ntzc_igb", "ntzc"], check=True)
            assert "ntzc" not in base.read_text()
            assert not Path("/dev/ntzc").exists() and not Path("/sys/class/misc/ntzc").exists()
            for path in modules:
                subprocess.run(["insmod", path], check=True)
    finally:
        sender.kill()
