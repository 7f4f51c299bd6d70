# SPDX-License-Identifier: GPL-2.0-or-later
"""The sides of a ring, compiled from ``ntzc_ring.h`` itself, as the model checker's threads."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from .explore import Explorer, Kind, Log, Op, Order, Thread

HERE = Path(__file__).resolve().parent / "c"
INCLUDE = HERE.parents[3] / "module" / "include"
HEADER = (INCLUDE / "ntzc_ring.h").read_text()
SIDES = (HERE / "sides.c").read_text()

_LINE = 64  # between the indices of struct ntzc_ring
_ATOMICS = {0: 0, _LINE: 1, 2 * _LINE: 2}  # offset: place; prod, cons, flags
_ENTRIES = 3 * _LINE
_N_ENTRIES = 4


class Side(IntEnum):
    """sides.h's ``enum side``."""

    PRODUCER = 0
    CONSUMER = 1


class _Setting(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint),
        ("start", ctypes.c_uint),
        ("total", ctypes.c_uint),
        ("batch", ctypes.c_uint),
        ("sleeps", ctypes.c_uint),
    ]


class _Op(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_uint),
        ("order", ctypes.c_uint),
        ("offset", ctypes.c_uint),
        ("size", ctypes.c_uint),
        ("value", ctypes.c_uint),
    ]


Replay = Callable[[int, _Setting, Log], Op]


def build(folder: Path, kernel: bool, header: str = HEADER, sides: str = SIDES) -> Replay:
    """Compile one side's world: the kernel's, or a program's.

    Args:
        folder: where to; it must exist, and nothing else of this kind be in it.
        kernel: as the kernel compiles the header.
        header: the text of ``ntzc_ring.h``.
        sides: the text of ``sides.c``.
    """
    (folder / "ntzc_ring.h").write_text(header)
    (folder / "sides.c").write_text(sides)
    world = ["-D__KERNEL__", f"-I{HERE / 'kernel'}"] if kernel else []
    library = folder / "sides.so"
    command = "gcc -std=gnu11 -O1 -fPIC -shared -Wall -Wextra -Werror".split()
    command += [*world, f"-I{folder}", f"-I{HERE}", f"-I{INCLUDE}"]
    command += [str(folder / "sides.c"), str(HERE / "replay.c"), "-o", str(library)]
    subprocess.run(command, check=True)
    run = ctypes.CDLL(str(library)).replay_run

    def replay(side: int, setting: _Setting, log: Log) -> Op:
        op = _Op()
        answers = (ctypes.c_uint * len(log))(*log)
        if run(side, ctypes.byref(setting), answers, len(log), ctypes.byref(op)):
            raise AssertionError("shared memory was touched by other means than the header's")
        return _translate(op)

    return replay


def _translate(op: _Op) -> Op:
    kind, order = Kind(op.kind), Order(op.order)
    if kind in (Kind.LOAD, Kind.STORE):
        assert op.size == 4
        return Op(kind, order, _ATOMICS[op.offset], op.value)
    if kind in (Kind.READ, Kind.WRITE):
        return Op(kind, order, (op.offset - _ENTRIES) // 4, op.value)
    return Op(kind, order, 0, op.value)


@dataclass(frozen=True)
class Ring:
    """A ring at work.

    Attributes:
        kernel: which side the kernel is; the other is a program.
        size: of the ring.
        total: entries that go through.
        batch: entries that a side deals with at once, at most.
        start: both indices at first.
        sleeps: the consumer sleeps until it is kicked; else it looks again and again.
    """

    kernel: Side
    size: int
    total: int
    batch: int
    start: int = 0
    sleeps: bool = False

    def explore(self, in_kernel: Replay, in_program: Replay) -> int:
        """Try all that can happen; return how many states there are.

        Raises:
            Fault: something can go wrong.
        """
        setting = _Setting(self.size, self.start, self.total, self.batch, self.sleeps)

        def thread(side: Side) -> Thread:
            replay = in_kernel if side == self.kernel else in_program
            return lambda log: replay(side, setting, log)

        explorer = Explorer(
            [thread(Side.PRODUCER), thread(Side.CONSUMER)],
            atomics=(self.start, self.start, 0),
            plain=_N_ENTRIES,
        )
        assert explorer.run()
        return explorer.n_states
