# SPDX-License-Identifier: GPL-2.0-or-later
"""read(), write() and their kin used in every odd way, in the guest.

Each function ends well or raises; it leaves nothing open.
"""

from __future__ import annotations

import array
import errno
import fcntl
import mmap
import os
import random
import select
import signal
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import abi
import frames
import rings
import uring
from neighbour import Child, Neighbour, ours, tap_with

from emulation.pace import patience, wait_for

PAGE = mmap.PAGESIZE
READ, WRITE = mmap.PROT_READ, mmap.PROT_WRITE
ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
EFAULT, EAGAIN, ESTALE, EINVAL = errno.EFAULT, errno.EAGAIN, errno.ESTALE, errno.EINVAL
HANDLE, LEN = 0, 3
DESC = abi.DESC.size
UIO_MAXIOV = 1024

Desc = tuple[int, ...]


def err(call: Callable[..., Any], *args: Any) -> int:
    """The errno with which *call* fails; 0 if it does not."""
    try:
        call(*args)
    except OSError as error:
        return error.errno or 0
    return 0


def _handles(descs: Any) -> bytes:
    return b"".join(struct.pack("=I", desc[HANDLE]) for desc in descs)


def waiting(tap: abi.Tap, count: int) -> None:
    """Wait until *count* frames wait to be read."""
    wait_for(lambda: tap.stats()["waiting"] >= count, f"{count} frames")


class Cliff:
    """Memory that ends where the next page is missing."""

    def __init__(self, protection: int = READ | WRITE) -> None:
        self._start, failed = abi.call("mmap", 0, 2 * PAGE, READ | WRITE, ANONYMOUS, -1, 0)
        assert not failed
        self.end = self._start + PAGE
        assert abi.call("munmap", self.end, PAGE) == (0, 0)
        self._protection = protection

    def before(self, size: int, data: bytes = b"") -> int:
        """The address of the last *size* bytes, which begin with what fits of *data*."""
        if data:
            abi.poke(self.end - size, data[:size])
        return int(self.end - size)

    def close(self) -> None:
        abi.call("munmap", self._start, PAGE)


def faults(name: str, peer: str) -> None:
    """Have every call meet a bad address after each number of bytes: what was said was done."""
    neighbour, cliff = Neighbour(peer), Cliff()
    sizes = (0, 1, 3, 4, 5, 7, 8, 31, 32, 33, 36, 63, 64, 65, 95, 96, 127, 128, 159)
    with tap_with(name, neighbour) as (tap, _):
        tap.setup_tx(16)
        number = 0
        for size in sizes:
            neighbour.send(*range(number, number + 5))
            waiting(tap, 5)
            got, failed = abi.call("read", tap.fd, cliff.before(size), 5 * DESC)
            whole = size // DESC
            assert (got, failed) == ((whole * DESC, 0) if whole else (-1, EFAULT)), size
            first = [abi.DESC.unpack(abi.peek(cliff.end - size + i * DESC, DESC))
                     for i in range(whole)]  # fmt: skip
            rest = [*tap.read(5)]
            descs = first + rest
            assert [frames.number(tap.data(d)) for d in descs] == [*range(number, number + 5)]
            assert len({d[HANDLE] for d in descs}) == 5
            number += 5

            data = _handles(descs)
            got, failed = abi.call("write", tap.fd, cliff.before(min(size, 19), data), 20)
            whole = min(size, 19) // 4
            assert (got, failed) == ((whole * 4, 0) if whole else (-1, EFAULT)), size
            assert tap.stats()["held"] == 5 - whole
            assert tap.release(*(d[HANDLE] for d in descs[whole:])) == 5 - whole
            assert tap.stats()["held"] == 0

            batch = abi.buffer(24, struct.pack("=QIIQ", cliff.before(size), 5, 0, 0))
            assert abi.call("ioctl", tap.fd, abi.TX_RESERVE, batch) == (-1, EFAULT)
            assert tap.stats()["tx_free"] == 16
            mine = [tap.fill(d, frames.frame(i)) for i, d in enumerate(tap.reserve(5))]
            data = b"".join(abi.DESC.pack(*d) for d in mine)
            batch = abi.buffer(24, struct.pack("=QIIQ", cliff.before(size, data), 5, 0, 0))
            assert abi.call("ioctl", tap.fd, abi.TX_SUBMIT, batch) == (-1, EFAULT)
            assert tap.release(*(d[HANDLE] for d in mine)) == 5
            assert tap.stats()["tx_submitted"] == 0
    cliff.close()
    neighbour.close()


