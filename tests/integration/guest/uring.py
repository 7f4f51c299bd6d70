# SPDX-License-Identifier: GPL-2.0-or-later
"""io_uring by its bare system calls, in the guest: enough to read a file and to cancel that."""

from __future__ import annotations

import ctypes as c
import mmap
import os
import struct

import abi

SYS_SETUP, SYS_ENTER = 425, 426
OP_ASYNC_CANCEL, OP_READ, OP_WRITE = 14, 22, 23
ENTRIES = 8
_SQ_RING, _SQES = 0, 0x10000000
_SQE, _CQE = struct.Struct("=BBHiQQIIQ24x"), struct.Struct("=QiI")


class Ring:
    """Operations are told apart by numbers that the caller chooses."""

    def __init__(self) -> None:
        params = abi.buffer(120)
        self.fd, failed = abi.call("syscall", SYS_SETUP, ENTRIES, c.c_void_p(params))
        if failed:
            raise OSError(failed, os.strerror(failed))
        # struct io_uring_params: ten words, then where the two rings' parts are
        words = struct.unpack("=30I", abi.peek(params, 120))
        (_, self._sq_tail, self._sq_mask, _, _, _, self._sq_array) = words[10:17]
        (self._cq_head, self._cq_tail, self._cq_mask, _, _, self._cqes) = words[20:26]
        size = max(self._sq_array + 4 * ENTRIES, self._cqes + _CQE.size * 2 * ENTRIES)
        self._rings = mmap.mmap(self.fd, size, offset=_SQ_RING)
        self._sqes = mmap.mmap(self.fd, ENTRIES * 64, offset=_SQES)

    def _word(self, at: int) -> int:
        return int(struct.unpack_from("=I", self._rings, at)[0])

    def submit(
        self, op: int, number: int, fd: int = -1, address: int = 0, len_bytes: int = 0
    ) -> None:
        """Have an operation done; for a cancel, *address* is the number of the other."""
        tail = self._word(self._sq_tail)
        at = tail & self._word(self._sq_mask)
        offset = 2**64 - 1 if op in (OP_READ, OP_WRITE) else 0
        _SQE.pack_into(self._sqes, at * 64, op, 0, 0, fd, offset, address, len_bytes, 0, number)
        struct.pack_into("=I", self._rings, self._sq_array + 4 * at, at)
        struct.pack_into("=I", self._rings, self._sq_tail, (tail + 1) & 0xFFFFFFFF)
        self._enter(1, 0)

    def _enter(self, submit: int, wait: int) -> None:
        _, failed = abi.call("syscall", SYS_ENTER, self.fd, submit, wait, 1 if wait else 0, None, 0)
        if failed:
            raise OSError(failed, os.strerror(failed))

    def done(self) -> tuple[tuple[int, int], ...]:
        """Numbers and results of what is complete and was not told yet."""
        found = []
        head = self._word(self._cq_head)
        while head != self._word(self._cq_tail):
            at = self._cqes + (head & self._word(self._cq_mask)) * _CQE.size
            number, result, _ = _CQE.unpack_from(self._rings, at)
            found.append((number, result))
            head = (head + 1) & 0xFFFFFFFF
        struct.pack_into("=I", self._rings, self._cq_head, head)
        return tuple(found)

    def wait(self, count: int = 1) -> dict[int, int]:
        """Results by number, once there are *count* of them."""
        found: dict[int, int] = {}
        while len(found) < count:
            self._enter(0, 1)
            found.update(self.done())
        return found

    def close(self) -> None:
        self._rings.close()
        self._sqes.close()
        os.close(self.fd)
