# SPDX-License-Identifier: GPL-2.0-or-later
"""The bare ABI, in the guest: what a hostile program has, without libntzc or pyntzc."""

from __future__ import annotations

import ctypes as C
import fcntl
import mmap
import os
import select
import struct
from typing import Any

libc = C.CDLL(None, use_errno=True)
libc.mmap.restype = C.c_void_p
libc.mmap.argtypes = [C.c_void_p, C.c_size_t, C.c_int, C.c_int, C.c_int, C.c_int64]
libc.mremap.restype = C.c_void_p
libc.mremap.argtypes = [C.c_void_p, C.c_size_t, C.c_size_t, C.c_int, C.c_void_p]
libc.munmap.argtypes = [C.c_void_p, C.c_size_t]
libc.mprotect.argtypes = [C.c_void_p, C.c_size_t, C.c_int]
libc.madvise.argtypes = [C.c_void_p, C.c_size_t, C.c_int]
libc.read.argtypes = [C.c_int, C.c_void_p, C.c_size_t]
libc.read.restype = C.c_ssize_t
libc.write.argtypes = [C.c_int, C.c_void_p, C.c_size_t]
libc.write.restype = C.c_ssize_t
libc.ioctl.argtypes = [C.c_int, C.c_ulong, C.c_void_p]

HANDLE_TX = 0x80000000
MMAP_RX = 0
MMAP_TX = 0x1000000000
DESC = struct.Struct("=IIQIIHHHBB")


class Attach(C.Structure):
    _fields_ = [
        ("name", C.c_char * 16), ("ifindex", C.c_uint32), ("flags", C.c_uint32),
        ("queues", C.c_uint64), ("ring_size", C.c_uint32), ("quota", C.c_uint32),
        ("desc_size", C.c_uint32), ("port_id", C.c_uint32), ("buf_size", C.c_uint32),
        ("n_bufs", C.c_uint32), ("headroom", C.c_uint32), ("frame_max", C.c_uint32),
        ("rx_bytes", C.c_uint64), ("reserved", C.c_uint64 * 4),
    ]  # fmt: skip


class PortInfo(C.Structure):
    _fields_ = [
        ("id", C.c_uint32), ("ifindex", C.c_uint32), ("name", C.c_char * 16),
        ("bus", C.c_char * 32), ("n_queues", C.c_uint32), ("max_queues", C.c_uint32),
        ("buf_size", C.c_uint32), ("n_bufs", C.c_uint32), ("headroom", C.c_uint32),
        ("frame_max", C.c_uint32), ("numa_node", C.c_int32), ("flags", C.c_uint32),
        ("n_taps", C.c_uint32), ("reserved0", C.c_uint32), ("pool_bytes", C.c_uint64),
        ("mac", C.c_uint8 * 8), ("reserved", C.c_uint64 * 4),
    ]  # fmt: skip


class PortConfig(C.Structure):
    _fields_ = [
        ("id", C.c_uint32), ("buf_size", C.c_uint32), ("n_bufs", C.c_uint32),
        ("flags", C.c_uint32), ("reserved", C.c_uint64 * 2),
    ]  # fmt: skip


class TxSetup(C.Structure):
    _fields_ = [
        ("n_bufs", C.c_uint32), ("buf_size", C.c_uint32), ("headroom", C.c_uint32),
        ("flags", C.c_uint32), ("tx_bytes", C.c_uint64), ("reserved", C.c_uint64 * 2),
    ]  # fmt: skip


class TxBatch(C.Structure):
    _fields_ = [
        ("descs", C.c_uint64), ("count", C.c_uint32), ("flags", C.c_uint32),
        ("reserved", C.c_uint64),
    ]  # fmt: skip


_TAP = (
    "received received_bytes lost_ring lost_quota lost_pool released waiting held tx_reserved "
    "tx_submitted tx_forwarded tx_completed tx_failed tx_in_flight tx_free"
).split()