def partial_batches(name: str, peer: str, rounds: int = 100) -> None:
    """Batches of good and bad handles: all before the first bad one go, and no other."""
    neighbour, rng = Neighbour(peer), random.Random(30)
    with tap_with(name, neighbour) as (tap, _):
        tap.setup_tx(16)
        for _ in range(rounds):
            count = rng.randrange(1, 9)
            neighbour.send(*range(count))
            held = {d[HANDLE] for d in (*ours(tap, count), *tap.reserve(rng.randrange(1, 9)))}
            gone: list[int] = [0xFFFFFFFF, 0x7FFFFFFF]
            while held:
                batch = [rng.choice([*held, *gone[-3:]]) for _ in range(rng.randrange(1, 90))]
                good: list[int] = []
                for handle in batch:
                    if handle not in held or handle in good:
                        break
                    good.append(handle)
                try:
                    assert tap.release(*batch) == len(good)
                except OSError as error:
                    assert (error.errno, good) == (ESTALE, [])
                held -= {*good}
                gone += good
                stats = tap.stats()
                assert stats["held"] + stats["tx_reserved"] == len(held)
    neighbour.close()


def vectors(name: str, peer: str) -> None:
    """Scatter and gather: pieces of any size, none, empty ones, as many as there may be."""
    neighbour = Neighbour(peer)
    with tap_with(name, neighbour, ring_size=4096) as (tap, _):
        for sizes in (
            (96,), (1, 31, 33, 31), (0, 32, 0, 0, 64, 0), (5,) * 19 + (1,), (1,) * 96, (95, 1, 7),
            (0,) * 500 + (96,),
        ):  # fmt: skip
            neighbour.send(0, 1, 2)
            waiting(tap, 3)
            pieces = [bytearray(size) for size in sizes]
            assert os.readv(tap.fd, pieces) == 96
            descs = [*abi.DESC.iter_unpack(b"".join(pieces)[:96])]
            assert [frames.number(tap.data(d)) for d in descs] == [0, 1, 2]
            data = _handles(descs)
            cut = [data[i : i + n] for i, n in ((0, 1), (1, 0), (1, 6), (7, 5))]
            assert os.writev(tap.fd, cut) == 12
        count = UIO_MAXIOV * 3 // DESC
        neighbour.send(*range(count))
        waiting(tap, count)
        too_many = [bytearray(3) for _ in range(UIO_MAXIOV + 1)]
        assert err(os.readv, tap.fd, too_many) == EINVAL
        pieces = too_many[1:]
        assert os.readv(tap.fd, pieces) == count * DESC
        descs = [*abi.DESC.iter_unpack(b"".join(pieces))]
        assert [frames.number(tap.data(d)) for d in descs] == [*range(count)]
        assert (
            os.writev(tap.fd, [_handles(descs)[i : i + 1] for i in range(4 * count)]) == 4 * count
        )
        assert err(os.readv, tap.fd, [bytearray(16), bytearray(15)]) == EINVAL
        assert os.readv(tap.fd, [bytearray(0)] * 3) == 0
    neighbour.close()


class _InterruptedError(Exception):
    pass


def _interrupt(*_: Any) -> None:
    raise _InterruptedError


