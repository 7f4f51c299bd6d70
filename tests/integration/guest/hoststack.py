# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's own network stack: pings, TCP and UDP through it, and what a tap sees of them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator

import abi

from emulation.pace import patience, wait_for

CLONE_NEWNET = 0x40000000
PORT = 7000
IPV4, ICMP, TCP = 0x0800, 1, 6


def enter(namespace: str) -> None:
    """Move this process to a network namespace."""
    fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping(address: str, count: int = 5, size: int = 56, timeout_s: float = 5) -> int:
    """Send echo requests, each after the answer to the last; return how many were answered."""
    answered = 0
    payload = bytes(i & 0xFF for i in range(size))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        s.connect((address, 0))
        for n in range(count):
            head = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, n)
            checksum = _checksum(head + payload)
            s.send(head[:2] + struct.pack("!H", checksum) + head[4:] + payload)
            # what else comes, as of ports that nobody listens to, makes nobody wait longer
            deadline = time.monotonic() + patience(timeout_s)
            with contextlib.suppress(TimeoutError, OSError):
                while (left := deadline - time.monotonic()) > 0:
                    s.settimeout(left)
                    got = s.recv(65536)[20:]
                    if got[0] == 0 and got[4:8] == head[4:8]:
                        answered += got[8:] == payload
                        break
    return answered


def stream(seed: int, size: int) -> bytes:
    """The bytes of a transfer."""
    return random.Random(seed).randbytes(size)


def _receive(s: socket.socket, size: int) -> str:
    digest = hashlib.sha256()
    while size:
        data = s.recv(min(size, 1 << 16))
        if not data:
            return f"{size} bytes did not come"
        digest.update(data)
        size -= len(data)
    return digest.hexdigest()


class Server:
    """Accepts one connection; receives the stream of seed 1, then sends that of seed 2."""

    def __init__(self, address: str, size: int) -> None:
        self._size = size
        self._socket = socket.create_server((address, PORT))
        self._got = ""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        s, _ = self._socket.accept()
        with s:
            self._got = _receive(s, self._size)
            s.sendall(stream(2, self._size))

    def fault(self, timeout_s: float = 60) -> str:
        """What was wrong with what came, or nothing."""
        self._thread.join(patience(timeout_s))
        self._socket.close()
        wanted = hashlib.sha256(stream(1, self._size)).hexdigest()
        return "" if self._got == wanted else f"got {self._got}"


def exchange(address: str, size: int, timeout_s: float = 60) -> str:
    """The other side of a :class:`Server`; return what was wrong, or nothing."""
    with socket.create_connection((address, PORT), patience(timeout_s)) as s:
        s.sendall(stream(1, size))
        got = _receive(s, size)
    return "" if got == hashlib.sha256(stream(2, size)).hexdigest() else f"got {got}"


class Flood:
    """Sends datagrams to *address* from a thread, on *cpu* if told, whatever becomes of them."""

    def __init__(self, address: str, len_bytes: int = 1000, cpu: int | None = None) -> None:
        self._to = (address, 9)
        self._data = bytes(len_bytes)
        self._cpus = os.sched_getaffinity(0) if cpu is None else {cpu}
        self._stop = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        os.sched_setaffinity(0, self._cpus)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while not self._stop.is_set():
                # the interface may be down, or gone
                with contextlib.suppress(OSError):
                    s.sendto(self._data, self._to)
                    self.sent += 1

    def go_on(self, n: int, timeout_s: float = 30) -> None:
        """Wait until it has sent *n* more; raise TimeoutError if it does not."""
        goal = self.sent + n
        wait_for(lambda: self.sent >= goal, f"{n} datagrams to be sent", timeout_s)

    def stop(self) -> int:
        """End it; return how many were sent."""
        self._stop.set()
        self._thread.join()
        return self.sent