class TapStats(C.Structure):
    _fields_ = [(name, C.c_uint64) for name in _TAP] + [("reserved", C.c_uint64 * 9)]


_PORT = (
    "pool_size pool_free pool_card pool_held pool_in_flight rx_frames rx_bytes rx_unclaimed "
    "rx_no_buffer rx_missed rx_errors tx_frames tx_bytes tx_failed tx_in_flight resets"
).split()


class PortStats(C.Structure):
    _fields_ = (
        [("id", C.c_uint32), ("flags", C.c_uint32)]
        + [(name, C.c_uint64) for name in _PORT]
        + [("reserved", C.c_uint64 * 7)]
    )


def _ioc(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | 0xB5 << 8 | number


QUERY = _ioc(2, 0x00, 32)
PORT_INFO = _ioc(3, 0x01, C.sizeof(PortInfo))
PORT_STATS = _ioc(3, 0x02, C.sizeof(PortStats))
PORT_CONFIG = _ioc(1, 0x03, C.sizeof(PortConfig))
ATTACH = _ioc(3, 0x10, C.sizeof(Attach))
TAP_STATS = _ioc(2, 0x11, C.sizeof(TapStats))
TX_SETUP = _ioc(3, 0x20, C.sizeof(TxSetup))
TX_RESERVE = _ioc(1, 0x21, C.sizeof(TxBatch))
TX_SUBMIT = _ioc(1, 0x22, C.sizeof(TxBatch))
TX_DRAIN = _ioc(0, 0x23, 0)


def call(name: str, *args: Any) -> tuple[int, int]:
    """Call libc's *name*; return its result and errno (0 if it did not fail)."""
    C.set_errno(0)
    result = getattr(libc, name)(*args)
    failed = result in (-1, None, 2**64 - 1)
    return (-1 if failed else result), (C.get_errno() if failed else 0)


def buffer(size: int, data: bytes = b"") -> int:
    """Return the address of new memory of *size* bytes that begins with *data*; never freed."""
    memory = C.create_string_buffer(data, size)
    _kept.append(memory)
    return C.addressof(memory)


def peek(address: int, size: int) -> bytes:
    return C.string_at(address, size)


def poke(address: int, data: bytes) -> None:
    C.memmove(address, data, len(data))


_kept: list[Any] = []


class Tap:
    """A tap by its bare file. Errors are OSError."""

    def __init__(self, flags: int = os.O_RDWR | os.O_NONBLOCK) -> None:
        self.fd = os.open("/dev/ntzc", flags)
        self.attached: Attach | None = None
        self.rx: mmap.mmap | None = None
        self.tx: mmap.mmap | None = None
        self.tx_setup_out: TxSetup | None = None

    def attach(
        self, name: str, queues: int = 0, ring_size: int = 0, quota: int = 0, flags: int = 1
    ) -> "Tap":
        a = Attach(
            name=name.encode(), queues=queues, ring_size=ring_size, quota=quota, flags=flags
        )
        fcntl.ioctl(self.fd, ATTACH, a)
        self.attached = a
        return self

    def field(self, name: str) -> int:
        """A field of what ATTACH said."""
        return int(getattr(self.attached, name))

    def map(self) -> "Tap":
        assert self.attached
        self.rx = mmap.mmap(self.fd, self.attached.rx_bytes, mmap.MAP_SHARED, mmap.PROT_READ)
        return self

    def read(self, count: int) -> tuple[tuple[int, ...], ...]:
        """Up to *count* descriptors, as tuples in the order of struct ntzc_desc."""
        try:
            data = os.read(self.fd, count * DESC.size)
        except BlockingIOError:
            return ()
        return tuple(DESC.iter_unpack(data))

    def read_all(self, count: int, timeout_s: float = 60) -> tuple[tuple[int, ...], ...]:
        """Exactly *count* descriptors, or fewer after *timeout_s*."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        got: tuple[tuple[int, ...], ...] = ()
        while len(got) < count and poll.poll(timeout_s * 1000):
            got += self.read(count - len(got))
        return got

    def data(self, desc: tuple[int, ...]) -> bytes:
        assert self.rx
        return self.rx[desc[1] : desc[1] + desc[3]]

    def release(self, *handles: int) -> int:
        """How many were released."""
        return os.write(self.fd, struct.pack(f"={len(handles)}I", *handles)) // 4

    def setup_tx(self, n_bufs: int = 0, buf_size: int = 0) -> "Tap":
        setup = TxSetup(n_bufs=n_bufs, buf_size=buf_size)
        fcntl.ioctl(self.fd, TX_SETUP, setup)
        self.tx_setup_out = setup
        self.tx = mmap.mmap(self.fd, setup.tx_bytes, offset=MMAP_TX)
        return self

    def reserve(self, count: int) -> tuple[tuple[int, ...], ...]:
        array = C.create_string_buffer(count * DESC.size)
        batch = TxBatch(descs=C.addressof(array), count=count)
        n = fcntl.ioctl(self.fd, TX_RESERVE, batch)
        return tuple(DESC.iter_unpack(array.raw[: n * DESC.size]))

    def submit(self, *descs: tuple[int, ...]) -> int:
        """How many were accepted."""
        array = C.create_string_buffer(b"".join(DESC.pack(*d) for d in descs), 32 * len(descs))
        batch = TxBatch(descs=C.addressof(array), count=len(descs))
        return int(fcntl.ioctl(self.fd, TX_SUBMIT, batch))

    def fill(self, desc: tuple[int, ...], frame: bytes) -> tuple[int, ...]:
        """Write *frame* into a reserved buffer; return the descriptor that sends it."""
        assert self.tx
        self.tx[desc[1] : desc[1] + len(frame)] = frame
        return (desc[0], desc[1], 0, len(frame), 0, 0, 0, 0, 0, 0)

    def drain(self) -> None:
        os.set_blocking(self.fd, True)
        try:
            fcntl.ioctl(self.fd, TX_DRAIN)
        finally:
            os.set_blocking(self.fd, False)

    def stats(self) -> dict[str, int]:
        st = TapStats()
        fcntl.ioctl(self.fd, TAP_STATS, st)
        return {name: getattr(st, name) for name in _TAP}

    def poll(self, timeout_s: float = 0) -> int:
        poll = select.poll()
        poll.register(self.fd, select.POLLIN | select.POLLOUT)
        events = poll.poll(timeout_s * 1000)
        return events[0][1] if events else 0

    def close(self) -> None:
        for memory in (self.rx, self.tx):
            if memory:
                memory.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def ports() -> list[PortInfo]:
    """All ports."""
    fd = os.open("/dev/ntzc", os.O_RDWR)
    found, wanted = [], 0
    try:
        while True:
            info = PortInfo(id=wanted)
            try:
                fcntl.ioctl(fd, PORT_INFO, info)
            except FileNotFoundError:
                return found
            found.append(info)
            wanted = info.id + 1
    finally:
        os.close(fd)


def port_stats(name: str) -> dict[str, int]:
    """The counters of the port of interface *name*."""
    port = next(p for p in ports() if p.name.decode() == name)
    st = PortStats(id=port.id)
    fd = os.open("/dev/ntzc", os.O_RDWR)
    try:
        fcntl.ioctl(fd, PORT_STATS, st)
    finally:
        os.close(fd)
    return {key: getattr(st, key) for key in _PORT}


def configure(name: str, buf_size: int = 0, n_bufs: int = 0) -> None:
    """Change how the pool of interface *name* is made."""
    port = next(p for p in ports() if p.name.decode() == name)
    fd = os.open("/dev/ntzc", os.O_RDWR)
    try:
        fcntl.ioctl(fd, PORT_CONFIG, PortConfig(id=port.id, buf_size=buf_size, n_bufs=n_bufs))
    finally:
        os.close(fd)