def interrupted(name: str, peer: str) -> None:
    """A signal ends each call that waits, and costs nothing."""
    neighbour = Neighbour(peer)

    def waits() -> None:
        signal.signal(signal.SIGALRM, _interrupt)
        with tap_with(name, neighbour) as (tap, _):
            tap.setup_tx(4)
            os.set_blocking(tap.fd, True)
            every = tap.reserve(4)
            for call, *args in ((os.read, tap.fd, 64), (tap.reserve, 1)):
                try:
                    # again and again: the first may come before it waits
                    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
                    call(*args)
                    raise AssertionError("it did not wait")
                except _InterruptedError:
                    pass
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            assert tap.release(*(d[HANDLE] for d in every)) == 4
            neighbour.send(5)
            (desc,) = ours(tap, 1)
            assert frames.number(tap.data(desc)) == 5

    assert Child(waits).result() is None
    neighbour.close()


def stopped(name: str, peer: str) -> None:
    """A process that is stopped while it waits goes on as if nothing had been."""
    neighbour = Neighbour(peer)
    ready = os.pipe()

    def reads() -> list[int]:
        tap = abi.Tap(os.O_RDWR).attach(name).map()
        os.write(ready[1], b"!")
        numbers: list[int] = []
        while len(numbers) < 40:
            (desc,) = tap.read(1)
            if frames.is_intact(tap.data(desc)):
                numbers.append(frames.number(tap.data(desc)))
            assert tap.release(desc[HANDLE]) == 1
        return numbers

    child = Child(reads)
    os.close(ready[1])
    os.read(ready[0], 1)
    for number in range(0, 40, 2):
        os.kill(child.pid, signal.SIGSTOP)
        os.waitpid(child.pid, os.WUNTRACED)
        neighbour.send(number)
        os.kill(child.pid, signal.SIGCONT)
        os.waitpid(child.pid, os.WCONTINUED)
        neighbour.send(number + 1)
    assert child.result() == [*range(40)]
    os.close(ready[0])
    neighbour.close()


def not_blocking(name: str, peer: str) -> None:
    """What would wait says so, as the file is at the time of the call."""
    neighbour = Neighbour(peer)
    with tap_with(name, neighbour) as (tap, _):
        tap.setup_tx(2)
        space = abi.buffer(DESC)
        while abi.call("read", tap.fd, space, DESC)[1] != EAGAIN:
            pass  # frames that others sent
        descs = tap.reserve(2)
        assert err(tap.reserve, 1) == errno.ENOBUFS
        os.set_blocking(tap.fd, True)
        neighbour.send(1)
        assert os.read(tap.fd, DESC)
        os.set_blocking(tap.fd, False)
        assert abi.call("read", tap.fd, space, DESC) == (-1, EAGAIN)
        # one file, two descriptors, one flag
        other = os.dup(tap.fd)
        os.set_blocking(other, True)
        neighbour.send(2)
        assert os.read(tap.fd, DESC)
        os.set_blocking(tap.fd, False)
        assert abi.call("read", other, space, DESC) == (-1, EAGAIN)
        os.close(other)
        assert tap.release(*(d[HANDLE] for d in descs)) == 2
    neighbour.close()


def full_ring(name: str) -> None:
    """A card that cannot read memory sends nothing: its ring fills, and says so."""
    tap = abi.Tap().attach(name, quota=1).setup_tx(4096)
    ready: list[Desc] = []
    while True:
        ready = ready or [tap.fill(d, frames.frame(1)) for d in tap.reserve(64)]
        try:
            n = tap.submit(*ready)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            break
        sent, ready = ready[0], ready[n:]
    assert err(tap.submit, *ready) == errno.ENOSPC
    assert not tap.poll() & select.POLLOUT
    assert err(fcntl.ioctl, tap.fd, abi.TX_DRAIN) == EAGAIN
    # what is in flight is not the program's
    assert err(tap.release, sent[HANDLE]) == ESTALE
    assert err(tap.submit, sent) == ESTALE
    assert tap.release(*(d[HANDLE] for d in ready)) == len(ready)
    tap.close()


def _fill_ring(tap: abi.Tap) -> list[Desc]:
    """Submit until the card's ring is full; return what it has no room for, reserved."""
    while True:
        os.set_blocking(tap.fd, True)
        ready = [tap.fill(d, frames.frame(1)) for d in tap.reserve(64)]
        os.set_blocking(tap.fd, False)
        while ready:
            try:
                ready = ready[tap.submit(*ready) :]
            except OSError as error:
                assert error.errno == errno.ENOSPC
                os.set_blocking(tap.fd, True)
                return ready