class Watch:
    """A tap that keeps a copy of all frames of both directions, until :meth:`stop`.

    Attributes:
        gone: the card went meanwhile.
    """

    def __init__(self, name: str, quota: int = 0) -> None:
        self._tap = abi.Tap().attach(
            name, ring_size=8192, quota=quota, flags=abi.ATTACH_PROMISC | abi.ATTACH_HOST
        )
        self._tap.map()
        self._host_queue = self._tap.field("n_queues")
        self._frames: list[tuple[tuple[int, ...], bytes]] = []
        self.gone = False
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._read()
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            self.gone = True

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._tap.fd, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        while True:
            stopping = any(fd == self._stop for fd, _ in poll.poll())
            while descs := self._tap.read(256):
                self._frames += [(d, self._tap.data(d)) for d in descs]
                self._tap.release(*(d[0] for d in descs))
            if stopping:
                return

    def stop(self) -> dict[str, int]:
        """End it; return the tap's counters."""
        os.close(self._wake)
        self._thread.join()
        os.close(self._stop)
        stats: dict[str, int] = self._tap.stats()
        self._tap.close()
        return stats

    def _ip(self, host: bool, protocol: int) -> Iterator[tuple[tuple[int, ...], bytes]]:
        for desc, frame in self._frames:
            ethertype = struct.unpack_from("!H", frame, 12)[0]
            if ethertype != IPV4 or frame[23] != protocol:
                continue
            if bool(desc[7] & abi.RX_HOST) == host:
                yield desc, frame

    def misplaced(self) -> int:
        """Frames of the host that are not said to be of its queue, or the reverse."""
        return sum(
            bool(d[7] & abi.RX_HOST) != (d[8] == self._host_queue) or d[5] != d[3] or not d[2]
            for d, _ in self._frames
        )

    def pings(self, host: bool) -> dict[int, int]:
        """ICMP frames that the host sent (or received), by type."""
        counts: dict[int, int] = {}
        for _, frame in self._ip(host, ICMP):
            counts[frame[34]] = counts.get(frame[34], 0) + 1
        return counts

    def tags(self, host: bool) -> set[int]:
        """VLAN tags beside ICMP frames; 0 is none."""
        return {d[6] if d[7] & abi.RX_VLAN else 0 for d, _ in self._ip(host, ICMP)}

    def tcp_fault(self, host: bool, seed: int, size: int) -> str:
        """Whether the TCP segments of one direction make up the stream; what is wrong if not."""
        got, seen, start = bytearray(size), bytearray(size), None
        for _, frame in self._ip(host, TCP):
            ip = frame[14:]
            tcp = ip[(ip[0] & 15) * 4 : struct.unpack_from("!H", ip, 2)[0]]
            if self._bad_sum(ip, tcp):
                return "a segment's checksum is wrong"
            sequence, flags = struct.unpack_from("!I", tcp, 4)[0], tcp[13]
            if flags & 2:  # SYN
                start = sequence + 1
            data = tcp[(tcp[12] >> 4) * 4 :]
            if not data:
                continue
            if start is None:
                return "data before the SYN"
            at = (sequence - start) & 0xFFFFFFFF
            got[at : at + len(data)] = data
            seen[at : at + len(data)] = b"\1" * len(data)
        if missing := seen.count(0):
            return f"{missing} bytes were not seen"
        return "" if got == stream(seed, size) else "not the stream"

    @staticmethod
    def _bad_sum(ip: bytes, tcp: bytes) -> bool:
        pseudo = ip[12:20] + struct.pack("!HH", TCP, len(tcp))
        return _checksum(pseudo + tcp + bytes(len(tcp) & 1)) != 0


def frames_seen(name: str, timeout_s: float) -> int:
    """How many frames reach the host's stack on *name* within *timeout_s*, if any: 0 or 1."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as s:
        s.bind((name, 3))
        while select.select([s], [], [], patience(timeout_s))[0]:
            if s.recvfrom(2048)[1][2] != socket.PACKET_OUTGOING:
                return 1
    return 0
