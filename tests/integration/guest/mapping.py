# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program may try with a mapping of packet memory, in the guest.

Each function ends well or raises; it leaves nothing open.
"""

from __future__ import annotations

import ctypes as c
import errno
import mmap
import os
import resource
import shutil
import signal
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import abi
import frames
from neighbour import Child, Neighbour, apart, tap_with

from emulation.pace import wait_for

PAGE = mmap.PAGESIZE
READ, WRITE, EXEC = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC
SHARED, ANONYMOUS = mmap.MAP_SHARED, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
DONTFORK, DOFORK, DONTNEED = 10, 11, 4
MAYMOVE, DONTUNMAP = 1, 4
HANDLE, OFFSET, LEN = 0, 1, 3
SYS_IO_URING_SETUP, SYS_IO_URING_REGISTER, SYS_USERFAULTFD = 425, 427, 323
UFFD_API, UFFD_REGISTER = 0xC018AA3F, 0xC020AA00

Desc = tuple[int, ...]


def _map(tap: abi.Tap, offset: int, length: int, protection: int = READ) -> int:
    address, failed = abi.call("mmap", 0, length, protection, SHARED, tap.fd, offset)
    assert not failed, os.strerror(failed)
    return int(address)


def _page(desc: Desc) -> int:
    return desc[OFFSET] // PAGE * PAGE


def _shows(address: int, desc: Desc, number: int) -> bool:
    """Whether a mapping of the frame's page shows the frame."""
    data = abi.peek(address + desc[OFFSET] - _page(desc), desc[LEN])
    return bool(data == frames.frame(number, desc[LEN]))


def n_taps(name: str) -> int:
    return next(int(p.n_taps) for p in abi.ports() if p.name.decode() == name)


def pieces(name: str, peer: str) -> None:
    """Cut a hole into a mapping, move a piece of it, and close the file: the pieces stay."""
    neighbour = Neighbour(peer)
    with tap_with(name, neighbour, 1) as (tap, (desc,)):
        base, total = _page(desc), tap.field("rx_bytes")
        first = min(base, total - 4 * PAGE)
        address = _map(tap, first, 4 * PAGE)
        at = (base - first) // PAGE  # the frame's page among the four
        for page in range(4):
            if page not in (at, (at + 2) % 4):
                assert abi.call("munmap", address + page * PAGE, PAGE) == (0, 0)
        moved, failed = abi.call("mremap", address + at * PAGE, PAGE, PAGE, MAYMOVE, None)
        assert not failed and _shows(moved, desc, 1)
        elsewhere, _ = abi.call("mmap", 0, PAGE, READ, ANONYMOUS, -1, 0)
        moved, failed = abi.call("mremap", moved, PAGE, PAGE, MAYMOVE | 2, elsewhere)
        assert not failed and moved == elsewhere and _shows(moved, desc, 1)
        for size, flags, wanted in (
            (0, MAYMOVE, errno.EFAULT),  # that would be a second mapping
            (PAGE, MAYMOVE | DONTUNMAP, errno.EINVAL),
        ):
            assert abi.call("mremap", moved, size, PAGE, flags, None) == (-1, wanted)
        assert tap.rx
        tap.rx.close()
        os.close(tap.fd)
        tap.rx, tap.fd = None, -1
        assert n_taps(name) == 1
        assert _shows(moved, desc, 1)
        abi.call("munmap", address + (at + 2) % 4 * PAGE, PAGE)
        assert n_taps(name) == 1
        abi.call("munmap", moved, PAGE)
        assert n_taps(name) == 0
    neighbour.close()


def pieces_of_what_is_written(name: str) -> None:
    """Cut and move mappings of transmit memory and rings: each piece shows its own page."""
    for area in (abi.MMAP_TX, abi.MMAP_RX_RINGS, abi.MMAP_TX_RINGS):
        tap = abi.Tap().attach(name)
        tap.setup_tx(16, flags=abi.TX_RINGS)
        whole, page = (_map(tap, area, 2 * PAGE, READ | WRITE) for _ in range(2))
        for number, text in ((2, b"in place"), (1, b"another.")):
            abi.poke(whole + number * PAGE - 8, text)
        assert abi.call("munmap", page, PAGE) == (0, 0)
        elsewhere, _ = abi.call("mmap", 0, PAGE, READ, ANONYMOUS, -1, 0)
        moved, failed = abi.call("mremap", page + PAGE, PAGE, PAGE, MAYMOVE | 2, elsewhere)
        assert not failed and moved == elsewhere
        assert abi.peek(moved + PAGE - 8, 8) == b"in place"
        abi.poke(moved + PAGE - 8, b"by piece")
        assert abi.peek(whole + 2 * PAGE - 8, 8) == b"by piece"
        abi.call("munmap", whole, 2 * PAGE)
        tap.close()
        assert n_taps(name) == 1
        assert abi.peek(moved + PAGE - 8, 8) == b"by piece"
        abi.call("munmap", moved, PAGE)
        assert n_taps(name) == 0