def _submission(descs: list[Desc]) -> int:
    """The address of what TX_SUBMIT takes."""
    array = abi.buffer(len(descs) * DESC, b"".join(abi.DESC.pack(*d) for d in descs))
    return int(abi.buffer(24, struct.pack("=QIIQ", array, len(descs), 0, 0)))


def _ioctl(tap: abi.Tap, command: int, arg: int, signal_s: float) -> tuple[int, int]:
    """Its result and errno; a signal comes every *signal_s*, as the first may be too early."""
    signal.setitimer(signal.ITIMER_REAL, signal_s, signal_s)
    try:
        result, failed = abi.call("ioctl", tap.fd, command, arg)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return result, failed


def _signals_while_sending(tap: abi.Tap, command: int) -> bool:
    """A signal ends *command* while the ring is full; False if the card was reset before it."""
    ready = _fill_ring(tap)
    before = tap.stats()
    arg = _submission(ready) if command == abi.TX_SUBMIT else 0
    result = _ioctl(tap, command, arg, 0.05)
    if result[0] >= 0:
        if command == abi.TX_SUBMIT:
            ready = ready[result[0] :]
    else:
        assert result == (-1, errno.EINTR), result
        after = tap.stats()
        for key in ("tx_reserved", "tx_submitted", "tx_free"):
            assert after[key] == before[key], key
        assert after["tx_reserved"] == len(ready)
    if ready:
        assert tap.release(*(d[HANDLE] for d in ready)) == len(ready)
    return result[0] < 0


def waiting_to_send(name: str) -> None:
    """A card that cannot read memory: calls that wait for it end by a signal, or its reset."""

    def waits() -> None:
        signal.signal(signal.SIGALRM, lambda *_: None)
        tap = abi.Tap().attach(name, quota=1).setup_tx(4096)
        for command in (abi.TX_SUBMIT, abi.TX_DRAIN):
            # it is reset some seconds after it hung
            assert any(_signals_while_sending(tap, command) for _ in range(5)), command
        long_s = patience(60)
        resets = abi.port_stats(name)["resets"]
        ready = _fill_ring(tap)
        sent, failed = _ioctl(tap, abi.TX_SUBMIT, _submission(ready), long_s)
        assert sent == len(ready), (sent, failed)
        assert abi.port_stats(name)["resets"] > resets
        ready = _fill_ring(tap)
        assert tap.release(*(d[HANDLE] for d in ready)) == len(ready)
        assert _ioctl(tap, abi.TX_DRAIN, 0, long_s) == (0, 0)
        stats = tap.stats()
        assert stats["tx_completed"] + stats["tx_failed"] == stats["tx_submitted"]
        assert stats["tx_in_flight"] == stats["tx_reserved"] == 0
        assert stats["tx_free"] == 4096

    assert Child(waits).result() is None


def shared_files(name: str, peer: str) -> None:
    """A copy of the descriptor, here and in another process, is the same tap until the last."""
    neighbour = Neighbour(peer)
    here, there = socket.socketpair()

    def other() -> None:
        here.close()
        _, (fd,), _, _ = socket.recv_fds(there, 1, 1)
        tap = abi.Tap.__new__(abi.Tap)
        tap.__dict__.update(fd=fd, rx=None, tx=None, attached=None, tx_setup_out=None)
        (desc,) = tap.read_all(1)
        size = struct.unpack("=Q", there.recv(8))[0]
        tap.attached = abi.Attach(rx_bytes=size)
        tap.map()
        assert frames.is_intact(tap.data(desc))
        assert tap.release(desc[HANDLE]) == 1
        there.send(b"!")
        there.recv(1)  # ends when the others are closed
        neighbour.send(7)
        (desc,) = ours(tap, 1)
        assert frames.number(tap.data(desc)) == 7

    child = Child(other)
    there.close()
    with tap_with(name, neighbour) as (tap, _):
        copy = os.dup(tap.fd)
        neighbour.send(1)
        (desc,) = ours(tap, 1)
        assert os.write(copy, _handles([desc])) == 4
        assert err(tap.release, desc[HANDLE]) == ESTALE
        socket.send_fds(here, [b"x"], [tap.fd])
        here.send(struct.pack("=Q", tap.field("rx_bytes")))
        neighbour.send(2)
        assert here.recv(1) == b"!"
        os.close(copy)
    here.close()
    assert child.result() is None
    neighbour.close()


