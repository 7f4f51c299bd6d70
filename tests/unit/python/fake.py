# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel in Python at libntzc's boundary, under the real pyntzc.

It recycles memory as the real one does, only more eagerly: a buffer that is given back is
overwritten at once, and is the next one to be used.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

import pyntzc._handle
import pyntzc._options
import pyntzc._send
import pyntzc._tap
from pyntzc._libntzc import ffi, lib

SIZE = 2048
HEADROOM = 128
RECYCLED = 0xEE
_TX = lib.NTZC_HANDLE_TX


_all_cards: list[FakeCard] = []


class FakeCard:
    """Buffers, who has them, and the functions of libntzc that a tap calls."""

    def __init__(self, n_bufs: int = 32, n_tx: int = 8, quota: int = 32) -> None:
        self.quota = quota
        self.rx = mmap.mmap(-1, n_bufs * SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.tx = mmap.mmap(-1, n_tx * SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.free = list(range(n_bufs))
        self.tx_free = list(range(n_tx))
        self.held: set[int] = set()
        self.tx_held: set[int] = set()
        self.waiting: list[dict[str, int]] = []
        self.sent: list[bytes] = []
        self.sent_tci: list[int | None] = []
        self.sent_to: list[int] = []
        self.ring_room = 1 << 30
        self.send_max = 1518
        self.down = False
        self.generation = 0
        self.released = 0
        self.calls: dict[str, int] = {}
        self.faults: list[str] = []
        self.gone = False
        self.interruptions = 0
        self.detached = False
        self.destroyed = False
        self.in_flight = 0
        self.options: dict[str, Any] = {}
        self.filter: Any = None
        self.targets: list[str | int] = []
        self.refusal = 0
        self.on_forward: Callable[[], None] = lambda: None
        self.on_tx_setup: Callable[[], None] = lambda: None
        self._lock = threading.Lock()  # what waits, and whether the file says so
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._callbacks: list[Any] = []
        # an object that a test leaks must not reach into freed memory
        _all_cards.append(self)

    def close(self) -> None:
        """Its file, that is; its memory may be looked at as long as anybody likes."""
        os.close(self._ready)

    # --- what the wire does ---

    def deliver(self, frame: bytes, **fields: int) -> bool:
        """Put *frame* in a buffer and in the ring; return whether there was room."""
        with self._lock:
            return self._deliver(frame, fields)

    def _deliver(self, frame: bytes, fields: dict[str, int]) -> bool:
        if not self.free or len(self.held) + len(self.waiting) >= self.quota:
            return False
        index = self.free.pop()
        self.generation += 1
        offset = index * SIZE + HEADROOM
        self.rx[offset : offset + len(frame)] = frame
        self.waiting.append(
            {"handle": self.generation % 2048 << 20 | index, "offset": offset, "len": len(frame)}
            | {"orig_len": len(frame), "timestamp": 1_700_000_000_000_000_000 + self.generation}
            | fields
        )
        os.eventfd_write(self._ready, 1)
        return True

    def wake(self) -> None:
        """Make the file ready, as when a card goes."""
        os.eventfd_write(self._ready, 1)

    def check(self) -> None:
        """Fail if the client did anything that it must not."""
        assert not self.faults, self.faults

    # --- libntzc ---

    def _failed(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        """Note what a function below raised, its test's timeout above all: C knows no exceptions.

        Its caller gets -EIO, so that whoever would call it again and again does not.
        """
        self.faults.append(f"{kind.__name__}: {error}")

    def _count(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.destroyed or self.detached:
            self.faults.append(f"{name} after the end")

    def _peek(self, tap: Any, descs: Any, n: int, timeout_ms: int) -> int:
        self._count("peek")
        if self.gone:
            return -errno.ENODEV
        if self.interruptions:
            self.interruptions -= 1
            return -errno.EINTR
        with self._lock:
            taken = self.waiting[:n]
            del self.waiting[:n]
            for i, fields in enumerate(taken):
                ffi.memmove(descs + i, ffi.new("struct ntzc_desc *", fields), 32)
                self.held.add(fields["handle"])
            if not self.waiting and taken:
                os.eventfd_read(self._ready)
        return len(taken)

    def _release(self, tap: Any, descs: Any, n: int) -> int:
        self._count("release")
        for i in range(n):
            handle = descs[i].handle
            if handle & _TX:
                if handle not in self.tx_held:
                    self.faults.append(f"release of {handle:#x}, which is not held")
                    return i or -errno.ESTALE
                self.tx_held.remove(handle)
                self.tx_free.append(handle & 0xFFFFF)
                continue
            if handle not in self.held:
                self.faults.append(f"release of {handle:#x}, which is not held")
                return i or -errno.ESTALE
            self.held.remove(handle)
            self._recycle(handle & 0xFFFFF)
        return n

    def _recycle(self, index: int) -> None:
        self.released += 1
        self.rx[index * SIZE : (index + 1) * SIZE] = bytes([RECYCLED]) * SIZE
        self.free.append(index)

    def _detach(self, tap: Any, keep: Any, n: int) -> int:
        self._count("detach")
        spared = {(keep[i].handle & _TX, keep[i].offset // SIZE) for i in range(n)}
        for area, which in ((self.rx, 0), (self.tx, _TX)):
            for index in range(len(area) // SIZE):
                if (which, index) not in spared:
                    area[index * SIZE : (index + 1) * SIZE] = bytes(SIZE)
        self.detached = True
        return 0

    def _destroy(self, tap: Any) -> None:
        if self.destroyed:
            self.faults.append("destroyed twice")
        self.destroyed = True

    def _reserve(self, tap: Any, descs: Any, n: int, timeout_ms: int) -> int:
        self._count("reserve")
        if not self.tx_free:
            return -errno.ENOBUFS
        count = min(n, len(self.tx_free))
        for i in range(count):
            index = self.tx_free.pop()
            fields = {"handle": _TX | index, "offset": index * SIZE + HEADROOM}
            fields["len"] = SIZE - HEADROOM
            ffi.memmove(descs + i, ffi.new("struct ntzc_desc *", fields), 32)
            self.tx_held.add(_TX | index)
        return count

    def _forward(self, tap: Any, descs: Any, n: int, target: int, timeout_ms: int) -> int:
        self._count("forward")
        self.on_forward()
        for i in range(n):
            if self.down:
                return i or -errno.ENETDOWN
            if len(self.sent) >= self.ring_room:
                return i or -errno.ENOSPC
            desc = descs[i]
            if desc.len > self.send_max:
                return i or -errno.EINVAL
            area = self.tx if desc.handle & _TX else self.rx
            held = self.tx_held if desc.handle & _TX else self.held
            if desc.handle not in held:
                return i or -errno.ESTALE
            held.remove(desc.handle)
            self.sent.append(area[desc.offset : desc.offset + desc.len])
            tagged = desc.flags & lib.NTZC_TX_VLAN
            self.sent_to.append(target)
            self.sent_tci.append(desc.vlan_tci if tagged else None)
            if desc.handle & _TX:
                self.tx_free.append(desc.handle & 0xFFFFF)
            else:
                self._recycle(desc.handle & 0xFFFFF)
        return n

    # --- what is reached by name ---

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have pyntzc.open() find this card."""
        self._memory = ffi.new("struct ntzc_tap_memory *")
        self._memory.rx = _address_of(self.rx)
        self._info = ffi.new(
            "struct ntzc_attach *",
            {"queues": 3, "ring_size": 64, "quota": self.quota, "buf_size": SIZE}
            | {"frame_max": 1518, "headroom": HEADROOM, "rx_bytes": len(self.rx), "port_id": 7}
            | {"n_queues": 2, "tap_id": 3},
        )
        self._tx_info = ffi.new("struct ntzc_tx_setup *")
        peek = "int(struct ntzc_tap *, struct ntzc_desc *, unsigned int, int)"
        forward = (
            "int(struct ntzc_tap *, const struct ntzc_desc *, unsigned int, unsigned int, int)"
        )
        functions = {
            "_PEEK": (peek, self._peek),
            "_RESERVE": (peek, self._reserve),
            "_FORWARD": (forward, self._forward),
            "_RELEASE": (
                "int(struct ntzc_tap *, const struct ntzc_desc *, unsigned int)",
                self._release,
            ),
            "_DETACH": (
                "int(struct ntzc_tap *, const struct ntzc_desc *, unsigned int)",
                self._detach,
            ),
            "_DESTROY": ("void(struct ntzc_tap *)", self._destroy),
        }
        for name, (kind, function) in functions.items():
            error = None if kind.startswith("void") else -errno.EIO
            callback = ffi.callback(kind, function, error, self._failed)
            self._callbacks.append(callback)
            address = int(ffi.cast("uintptr_t", callback))
            for module in (pyntzc._handle, pyntzc._send, pyntzc._tap):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, address)
        for module in (pyntzc._handle, pyntzc._options, pyntzc._send, pyntzc._tap):
            monkeypatch.setattr(module, "lib", _FakeLib(self))


class _FakeLib:
    """libntzc's functions that the tap calls by name; constants are the real ones."""

    def __init__(self, card: FakeCard) -> None:
        self._card = card

    def __getattr__(self, name: str) -> Any:
        return getattr(lib, name)

    def ntzc_tap_create(self, options: Any, out: Any) -> int:
        self._card.options = {name: getattr(options, name) for name in _OPTIONS}
        self._card.filter = _filter_of(options.filter)
        if self._card.refusal:
            return self._card.refusal
        out[0] = ffi.cast("struct ntzc_tap *", self._card._memory)
        return 0

    def ntzc_tap_info(self, tap: Any) -> Any:
        return self._card._info

    def ntzc_tap_fd(self, tap: Any) -> int:
        return self._card._ready

    def ntzc_tap_tx_setup(self, tap: Any, n_bufs: int, buf_size: int) -> int:
        self._card.on_tx_setup()
        self._card._memory.tx = _address_of(self._card.tx)
        self._card._tx_info.tx_bytes = len(self._card.tx)
        return 0

    def ntzc_tap_tx_info(self, tap: Any) -> Any:
        if self._card.destroyed:
            self._card.faults.append("tx_info of what is freed")
        return self._card._tx_info

    def ntzc_tap_forward(self, tap: Any, descs: Any, n: int, target: int, timeout_ms: int) -> int:
        return self._card._forward(tap, descs, n, target, timeout_ms)

    def ntzc_tap_door(self, tap: Any) -> int:
        return int(lib.NTZC_DOOR_RINGS)

    def ntzc_tap_set_filter(self, tap: Any, terms: Any) -> int:
        if not self._card.refusal:
            self._card.filter = _filter_of(terms)
        return self._card.refusal

    def ntzc_tap_add_target(self, tap: Any, name: Any, index: int, number: Any) -> int:
        if self._card.refusal:
            return self._card.refusal
        self._card.targets.append(ffi.string(name).decode() if name else index)
        number[0] = len(self._card.targets)
        return 0

    def ntzc_tap_drain(self, tap: Any, timeout_ms: int) -> int:
        return -errno.ETIMEDOUT if self._card.in_flight else 0

    def ntzc_tap_stats(self, tap: Any, stats: Any) -> int:
        stats.released = self._card.released
        stats.held = len(self._card.held)
        stats.filtered = 5
        stats.bad_submit = 6
        return 0


_OPTIONS = ("flags", "ring_size", "quota", "queues", "fanout", "clock", "busy_poll_us", "door")


def _filter_of(terms: Any) -> Any:
    """Instructions of a classic program, the file of an eBPF one, or None."""
    if not terms:
        return None
    if terms.kind == lib.NTZC_FILTER_EBPF:
        return terms.fd
    return bytes(ffi.buffer(ffi.cast("char *", terms.insns), 8 * terms.len))


def _address_of(area: mmap.mmap) -> Any:
    view = (ctypes.c_char * len(area)).from_buffer(area)
    return ffi.cast("unsigned char *", ctypes.addressof(view))