def forks(name: str, peer: str) -> None:
    """A child reads the mapping, gives back what its parent read, and outlives it."""
    neighbour = Neighbour(peer)
    ready, parent_gone = os.pipe(), os.pipe()

    def child(tap: abi.Tap, desc: Desc) -> None:
        os.close(parent_gone[1])
        os.read(parent_gone[0], 1)  # nothing comes: it ends with the parent
        assert tap.data(desc) == frames.frame(1)
        assert tap.release(desc[HANDLE]) == 1
        assert tap.stats()["held"] == 0
        os.write(ready[1], b"!")
        signal.pause()

    def parent() -> int:
        with tap_with(name, neighbour, 1) as (tap, (desc,)):
            assert apart(tap.data, desc, keep=True) == frames.frame(1)
            pid = Child(child, tap, desc, keep=True).pid
            os.write(ready[1], struct.pack("=I", pid))
            os._exit(0)

    process = Child(parent)
    os.close(ready[1])
    (pid,) = struct.unpack("=I", os.read(ready[0], 4))
    assert process.ended() == 0
    for fd in parent_gone:
        os.close(fd)
    try:
        assert os.read(ready[0], 1) == b"!"
        assert n_taps(name) == 1
    finally:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: n_taps(name) == 0, "its tap's end")
    os.close(ready[0])
    neighbour.close()


def advice_about_forks(name: str, peer: str) -> None:
    """A child lacks the mapping if so advised, and dies where it was; that stays so.

    The memory manager takes MADV_DOFORK of no memory that is a device's.
    """
    neighbour = Neighbour(peer)
    with tap_with(name, neighbour, 1) as (tap, (desc,)):
        address = _map(tap, _page(desc), PAGE)

        def shown() -> bool:
            return _shows(address, desc, 1)

        assert abi.call("madvise", address, PAGE, DONTFORK) == (0, 0)
        assert Child(shown, keep=True).ended() == -signal.SIGSEGV
        assert shown()
        assert abi.call("madvise", address, PAGE, DOFORK) == (-1, errno.EINVAL)
        assert Child(shown, keep=True).ended() == -signal.SIGSEGV
        assert apart(tap.data, desc, keep=True) == frames.frame(1), "the other mapping"
        abi.call("munmap", address, PAGE)
    neighbour.close()


def many(name: str, peer: str, processes: int = 8, each: int = 50) -> None:
    """A page mapped again and again, here and in many processes: the same bytes everywhere."""
    neighbour = Neighbour(peer)
    with tap_with(name, neighbour, 1) as (tap, (desc,)):

        def all_show() -> bool:
            addresses = [_map(tap, _page(desc), PAGE) for _ in range(each)]
            assert len(set(addresses)) == each
            assert all(_shows(address, desc, 1) for address in addresses)
            return all(abi.call("munmap", address, PAGE) == (0, 0) for address in addresses)

        children = [Child(all_show, keep=True) for _ in range(processes)]
        assert all_show()
        assert all(child.result() for child in children)
    neighbour.close()