def by_io_uring(name: str, peer: str) -> None:
    """A read that waits in a ring of io_uring: a frame ends it, or a cancel, or the ring's end."""
    neighbour, ring = Neighbour(peer), uring.Ring()
    with tap_with(name, neighbour) as (tap, _):
        os.set_blocking(tap.fd, True)
        space = abi.buffer(4 * DESC)
        for number in range(20):
            ring.submit(uring.OP_READ, 1, tap.fd, space, 4 * DESC)
            if number % 2:
                ring.submit(uring.OP_ASYNC_CANCEL, 2, address=1)
                results = ring.wait(2)
                assert results[1] in (-errno.ECANCELED, -errno.EINTR, -EAGAIN), results
                assert results[2] in (0, -errno.EALREADY), results
                continue
            assert ring.done() == ()
            neighbour.send(number)
            assert ring.wait() == {1: DESC}
            (desc,) = abi.DESC.iter_unpack(abi.peek(space, DESC))
            assert tap.data(desc) == frames.frame(number)
            handle = abi.buffer(4, _handles([desc]))
            ring.submit(uring.OP_WRITE, 3, tap.fd, handle, 4)
            assert ring.wait() == {3: 4}
        # one is left waiting when file and ring go
        ring.submit(uring.OP_READ, 1, tap.fd, space, DESC)
    ring.close()
    neighbour.close()


def spliced(name: str, peer: str) -> None:
    """Neither end of splice() or sendfile() may be a tap; nothing that waits or is held goes."""
    neighbour, (reader, writer), (here, there) = Neighbour(peer), os.pipe(), socket.socketpair()
    file = os.memfd_create("file")
    with tap_with(name, neighbour, 0) as (tap, (held,)):
        neighbour.send(1, 2)
        waiting(tap, 2)

        def taken() -> tuple[int, int]:
            """Frames read and given back; others than ours may come meanwhile."""
            stats = tap.stats()
            return stats["received"] - stats["waiting"], stats["released"]

        before, handle = taken(), _handles([held])
        for end in (file, writer):
            os.write(end, handle)
        os.lseek(file, 0, os.SEEK_SET)
        for target in (file, here.fileno(), writer):
            assert err(os.sendfile, target, tap.fd, None, 2 * DESC) == EINVAL
        for target in (writer, file):
            assert err(os.splice, tap.fd, target, 2 * DESC) == EINVAL
        for offset in (None, 0):
            assert err(os.sendfile, tap.fd, file, offset, len(handle)) == EINVAL
        assert err(os.splice, reader, tap.fd, len(handle)) == EINVAL
        assert os.read(reader, PAGE) == handle, "what was to be spliced"
        assert taken() == before
        assert [frames.number(tap.data(d)) for d in ours(tap, 2)] == [1, 2]
        assert tap.release(held[HANDLE]) == 1
    for fd in (file, reader, writer):
        os.close(fd)
    here.close()
    there.close()
    neighbour.close()


# ---- ioctl ----

_OUT = {
    # command: size, how many bytes at its end are always zero, offsets of other such bytes
    "QUERY": (32, 16, ()),
    "PORT_INFO": (144, 32, ((92, 4), (110, 2))),
    "PORT_STATS": (192, 32, ((4, 4),)),
    "PORT_POLICY": (48, 24, ((20, 4),)),
    "TAP_INFO": (288, 72, ()),
    "TAP_STATS": (192, 40, ()),
    "ATTACH": (136, 32, ()),
    "TX_SETUP": (56, 16, ((36, 4),)),
    "TX_TARGET": (56, 16, ((36, 4),)),
}


