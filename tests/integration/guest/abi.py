# SPDX-License-Identifier: GPL-2.0-or-later
"""The bare ABI, in the guest: what a hostile program has, without libntzc or pyntzc."""

from __future__ import annotations

import ctypes as c
import errno
import fcntl
import mmap
import os
import select
import struct
from typing import Any

from emulation.pace import patience

libc = c.CDLL(None, use_errno=True)
libc.mmap.restype = c.c_void_p
libc.mmap.argtypes = [c.c_void_p, c.c_size_t, c.c_int, c.c_int, c.c_int, c.c_int64]
libc.mremap.restype = c.c_void_p
libc.mremap.argtypes = [c.c_void_p, c.c_size_t, c.c_size_t, c.c_int, c.c_void_p]
libc.munmap.argtypes = [c.c_void_p, c.c_size_t]
libc.mprotect.argtypes = [c.c_void_p, c.c_size_t, c.c_int]
libc.madvise.argtypes = [c.c_void_p, c.c_size_t, c.c_int]
libc.read.argtypes = [c.c_int, c.c_void_p, c.c_size_t]
libc.read.restype = c.c_ssize_t
libc.write.argtypes = [c.c_int, c.c_void_p, c.c_size_t]
libc.write.restype = c.c_ssize_t
libc.ioctl.argtypes = [c.c_int, c.c_ulong, c.c_void_p]

SYS_DELETE_MODULE = 176
HANDLE_TX = 0x80000000
MMAP_RX = 0
MMAP_TX = 0x1000000000
MMAP_RX_RINGS = 0x2000000000
MMAP_RX_RINGS_STEP = 0x1000000
MMAP_TX_RINGS = 0x3000000000
ATTACH_PROMISC, ATTACH_HOST = 1, 2
RX_VLAN, RX_HOST = 0x0001, 0x0020
TX_RINGS = 1
STACK_OFF, STACK_COPY = range(2)
POLICY_STACK, POLICY_QUOTA, POLICY_QUOTA_MAX = 1, 2, 4
FILTER_NONE, FILTER_CLASSIC, FILTER_EBPF = range(3)
DESC = struct.Struct("=IIQIIHHHBB")


class Attach(c.Structure):
    _fields_ = [
        ("name", c.c_char * 16), ("ifindex", c.c_uint32), ("flags", c.c_uint32),
        ("queues", c.c_uint64), ("ring_size", c.c_uint32), ("quota", c.c_uint32),
        ("desc_size", c.c_uint32), ("port_id", c.c_uint32), ("buf_size", c.c_uint32),
        ("n_bufs", c.c_uint32), ("headroom", c.c_uint32), ("frame_max", c.c_uint32),
        ("rx_bytes", c.c_uint64), ("fanout", c.c_uint32), ("clock", c.c_uint32),
        ("busy_poll_us", c.c_uint32), ("n_queues", c.c_uint32), ("rings_bytes", c.c_uint32),
        ("release_offset", c.c_uint32), ("release_size", c.c_uint32), ("tap_id", c.c_uint32),
        ("reserved", c.c_uint64 * 4),
    ]  # fmt: skip


class Filter(c.Structure):
    _fields_ = [
        ("kind", c.c_uint32), ("len", c.c_uint32), ("insns", c.c_uint64), ("fd", c.c_int32),
        ("flags", c.c_uint32), ("reserved", c.c_uint64 * 2),
    ]  # fmt: skip


class PortInfo(c.Structure):
    _fields_ = [
        ("id", c.c_uint32), ("ifindex", c.c_uint32), ("name", c.c_char * 16),
        ("bus", c.c_char * 32), ("n_queues", c.c_uint32), ("max_queues", c.c_uint32),
        ("buf_size", c.c_uint32), ("n_bufs", c.c_uint32), ("headroom", c.c_uint32),
        ("frame_max", c.c_uint32), ("numa_node", c.c_int32), ("flags", c.c_uint32),
        ("n_taps", c.c_uint32), ("reserved0", c.c_uint32), ("pool_bytes", c.c_uint64),
        ("mac", c.c_uint8 * 8), ("reserved", c.c_uint64 * 4),
    ]  # fmt: skip


class PortConfig(c.Structure):
    _fields_ = [
        ("id", c.c_uint32), ("buf_size", c.c_uint32), ("n_bufs", c.c_uint32),
        ("flags", c.c_uint32), ("reserved", c.c_uint64 * 2),
    ]  # fmt: skip