def advice(name: str, peer: str) -> None:
    """Drop, lock and advise about pages, and ask to handle their faults."""
    neighbour = Neighbour(peer)
    with tap_with(name, neighbour, 1) as (tap, (desc,)):
        size = tap.field("rx_bytes")
        address = _map(tap, 0, size)
        for which in (*range(5), 8, 9, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 24, 25, 100, 101):
            abi.call("madvise", address, size, which)
            data = abi.peek(address + desc[OFFSET], 60)
            assert data == frames.frame(1), which
        assert abi.call("mlock", c.c_void_p(address), c.c_size_t(size)) == (0, 0)
        assert abi.call("munlock", c.c_void_p(address), c.c_size_t(size)) == (0, 0)
        fd, failed = abi.call("syscall", SYS_USERFAULTFD, os.O_CLOEXEC)
        assert not failed
        try:
            hello = abi.buffer(24, struct.pack("=QQQ", 0xAA, 0, 0))
            assert abi.call("ioctl", fd, UFFD_API, hello) == (0, 0)
            for mode in (1, 2, 4):
                wanted = abi.buffer(32, struct.pack("=QQQQ", address, size, mode, 0))
                assert abi.call("ioctl", fd, UFFD_REGISTER, wanted) == (-1, errno.EINVAL)
        finally:
            os.close(fd)
        # what was dropped comes back by faults
        assert abi.call("madvise", address, size, DONTNEED) == (0, 0)
        assert abi.peek(address + desc[OFFSET], 60) == frames.frame(1)
        abi.call("munmap", address, size)
    neighbour.close()


class _Iov(c.Structure):
    _fields_ = [("base", c.c_void_p), ("len", c.c_size_t)]


def _pins(address: int, disk: int) -> list[str]:
    """Ways to pin a page for I/O that does not fail with EFAULT (or EIO, through /proc)."""
    iov = _Iov(address, PAGE)
    here = _Iov(abi.buffer(PAGE), PAGE)
    reader, writer = os.pipe()
    params = abi.buffer(120)
    ring, failed = abi.call("syscall", SYS_IO_URING_SETUP, 4, c.c_void_p(params))
    assert not failed
    pid = os.getpid()
    ways = {
        "vmsplice": abi.call("vmsplice", writer, c.byref(iov), c.c_size_t(1), 0),
        "a gift": abi.call("vmsplice", writer, c.byref(iov), c.c_size_t(1), 8),
        "O_DIRECT": abi.call("pread", disk, c.c_void_p(address), c.c_size_t(PAGE), c.c_long(0)),
        "a fixed buffer": abi.call("syscall", SYS_IO_URING_REGISTER, ring, 0, c.byref(iov), 1),
        "process_vm_writev": abi.call(
            "process_vm_writev", pid, c.byref(here), c.c_ulong(1), c.byref(iov), c.c_ulong(1),
            c.c_ulong(0),
        ),
        "process_vm_readv": abi.call(
            "process_vm_readv", pid, c.byref(here), c.c_ulong(1), c.byref(iov), c.c_ulong(1),
            c.c_ulong(0),
        ),
    }  # fmt: skip
    with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
        here_address = abi.buffer(PAGE)
        for name in ("pread", "pwrite"):
            ways[f"{name} of /proc/self/mem"] = abi.call(
                name, memory.fileno(), c.c_void_p(here_address), c.c_size_t(PAGE), c.c_long(address)
            )
    for fd in (ring, reader, writer):
        os.close(fd)
    return [f"{way}: {got}" for way, got in ways.items() if got[1] not in (errno.EFAULT, errno.EIO)]


def pinning(name: str, peer: str, disk: str) -> None:
    """Nothing pins packet memory beyond its tap's life; a page of one's own can be pinned."""
    neighbour = Neighbour(peer)
    fd = os.open(disk, os.O_RDONLY | os.O_DIRECT)
    with tap_with(name, neighbour, 1) as (tap, (desc,)):
        tap.setup_tx(16, flags=abi.TX_RINGS)
        rx, tx = _map(tap, _page(desc), PAGE), _map(tap, abi.MMAP_TX, PAGE, READ | WRITE)
        rx_rings, tx_rings = (
            _map(tap, offset, PAGE, READ | WRITE)
            for offset in (abi.MMAP_RX_RINGS, abi.MMAP_TX_RINGS)
        )
        own, _ = abi.call("mmap", 0, PAGE, READ | WRITE, ANONYMOUS, -1, 0)
        for address in (rx, tx, rx_rings, tx_rings):
            assert (ways := _pins(address, fd)) == [], ways
        assert len(ways := _pins(own, fd)) == 8, f"all of them would work: {ways}"
        assert _shows(rx, desc, 1)
        for address in (rx, tx, rx_rings, tx_rings, own):
            abi.call("munmap", address, PAGE)
    os.close(fd)
    neighbour.close()