def _command(name: str) -> int:
    return int(getattr(abi, name))


def _arguments(name: str, port: str, other: str) -> bytes:
    """An argument with which the command works."""
    ids = {p.name.decode(): p.id for p in abi.ports()}
    size = _OUT[name][0]
    if name == "ATTACH":
        data = port.encode()
    elif name == "TX_TARGET":
        data = other.encode()
    elif name in ("PORT_INFO", "PORT_STATS", "PORT_POLICY", "TAP_INFO"):
        data = struct.pack("=I", ids[port])
    else:
        data = b""
    return data.ljust(size, b"\0")


def nothing_left_over(port: str, other: str) -> None:
    """All that a command does not say is zero, whatever was there before."""
    tap = abi.Tap()
    for name in ("QUERY", "ATTACH", "TX_SETUP", "TX_TARGET", "PORT_INFO", "PORT_STATS",
                 "PORT_POLICY", "TAP_INFO", "TAP_STATS"):  # fmt: skip
        size, tail, more = _OUT[name]
        data = _arguments(name, port, other)
        if name in ("QUERY", "TAP_STATS"):
            data = b"\xff" * size
        space = abi.buffer(size + 8, data + b"\xa5" * 8)
        assert abi.call("ioctl", tap.fd, _command(name), space) == (0, 0), name
        got = abi.peek(space, size + 8)
        assert got[size:] == b"\xa5" * 8, f"{name} wrote past its argument"
        assert not any(got[size - tail : size]), name
        for at, length in more:
            assert not any(got[at : at + length]), (name, at)
        if name == "PORT_INFO":
            _clean_string(got[8:24])
            _clean_string(got[24:56])
        if name == "TAP_INFO":
            _clean_string(got[48:64])
    tap.close()


def _clean_string(field: bytes) -> None:
    text, _, rest = field.partition(b"\0")
    assert text and not any(rest), field


def descriptors_say_all(name: str, peer: str) -> None:
    """Every byte of a descriptor that read() or TX_RESERVE gives has a meaning."""
    neighbour = Neighbour(peer)
    with tap_with(name, neighbour) as (tap, _):
        tap.setup_tx(4)
        for desc in tap.reserve(4):
            assert desc[2] == 0 and not any(desc[4:])
        neighbour.send(*range(8))
        for desc in ours(tap, 8):
            assert desc[LEN] == 60 and desc[4:] == (0, 60, 0, 0, desc[8], 0)
    neighbour.close()