class PortPolicy(c.Structure):
    _fields_ = [
        ("id", c.c_uint32), ("set", c.c_uint32), ("stack", c.c_uint32), ("quota", c.c_uint32),
        ("quota_max", c.c_uint32), ("reserved0", c.c_uint32), ("reserved", c.c_uint64 * 3),
    ]  # fmt: skip


class TxSetup(c.Structure):
    _fields_ = [
        ("n_bufs", c.c_uint32), ("buf_size", c.c_uint32), ("headroom", c.c_uint32),
        ("flags", c.c_uint32), ("tx_bytes", c.c_uint64), ("rings_bytes", c.c_uint32),
        ("ring_size", c.c_uint32), ("free_offset", c.c_uint32), ("reserved0", c.c_uint32),
        ("reserved", c.c_uint64 * 2),
    ]  # fmt: skip


class TxTarget(c.Structure):
    _fields_ = [
        ("name", c.c_char * 16), ("ifindex", c.c_uint32), ("flags", c.c_uint32),
        ("target", c.c_uint32), ("port_id", c.c_uint32), ("frame_max", c.c_uint32),
        ("reserved0", c.c_uint32), ("reserved", c.c_uint64 * 2),
    ]  # fmt: skip


class TxBatch(c.Structure):
    _fields_ = [
        ("descs", c.c_uint64), ("count", c.c_uint32), ("flags", c.c_uint32),
        ("reserved", c.c_uint64),
    ]  # fmt: skip


_TAP = [
    "received", "received_bytes", "lost_ring", "lost_quota", "lost_pool", "released",
    "waiting", "held", "tx_reserved", "tx_submitted", "tx_forwarded", "tx_completed",
    "tx_failed", "tx_in_flight", "tx_free", "filtered", "missed", "bad_release", "bad_submit",
]  # fmt: skip


class TapStats(c.Structure):
    _fields_ = [(name, c.c_uint64) for name in _TAP] + [("reserved", c.c_uint64 * 5)]


class TapInfo(c.Structure):
    _fields_ = [
        ("port_id", c.c_uint32), ("tap_id", c.c_uint32), ("pid", c.c_uint32),
        ("uid", c.c_uint32), ("flags", c.c_uint32), ("fanout", c.c_uint32),
        ("queues", c.c_uint64), ("ring_size", c.c_uint32), ("quota", c.c_uint32),
        ("oldest_ns", c.c_uint64), ("comm", c.c_char * 16), ("stats", TapStats),
        ("reserved", c.c_uint64 * 4),
    ]  # fmt: skip


_PORT = [
    "pool_size", "pool_free", "pool_card", "pool_held", "pool_in_flight", "rx_frames",
    "rx_bytes", "rx_unclaimed", "rx_no_buffer", "rx_missed", "rx_errors", "tx_frames",
    "tx_bytes", "tx_failed", "tx_in_flight", "resets", "stack_rx", "stack_tx", "stack_dropped",
]  # fmt: skip


class PortStats(c.Structure):
    _fields_ = (
        [("id", c.c_uint32), ("flags", c.c_uint32)]
        + [(name, c.c_uint64) for name in _PORT]
        + [("reserved", c.c_uint64 * 4)]
    )