def read_into_itself(name: str, peer: str) -> None:
    """Give read() and write() addresses in the tap's own mappings."""
    neighbour = Neighbour(peer)
    with tap_with(name, neighbour, 0) as (tap, (first,)):
        tap.setup_tx(16)
        bytes_ = tap.field("rings_bytes")
        rx, tx = _map(tap, 0, PAGE), _map(tap, abi.MMAP_TX, PAGE, READ | WRITE)
        own_rings = _map(tap, abi.MMAP_RX_RINGS, bytes_, READ | WRITE)
        neighbour.send(*range(1, 5))
        _wait(tap, 4)
        assert abi.call("read", tap.fd, rx, PAGE) == (-1, errno.EFAULT)
        assert tap.stats()["waiting"] == 4
        # a page that was dropped is put back while the kernel copies to it
        assert abi.call("madvise", tx, PAGE, DONTNEED) == (0, 0)
        assert abi.call("read", tap.fd, tx, 64) == (64, 0)
        # the handles of those two, from where read() put them
        two = struct.pack("=II", *(desc[HANDLE] for desc in abi.DESC.iter_unpack(abi.peek(tx, 64))))
        abi.poke(tx + 128, two)
        assert abi.call("write", tap.fd, tx + 128, 8) == (8, 0)
        # into the very ring that is read: its entries, then its indices
        got, failed = abi.call("read", tap.fd, own_rings + bytes_ - PAGE, 64)
        assert (got, failed) == (64, 0)
        assert tap.release(first[HANDLE]) == 1
        neighbour.send(9)
        _wait(tap, 1)
        assert abi.call("read", tap.fd, own_rings, 32) == (32, 0)
        for address, size in ((rx, PAGE), (tx, PAGE), (own_rings, bytes_)):
            abi.call("munmap", address, size)
    neighbour.close()


def _wait(tap: abi.Tap, count: int) -> None:
    """Until *count* frames wait."""
    wait_for(lambda: tap.stats()["waiting"] >= count, f"{count} frames")


def _next(tap: abi.Tap) -> Desc:
    """The next frame, which must come."""
    descs: tuple[Desc, ...] = tap.read_all(1)
    assert descs, "no frame came"
    return descs[0]


class _Secret:
    """Bytes that a process can write, and know again, without having them in its memory."""

    def __init__(self) -> None:
        self._parts = os.urandom(32), os.urandom(32)

    def _bytes(self) -> Iterator[int]:
        return (a ^ b for a, b in zip(*self._parts, strict=True))

    def write(self, mapping: mmap.mmap, at: int) -> None:
        for i, byte in enumerate(self._bytes()):
            mapping[at + i] = byte

    def is_at(self, mapping: mmap.mmap, at: int) -> bool:
        return all(mapping[at + i] == byte for i, byte in enumerate(self._bytes()))

    def reveal(self) -> bytes:
        return bytes(self._bytes())


def core_dump(name: str, peer: str) -> None:
    """A program that dumps core leaves packet memory and rings out of it, though all else is in."""
    neighbour = Neighbour(peer)
    where = tempfile.mkdtemp()
    received, sent, ring = (_Secret() for _ in range(3))
    known = os.urandom(32)
    head = frames.frame(0)[: frames.HEADER_LEN]

    def dump() -> None:
        os.chdir(where)
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        Path("/proc/self/coredump_filter").write_text("0x1ff")
        with tap_with(name, neighbour) as (tap, _):
            tap.setup_tx(16)
            rings = mmap.mmap(tap.fd, tap.field("rings_bytes"), offset=abi.MMAP_RX_RINGS)
            assert tap.rx and tap.tx
            while not received.is_at(tap.rx, _next(tap)[OFFSET] + len(head)):
                pass
            sent.write(tap.tx, 0)
            ring.write(rings, len(rings) - 32)
            shared = mmap.mmap(-1, PAGE)
            shared[:32] = known
            os.kill(os.getpid(), signal.SIGABRT)
            shared.close()

    pattern = Path("/proc/sys/kernel/core_pattern")
    before = pattern.read_text()
    pattern.write_text("core")
    try:
        child = Child(dump)
        wait_for(lambda: n_taps(name) == 1, "its tap")
        neighbour.send_raw(head + received.reveal())
        assert child.ended() == -signal.SIGABRT
    finally:
        pattern.write_text(before)
    (core,) = Path(where).glob("core*")
    data = core.read_bytes()
    shutil.rmtree(where)
    assert data[:4] == b"\x7fELF" and known in data
    for secret in (received, sent, ring):
        assert secret.reveal() not in data
    neighbour.close()
