# SPDX-License-Identifier: GPL-2.0-or-later
"""libntzc's own functions, by their exported names. Errors are OSError."""

from __future__ import annotations

import ctypes as c
import os
from typing import Any

import abi
import frames

from emulation.pace import patience

PATIENCE_MS = round(patience(10) * 1000)

AUTO, CALLS, RINGS = range(3)


class Desc(c.Structure):
    _fields_ = [
        ("handle", c.c_uint32),
        ("offset", c.c_uint32),
        ("timestamp", c.c_uint64),
        ("len", c.c_uint32),
        ("hash", c.c_uint32),
        ("orig_len", c.c_uint16),
        ("vlan_tci", c.c_uint16),
        ("flags", c.c_uint16),
        ("queue", c.c_uint8),
        ("hash_type", c.c_uint8),
    ]


class Options(c.Structure):
    _fields_ = [
        ("size", c.c_uint32),
        ("flags", c.c_uint32),
        ("device", c.c_char_p),
        ("interface", c.c_char_p),
        ("ifindex", c.c_uint32),
        ("ring_size", c.c_uint32),
        ("quota", c.c_uint32),
        ("reserved", c.c_uint32),
        ("queues", c.c_uint64),
        ("filter", c.c_void_p),
        ("fanout", c.c_uint32),
        ("clock", c.c_uint32),
        ("busy_poll_us", c.c_uint32),
        ("door", c.c_uint32),
    ]


_Descs = c.POINTER(Desc)


class Tap:
    """A tap of libntzc.so, at *library*, on *name*; closed by :meth:`close`."""

    def __init__(self, library: str, name: str, door: int = AUTO, ring_size: int = 0) -> None:
        self._lib = c.CDLL(library)
        self._tap = c.c_void_p()
        self._view: Any = None
        options = Options(
            size=c.sizeof(Options),
            interface=name.encode(),
            door=door,
            ring_size=ring_size,
            flags=1,
        )
        self.call("create", c.byref(options), c.byref(self._tap), tap=False)

    def call(self, name: str, *args: Any, tap: bool = True) -> int:
        """Call ntzc_tap_*name*; a negative result is raised."""
        function = getattr(self._lib, f"ntzc_tap_{name}")
        result: int = function(*([self._tap] if tap else []), *args)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def door(self) -> int:
        return self.call("door")

    def stats(self) -> dict[str, int]:
        stats = abi.TapStats()
        self.call("stats", c.byref(stats))
        return {name: getattr(stats, name) for name, kind in stats._fields_ if kind is c.c_uint64}

    def close(self) -> None:
        if self._tap:
            self._lib.ntzc_tap_destroy(self._tap)
            self._tap = c.c_void_p()

    # --- receive ---

    def _bytes(self, desc: Desc, tx: bool = False) -> bytes:
        # the head of struct ntzc_tap: where receive and transmit memory are
        memory = c.cast(self._tap, c.POINTER(c.c_void_p))[int(tx)] or 0
        return c.string_at(memory + desc.offset, desc.len)

    def peek(self, count: int, timeout_ms: int) -> tuple[Any, int]:
        """Descriptors, and how many of them are good."""
        descs = (Desc * count)()
        return descs, self.call("peek", descs, count, timeout_ms)

    def view(self, count: int, timeout_ms: int) -> tuple[Any, int]:
        """As :meth:`peek`, where they lie."""
        descs = _Descs()
        return descs, self.call("view", c.byref(descs), count, timeout_ms)

    def expect(self, how: str, start: int, count: int, batch: int = 64) -> str:
        """Receive frames of frames.py from number *start* on; return the first fault.

        *how* is "peek" (and release), "view" (and done), "take" (a view, and release) or
        "handles" (peek, and release by handle).
        """
        while count:
            descs, n = (self.peek if how in ("peek", "handles") else self.view)(batch, PATIENCE_MS)
            if not n:
                return f"frame {start} did not come"
            for i in range(n):
                data = self._bytes(descs[i])
                if data != frames.frame(start + i, len(data)):
                    return f"not frame {start + i}: {data.hex()}"
            self._give_back(how, descs, n)
            start += n
            count -= n
        return ""

    def _give_back(self, how: str, descs: Any, n: int) -> None:
        if how == "peek":
            assert self.call("release_descs", descs, n) == n
        elif how == "handles":
            handles = (c.c_uint32 * n)(*(desc.handle for desc in descs[:n]))
            assert self.call("release", handles, n) == n
        elif how == "view":
            assert self.call("done", descs, n) == n
        else:
            copy = (Desc * n)(*descs[:n])
            assert self.call("take", descs, n) == n
            assert self.call("release_descs", copy, n) == n

    # --- transmit ---

    def setup_tx(self, n_bufs: int = 0) -> None:
        self.call("tx_setup", n_bufs, 0)

    def add_target(self, name: str) -> int:
        target = c.c_uint()
        self.call("add_target", name.encode(), 0, c.byref(target))
        return target.value

    def send(self, start: int, count: int, target: int = 0) -> None:
        """Send frames of frames.py, filled in place, and wait until they are out."""
        memory = 0
        while count:
            descs = (Desc * 64)()
            n = self.call("reserve", descs, min(count, 64), PATIENCE_MS)
            memory = memory or c.cast(self._tap, c.POINTER(c.c_void_p))[1]
            for i in range(n):
                data = frames.frame(start + i)
                c.memmove(memory + descs[i].offset, data, len(data))
                descs[i].len = len(data)
                descs[i].queue = target
            assert self.call("submit", descs, n, PATIENCE_MS) == n
            start += n
            count -= n
        self.call("drain", PATIENCE_MS)

    def send_in_views(self, start: int, count: int) -> None:
        """As :meth:`send`, with descriptors written where they lie; some are left for later."""
        memory = c.cast(self._tap, c.POINTER(c.c_void_p))[1]
        while count:
            descs = _Descs()
            n = self.call("tx_view", c.byref(descs), 64, PATIENCE_MS)
            n = min(n - n // 8, count)
            for i in range(n):
                data = frames.frame(start + i)
                c.memmove(memory + descs[i].offset, data, len(data))
                descs[i].len = len(data)
            assert self.call("tx_done", n) == n
            start += n
            count -= n
        self.call("drain", PATIENCE_MS)

    def forward(self, count: int, target: int) -> None:
        """Forward *count* frames that come in, as they are viewed."""
        while count:
            descs, n = self.view(64, PATIENCE_MS)
            assert n
            assert self.call("forward", descs, n, target, PATIENCE_MS) == n
            assert self.call("take", descs, n) == n
            count -= n

    def copy_back(self, at: int, data: bytes) -> None:
        """Copy the next frame, put *data* in it at *at*, and send it."""
        descs, n = self.view(1, PATIENCE_MS)
        assert n
        copy = Desc()
        self.call("copy", descs, c.byref(copy), PATIENCE_MS)
        assert self._bytes(copy, tx=True) == self._bytes(descs[0])
        assert self.call("done", descs, 1) == 1
        memory = c.cast(self._tap, c.POINTER(c.c_void_p))[1]
        c.memmove(memory + copy.offset + at, data, len(data))
        assert self.call("submit", c.byref(copy), 1, PATIENCE_MS) == 1
        self.call("drain", PATIENCE_MS)