def bad_pointers(port: str, other: str) -> None:
    """Addresses that cannot be read, or not be written."""
    protected, failed = abi.call("mmap", 0, PAGE, READ | WRITE, ANONYMOUS, -1, 0)
    assert not failed
    cliff = Cliff()
    for name, (size, _, _) in _OUT.items():
        tap = abi.Tap()
        if name not in ("QUERY", "ATTACH"):
            tap.attach(port)
        data = _arguments(name, port, other)
        for address in (0, 1, 2**47 - 8, 2**47, 2**63, 0xFFFF800000000000, 2**64 - 8):
            assert abi.call("ioctl", tap.fd, _command(name), address) == (-1, EFAULT), name
        for short in (0, 1, size // 2, size - 1):
            address = cliff.before(short, data) if short else cliff.end
            assert abi.call("ioctl", tap.fd, _command(name), address) == (-1, EFAULT), name
        # what can be read and not be written
        abi.poke(protected, data)
        libc_protect(protected, READ)
        assert abi.call("ioctl", tap.fd, _command(name), protected) == (-1, EFAULT), name
        libc_protect(protected, READ | WRITE)
        tap.close()
    tap = abi.Tap().attach(port)
    for address in (0, 1, 2**47 - 8, 2**63, cliff.end, cliff.before(39)):
        assert abi.call("ioctl", tap.fd, abi.FILTER, address) == (-1, EFAULT), hex(address)
    insns = abi.buffer(40, struct.pack("=IIQiIQQ", abi.FILTER_CLASSIC, 4, 2**63, 0, 0, 0, 0))
    assert abi.call("ioctl", tap.fd, abi.FILTER, insns) == (-1, EFAULT)
    tap.close()
    cliff.close()
    abi.call("munmap", protected, PAGE)


def libc_protect(address: int, protection: int) -> None:
    assert abi.call("mprotect", address, PAGE, protection) == (0, 0)


def senseless_counts(port: str) -> None:
    """Counts of none, of too many, and of so many that a product would overflow."""
    tap = abi.Tap().attach(port).setup_tx(16)
    own = abi.buffer(16 * DESC)
    for command in (abi.TX_RESERVE, abi.TX_SUBMIT):
        for count in (0, 2**31, 2**32 - 1):
            batch = abi.buffer(24, struct.pack("=QIIQ", own, count, 0, 0))
            assert abi.call("ioctl", tap.fd, command, batch) == (-1, EINVAL), count
        for address in (2**64 - DESC, 2**64 - 1, 2**63 - DESC):
            batch = abi.buffer(24, struct.pack("=QIIQ", address, 2**31 - 1, 0, 0))
            assert abi.call("ioctl", tap.fd, command, batch) == (-1, EFAULT), hex(address)
    # more than there are: what there is
    batch = abi.buffer(24, struct.pack("=QIIQ", own, 2**27 + 1, 0, 0))
    assert abi.call("ioctl", tap.fd, abi.TX_RESERVE, batch) == (16, 0)
    handles = [d[HANDLE] for d in abi.DESC.iter_unpack(abi.peek(own, 16 * DESC))]
    assert tap.release(*handles) == 16
    for length in (0, 4097, 2**29, 2**32 - 1):
        wanted = struct.pack("=IIQiIQQ", abi.FILTER_CLASSIC, length, own, 0, 0, 0, 0)
        assert abi.call("ioctl", tap.fd, abi.FILTER, abi.buffer(40, wanted)) == (-1, EINVAL)
    huge = array.array("I", [0xFFFFFFFF]) * 1
    assert err(os.write, tap.fd, huge.tobytes()) == ESTALE
    assert abi.call("read", tap.fd, own, 2**31 - 1)[1] in (0, EAGAIN)
    assert tap.stats()["tx_free"] == 16
    tap.close()


_PLACES_THAT_MUST_BE_ZERO = {
    "ATTACH": (136, (104, 112, 120, 128, 135)),
    "FILTER": (40, (20, 24, 32, 39)),
    "PORT_CONFIG": (32, (12, 16, 24, 31)),
    "PORT_INFO": (144, (112, 120, 128, 136, 143)),
    "PORT_POLICY": (48, (20, 24, 32, 40, 47)),
    "PORT_STATS": (192, (4, 160, 168, 184, 191)),
    "TAP_INFO": (288, (256, 264, 272, 280, 287)),
    "TX_RESERVE": (24, (12, 16, 23)),
    "TX_SETUP": (56, (13, 40, 48, 55)),
    "TX_SUBMIT": (24, (12, 16, 23)),
    "TX_TARGET": (56, (20, 40, 48, 55)),
}


def reserved_fields(port: str, other: str) -> None:
    """A reserved byte that is not zero: refused, and nothing changed."""
    for name, (size, places) in _PLACES_THAT_MUST_BE_ZERO.items():
        tap = abi.Tap()
        if name != "ATTACH":
            tap.attach(port).setup_tx(4)
        if name == "TX_SETUP":
            tap.close()
            tap = abi.Tap().attach(port)
        for place in places:
            data = bytearray(_arguments(name, port, other) if name in _OUT else bytes(size))
            if name in ("TX_RESERVE", "TX_SUBMIT"):
                data[:12] = struct.pack("=QI", abi.buffer(DESC), 1)
            data[place] = 0x80
            address = abi.buffer(size, bytes(data))
            got = abi.call("ioctl", tap.fd, _command(name), address)
            assert got == (-1, EINVAL), (name, place, got)
        if name != "ATTACH":
            assert tap.stats()["tx_reserved"] == 0
        else:
            tap.attach(port)
        tap.close()


# ---- every call in every state ----


class States:
    """A tap that goes through all states of its life; what each call says in it.

    Args:
        name: the interface.
        other: another card of ours.
    """

    def __init__(self, name: str, other: str) -> None:
        self._name, self._other = name, other
        self._id = next(int(p.id) for p in abi.ports() if p.name.decode() == name)
        self._tap = abi.Tap()
        self._spare: Desc | None = None

    def attach(self) -> None:
        self._tap.attach(self._name)

    def setup_tx(self) -> None:
        self._tap.setup_tx(4, flags=abi.TX_RINGS)

    def reserve(self) -> None:
        """Hold a buffer; it came through the free ring, as all are there at first."""
        ring = rings.TxRings(self._tap)
        handle, offset = ring.fetch()[0]
        self._spare = self._tap.fill((handle, offset), frames.frame(1))
        ring.close()

    def say(self) -> str:
        """What each call comes to: name=errno, 0 if it works; events of poll() as they are."""
        tap, none = self._tap, abi.buffer(DESC)
        bad = (0x80100001, 0, 0, 60, 0, 0, 0, 0, 0, 0)
        calls: dict[str, Callable[[], Any]] = {
            "query": lambda: fcntl.ioctl(tap.fd, abi.QUERY, bytes(32)),
            "filter": tap.filter_none,
            "attach": lambda: fcntl.ioctl(tap.fd, abi.ATTACH, abi.Attach(name=b"lo")),
            "stats": tap.stats,
            "read": lambda: self._plain("read", none),
            "write": lambda: self._plain("write", none),
            "setup": lambda: fcntl.ioctl(tap.fd, abi.TX_SETUP, abi.TxSetup(n_bufs=2**32 - 1)),
            "reserve": lambda: tap.reserve(1),
            "submit": lambda: tap.submit(self._spare or bad),
            "drain": lambda: fcntl.ioctl(tap.fd, abi.TX_DRAIN),
            "target": lambda: tap.add_target(self._name),
            "kick": lambda: fcntl.ioctl(tap.fd, abi.KICK),
            "info": self._info,
            "portstats": lambda: self._of_port(abi.PORT_STATS, abi.PortStats(id=self._id)),
            # of a size that no buffer has
            "config": lambda: self._of_port(
                abi.PORT_CONFIG, abi.PortConfig(id=self._id, buf_size=1000)
            ),
            "policy": lambda: self._of_port(abi.PORT_POLICY, abi.PortPolicy(id=self._id)),
            "tapinfo": lambda: self._of_port(abi.TAP_INFO, abi.TapInfo(port_id=self._id)),
        }  # fmt: skip
        for what, offset in (
            ("rx", 0), ("tx", abi.MMAP_TX), ("rxrings", abi.MMAP_RX_RINGS),
            ("txrings", abi.MMAP_TX_RINGS),
        ):  # fmt: skip
            calls[what] = partial(self._map, offset)
        said = {what: err(call) for what, call in calls.items()}
        words = [f"{what}={errno.errorcode.get(code, 0)}" for what, code in said.items()]
        return " ".join([*words, f"poll={tap.poll()}"])

    def _of_port(self, command: int, argument: Any) -> None:
        fcntl.ioctl(self._tap.fd, command, argument)

    def _info(self) -> None:
        """PORT_INFO, which goes on to the next port where there is none of that number."""
        info = abi.PortInfo(id=self._id)
        self._of_port(abi.PORT_INFO, info)
        if info.id != self._id:
            raise OSError(errno.ENOENT, "another port")

    def _plain(self, name: str, address: int) -> None:
        got, failed = abi.call(name, self._tap.fd, address, DESC)
        if got < 0:
            raise OSError(failed, os.strerror(failed))

    def _map(self, offset: int) -> None:
        mmap.mmap(self._tap.fd, PAGE, mmap.MAP_SHARED, READ, offset=offset).close()

    def close(self) -> None:
        self._tap.close()
