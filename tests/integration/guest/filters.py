# SPDX-License-Identifier: GPL-2.0-or-later
"""Taps with filters, in the guest, and eBPF programs by their bare instructions."""

from __future__ import annotations

import ctypes as c
import fcntl
import struct
import threading
import time
from typing import Any

import abi
import frames

from emulation.pace import patience

COUNTED = ("received", "filtered", "lost_ring", "lost_quota", "lost_pool")
QUIET_S = 30

PROG_SOCKET_FILTER, PROG_XDP = 1, 6
_SYS_BPF, _PROG_LOAD = 321, 5


class Verdicts:
    """One tap on *name* for each classic program, filtered from before it was attached."""

    def __init__(self, name: str, programs: tuple[bytes, ...]) -> None:
        self._taps = [
            abi.Tap().filter_classic(program).attach(name, ring_size=4096).map()
            for program in programs
        ]

    def admitted(self, offered: int) -> tuple[tuple[bytes, ...], ...]:
        """Wait until each tap has dealt with *offered* frames in all; take what they admitted.

        Returns:
            By tap, the sorted digests of the frames as they were on the wire.
        """
        settle(self._taps, offered)
        return tuple(tuple(sorted(map(frames.digest, take_all(tap)))) for tap in self._taps)

    def close(self) -> None:
        for tap in self._taps:
            tap.close()


def settle(taps: list[Any], offered: int) -> None:
    """Wait until the counters of each tap add up to *offered*."""
    deadline = time.monotonic() + patience(QUIET_S)
    for tap in taps:
        while sum((stats := tap.stats())[name] for name in COUNTED) != offered:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{offered} frames do not add up: {stats}")
            time.sleep(0.002)


def take_all(tap: Any) -> list[bytes]:
    """Read and release all that waits; return the frames as they were on the wire."""
    descs = tap.read(4096)
    taken = [frames.with_tag(desc, tap.data(desc)) for desc in descs]
    if descs:
        tap.release(*(desc[0] for desc in descs))
    return taken


class Swapper:
    """A tap on *name* whose filter is changed for another one without a pause."""

    def __init__(self, name: str, programs: tuple[bytes, ...]) -> None:
        self._programs = programs
        self._tap = abi.Tap().filter_classic(programs[0]).attach(name, ring_size=4096).map()
        self._ends = threading.Event()
        self._swaps = 0
        self._thread = threading.Thread(target=self._swap)
        self._thread.start()

    def _swap(self) -> None:
        while not self._ends.is_set():
            self._swaps += 1
            self._tap.filter_classic(self._programs[self._swaps % len(self._programs)])

    def swaps(self) -> int:
        """How often the filter was changed so far."""
        return self._swaps

    def take(self, offered: int) -> tuple[int, ...]:
        """Wait until all *offered* frames are accounted for; return the numbers of those that
        came since, or -1 for one that is not intact.
        """
        settle([self._tap], offered)
        taken = take_all(self._tap)
        return tuple(frames.number(f) if frames.is_intact(f) else -1 for f in taken)

    def stop(self) -> None:
        """Leave the filter as it is."""
        self._ends.set()
        self._thread.join()

    def close(self) -> None:
        self.stop()
        self._tap.close()


def refusal(tap: Any, program: bytes = b"", **fields: int) -> int:
    """Try a filter of these fields; return its errno, or 0 if it was taken.

    ``len`` and ``insns`` are *program*'s unless they are given.
    """
    array = c.create_string_buffer(program, len(program) or 1)
    if program:
        fields = {"len": len(program) // 8, "insns": c.addressof(array)} | fields
    wanted = abi.Filter(**{name: fields[name] for name in fields if name != "reserved"})
    for i in range(2):
        wanted.reserved[i] = fields.get("reserved", 0)
    try:
        fcntl.ioctl(tap.fd, abi.FILTER, wanted)
    except OSError as error:
        return error.errno or 0
    return 0


def insn(code: int, dst: int = 0, src: int = 0, off: int = 0, imm: int = 0) -> bytes:
    """One instruction of eBPF."""
    return struct.pack("=BBhi", code, src << 4 | dst, off, imm)


# Admits frames whose number is odd: ld_abs looks at the frame as classic BPF does
ODD = b"".join([
    insn(0xBF, dst=6, src=1),  # r6 = context
    insn(0x30, imm=21),  # r0 = byte 21: the last of the number
    insn(0x57, dst=0, imm=1),  # r0 &= 1
    insn(0x95),
])  # fmt: skip

# Admits frames longer than 100 bytes, by the context's own field
LONG = b"".join([
    insn(0x61, dst=2, src=1, off=0),  # r2 = context->len
    insn(0xB7, dst=0, imm=1),
    insn(0x25, dst=2, off=1, imm=100),  # if r2 > 100, skip one
    insn(0xB7, dst=0, imm=0),
    insn(0x95),
])  # fmt: skip

# Passes all, as a program of any type
PASS = insn(0xB7, dst=0, imm=2) + insn(0x95)


def load_program(program: bytes, kind: int = PROG_SOCKET_FILTER) -> int:
    """Load an eBPF program; return its file descriptor."""
    insns = c.create_string_buffer(program, len(program))
    licence = c.create_string_buffer(b"GPL")
    log = c.create_string_buffer(4096)
    attr = struct.pack(
        "=IIQQIIQ",
        kind,
        len(program) // 8,
        c.addressof(insns),
        c.addressof(licence),
        1,
        len(log),
        c.addressof(log),
    ).ljust(128, b"\0")
    fd: int = abi.libc.syscall(_SYS_BPF, _PROG_LOAD, c.create_string_buffer(attr, 128), 128)
    if fd < 0:
        raise OSError(c.get_errno(), log.value.decode())
    return fd