def _ioc(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | 0xB5 << 8 | number


QUERY = _ioc(2, 0x00, 32)
PORT_INFO = _ioc(3, 0x01, c.sizeof(PortInfo))
PORT_STATS = _ioc(3, 0x02, c.sizeof(PortStats))
PORT_CONFIG = _ioc(1, 0x03, c.sizeof(PortConfig))
PORT_POLICY = _ioc(3, 0x04, c.sizeof(PortPolicy))
TAP_INFO = _ioc(3, 0x05, c.sizeof(TapInfo))
ATTACH = _ioc(3, 0x10, c.sizeof(Attach))
TAP_STATS = _ioc(2, 0x11, c.sizeof(TapStats))
FILTER = _ioc(1, 0x12, c.sizeof(Filter))
TX_SETUP = _ioc(3, 0x20, c.sizeof(TxSetup))
TX_RESERVE = _ioc(1, 0x21, c.sizeof(TxBatch))
TX_SUBMIT = _ioc(1, 0x22, c.sizeof(TxBatch))
TX_DRAIN = _ioc(0, 0x23, 0)
TX_TARGET = _ioc(3, 0x24, c.sizeof(TxTarget))
KICK = _ioc(0, 0x30, 0)
_COMMANDS = {
    QUERY, PORT_INFO, PORT_STATS, PORT_CONFIG, PORT_POLICY, TAP_INFO, ATTACH, TAP_STATS, FILTER,
    TX_SETUP, TX_RESERVE, TX_SUBMIT, TX_DRAIN, TX_TARGET, KICK,
}  # fmt: skip


def call(name: str, *args: Any) -> tuple[int, int]:
    """Call libc's *name*; return its result and errno (0 if it did not fail)."""
    c.set_errno(0)
    result = getattr(libc, name)(*args)
    failed = result in (-1, None, 2**64 - 1)
    if name == "mmap" and not failed:
        _maps[result] = args[1]
    elif name == "munmap":
        _maps.pop(args[0], None)
    return (-1 if failed else result), (c.get_errno() if failed else 0)


def buffer(size: int, data: bytes = b"") -> int:
    """Return the address of new memory of *size* bytes that begins with *data*; never freed."""
    memory = c.create_string_buffer(data, size)
    _kept.append(memory)
    return c.addressof(memory)


def unload_core() -> int:
    """Ask for the end of the core, now or never; return the errno, 0 if it is gone."""
    return call("syscall", SYS_DELETE_MODULE, b"ntzc", os.O_NONBLOCK)[1]


def peek(address: int, size: int) -> bytes:
    return c.string_at(address, size)


def poke(address: int, data: bytes) -> None:
    c.memmove(address, data, len(data))


_kept: list[Any] = []
_maps: dict[int, int] = {}
_taps: list[Tap] = []


def reset() -> None:
    """Close and unmap what a test left open, so that its failure is not the next one's."""
    for tap in _taps:
        tap.close()
    _taps.clear()
    for address, length in _maps.items():
        libc.munmap(address, length)
    _maps.clear()
    _kept.clear()


class Tap:
    """A tap by its bare file. Errors are OSError."""

    def __init__(self, flags: int = os.O_RDWR | os.O_NONBLOCK) -> None:
        self.fd = os.open("/dev/ntzc", flags)
        self.attached: Attach | None = None
        self.rx: mmap.mmap | None = None
        self.tx: mmap.mmap | None = None
        self.tx_setup_out: TxSetup | None = None
        _taps.append(self)

    def attach(
        self,
        name: str,
        queues: int = 0,
        ring_size: int = 0,
        quota: int = 0,
        flags: int = 1,
        **more: int,
    ) -> Tap:
        a = Attach(
            name=name.encode(),
            queues=queues,
            ring_size=ring_size,
            quota=quota,
            flags=flags,
            **more,
        )
        fcntl.ioctl(self.fd, ATTACH, a)
        self.attached = a
        return self

    def field(self, name: str) -> int:
        """A field of what ATTACH said."""
        return int(getattr(self.attached, name))

    def map(self) -> Tap:
        assert self.attached
        self.rx = mmap.mmap(self.fd, self.attached.rx_bytes, mmap.MAP_SHARED, mmap.PROT_READ)
        return self

    def filter_classic(self, program: bytes) -> Tap:
        """Admit what *program* does: instructions, as struct sock_filter has them."""
        array = c.create_string_buffer(program, len(program))
        wanted = Filter(kind=FILTER_CLASSIC, len=len(program) // 8, insns=c.addressof(array))
        fcntl.ioctl(self.fd, FILTER, wanted)
        return self

    def filter_ebpf(self, fd: int) -> Tap:
        """Admit what the loaded program *fd* does."""
        fcntl.ioctl(self.fd, FILTER, Filter(kind=FILTER_EBPF, fd=fd))
        return self

    def filter_none(self) -> Tap:
        """Admit every frame."""
        fcntl.ioctl(self.fd, FILTER, Filter())
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
        wait_ms = patience(timeout_s) * 1000
        got: tuple[tuple[int, ...], ...] = ()
        while len(got) < count and poll.poll(wait_ms):
            got += self.read(count - len(got))
        return got

    def data(self, desc: tuple[int, ...]) -> bytes:
        assert self.rx
        return self.rx[desc[1] : desc[1] + desc[3]]

    def release(self, *handles: int) -> int:
        """How many were released."""
        return os.write(self.fd, struct.pack(f"={len(handles)}I", *handles)) // 4

    def setup_tx(self, n_bufs: int = 0, buf_size: int = 0, flags: int = 0) -> Tap:
        setup = TxSetup(n_bufs=n_bufs, buf_size=buf_size, flags=flags)
        fcntl.ioctl(self.fd, TX_SETUP, setup)
        self.tx_setup_out = setup
        self.tx = mmap.mmap(self.fd, setup.tx_bytes, offset=MMAP_TX)
        return self

    def reserve(self, count: int) -> tuple[tuple[int, ...], ...]:
        array = c.create_string_buffer(count * DESC.size)
        batch = TxBatch(descs=c.addressof(array), count=count)
        n = fcntl.ioctl(self.fd, TX_RESERVE, batch)
        return tuple(DESC.iter_unpack(array.raw[: n * DESC.size]))

    def submit(self, *descs: tuple[int, ...]) -> int:
        """How many were accepted."""
        array = c.create_string_buffer(b"".join(DESC.pack(*d) for d in descs), 32 * len(descs))
        batch = TxBatch(descs=c.addressof(array), count=len(descs))
        return int(fcntl.ioctl(self.fd, TX_SUBMIT, batch))

    def fill(self, desc: tuple[int, ...], frame: bytes) -> tuple[int, ...]:
        """Write *frame* into a reserved buffer; return the descriptor that sends it."""
        assert self.tx
        self.tx[desc[1] : desc[1] + len(frame)] = frame
        return (desc[0], desc[1], 0, len(frame), 0, 0, 0, 0, 0, 0)

    def add_target(self, name: str, ifindex: int = 0, flags: int = 0) -> tuple[int, int]:
        """Let the tap send to another port, too; return its number and its longest frame."""
        wanted = TxTarget(name=name.encode(), ifindex=ifindex, flags=flags)
        fcntl.ioctl(self.fd, TX_TARGET, wanted)
        return wanted.target, wanted.frame_max

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
        events = poll.poll(patience(timeout_s) * 1000)
        return events[0][1] if events else 0

    def close(self) -> None:
        for memory in (self.rx, self.tx):
            if memory is not None:
                memory.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _wrong_commands() -> set[int]:
    """Every number and direction with some sizes; of each command its own, and sizes near it."""
    sizes = {number: {0, 8, 31, 4095} for number in range(256)}
    for command in _COMMANDS:
        size = command >> 16 & 0x3FFF
        sizes[command & 0xFF] |= {near for near in (size - 8, size, size + 8) if near >= 0}
    tried = {_ioc(d, number, size) for d in range(4) for number in sizes for size in sizes[number]}
    return tried - _COMMANDS


def commands_not_refused(fd: int) -> str:
    """Try commands that are none, some of them almost; return the first that does anything but
    fail with ENOTTY, or nothing.
    """
    space = buffer(4096)
    for command in sorted(_wrong_commands()):
        result = call("ioctl", fd, command, space)
        if result != (-1, errno.ENOTTY):
            return f"{command:#x}: {result}"
    return ""


def ports() -> list[PortInfo]:
    """All ports."""
    fd = os.open("/dev/ntzc", os.O_RDWR)
    found: list[PortInfo] = []
    wanted = 0
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


def _port_id(name: str) -> int:
    return next(int(p.id) for p in ports() if p.name.decode() == name)


def policy(name: str, **fields: int) -> dict[str, int]:
    """Set the *fields* of the policy of interface *name*, if any; return what it is then."""
    bits = {"stack": POLICY_STACK, "quota": POLICY_QUOTA, "quota_max": POLICY_QUOTA_MAX}
    p = PortPolicy(id=_port_id(name), set=sum(bits[key] for key in fields), **fields)
    fd = os.open("/dev/ntzc", os.O_RDWR)
    try:
        fcntl.ioctl(fd, PORT_POLICY, p)
    finally:
        os.close(fd)
    return {key: getattr(p, key) for key in bits}


def port_stats(name: str) -> dict[str, int]:
    """The counters of the port of interface *name*."""
    st = PortStats(id=_port_id(name))
    fd = os.open("/dev/ntzc", os.O_RDWR)
    try:
        fcntl.ioctl(fd, PORT_STATS, st)
    finally:
        os.close(fd)
    return {key: getattr(st, key) for key in _PORT}


def configure(name: str, buf_size: int = 0, n_bufs: int = 0) -> None:
    """Change how the pool of interface *name* is made."""
    cfg = PortConfig(id=_port_id(name), buf_size=buf_size, n_bufs=n_bufs)
    fd = os.open("/dev/ntzc", os.O_RDWR)
    try:
        fcntl.ioctl(fd, PORT_CONFIG, cfg)
    finally:
        os.close(fd)
