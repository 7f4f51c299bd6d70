# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's side of the instruction counter: builds it, reads it, and names what it saw."""

from __future__ import annotations

import bisect
import struct
import subprocess
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from emulation.cache import REPOSITORY, locked

_SOURCES = Path(__file__).parent
_RECORD = struct.Struct("<IIIIQQ")
_BLOCK = struct.Struct("<QQ")
_MAGIC = 0x4E544943
_KERNEL_START = 1 << 63
_CFLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden")


class InsnError(Exception):
    """The counter could not be built, or the marks are not as asked for."""


@dataclass(frozen=True)
class Built:
    """The counter's files.

    Attributes:
        plugin: what QEMU loads.
        library: for the guest's programs; its ``ntzc_mark(int)`` sets a mark from 0 to 7.
        include: the folder with ``marker.h``.

    """

    plugin: Path
    library: Path
    include: Path


def build() -> Built:
    """Compile the counter into ``build/insn``, if it is not there or out of date.

    Raises:
        InsnError: the compiler failed.

    """
    folder = REPOSITORY / "build" / "insn"
    folder.mkdir(parents=True, exist_ok=True)
    with locked("insn"):
        plugin = _compile(folder / "insn.so", "insn.c", "-lpthread")
        library = _compile(folder / "libntzc-mark.so", "marker.c", "-fvisibility=default")
    return Built(plugin, library, _SOURCES)


def _compile(target: Path, source: str, *flags: str) -> Path:
    newest = max(path.stat().st_mtime for path in _SOURCES.glob("*.[ch]"))
    if not target.exists() or target.stat().st_mtime < newest:
        command = ["gcc", *_CFLAGS, "-o", str(target), str(_SOURCES / source), *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InsnError(f"{source} did not compile\n{done.stderr}")
    return target


@dataclass(frozen=True)
class Function:
    """A function's share of a profile.

    Attributes:
        owner: ``user``, ``kernel`` or a module's name.
        name: its symbol; for user code the page that it lies in.
        insns: instructions executed in it.

    """

    owner: str
    name: str
    insns: int


@dataclass(frozen=True)
class Profile:
    """What was executed between two marks.

    Attributes:
        functions: every function that executed anything, the largest first.
        mmio_reads: device register reads by modules, if they were counted.
        mmio_writes: likewise, writes.

    """

    functions: tuple[Function, ...] = field(repr=False)
    mmio_reads: int
    mmio_writes: int

    @property
    def by_owner(self) -> dict[str, int]:
        """Instructions of ``user``, ``kernel``, and each module that executed any."""
        tally = Tally({"user": 0, "kernel": 0})
        for function in self.functions:
            tally[function.owner] += function.insns
        return dict(tally)

    @property
    def total(self) -> int:
        """All instructions of all virtual processors."""
        return sum(function.insns for function in self.functions)

    def table(self, per: int = 1, rows: int = 40) -> str:
        """Return the *rows* largest functions as text, in instructions per one of *per*."""
        lines = [f"{f.insns / per:12.1f}  {f.owner:<10}  {f.name}" for f in self.functions[:rows]]
        return "\n".join(lines)


class Symbols:
    """The guest's kernel symbols, to name addresses by.

    Args:
        kallsyms: the content of ``/proc/kallsyms``.

    """

    def __init__(self, kallsyms: str) -> None:
        functions = []
        for line in kallsyms.splitlines():
            address, kind, name, *module = line.split()
            if kind in "tTwW":
                owner = module[0].strip("[]") if module else "kernel"
                functions.append((int(address, 16), owner, name))
        functions.sort()
        self._starts = [start for start, _, _ in functions]
        self._names = [(owner, name) for _, owner, name in functions]

    def name(self, address: int) -> tuple[str, str]:
        """Return the owner and name of the function at *address*."""
        if address < _KERNEL_START:
            return "user", f"{address & ~0xFFF:#x}"
        index = bisect.bisect_right(self._starts, address) - 1
        return self._names[index] if index >= 0 else ("kernel", "?")


@dataclass(frozen=True)
class _Interval:
    """What the plugin wrote at one mark: all since the mark before."""

    mark: int
    blocks: bytes
    mmio_reads: int
    mmio_writes: int


class Counter:
    """A running machine's counter; :attr:`emulation.vm.VM.insn`.

    Args:
        path: the file that the plugin writes.
        built: the counter's files.
        kallsyms: reads the guest's ``/proc/kallsyms``.

    """

    def __init__(self, path: Path, built: Built, kallsyms: Callable[[], bytes]) -> None:
        self._path = path
        self._kallsyms = kallsyms
        self.library = built.library
        self.include = built.include

    def between(self, first: int, last: int) -> Profile:
        """Return what was executed from mark *first* to mark *last*.

        If they were set several times: from the last *first* that precedes the last *last*.
        The modules that ran must be still loaded.

        Raises:
            InsnError: there are no such marks.

        """
        intervals = list(self._intervals())
        marks = [interval.mark for interval in intervals]
        try:
            end = len(marks) - 1 - marks[::-1].index(last)
            begin = end - 1 - marks[:end][::-1].index(first)
        except ValueError:
            raise InsnError(f"no mark {first} and then {last} among {marks}") from None
        return self._profile(intervals[begin + 1 : end + 1])

    def _intervals(self) -> Iterator[_Interval]:
        data = self._path.read_bytes()
        offset = 0
        while offset < len(data):
            magic, mark, blocks, _, reads, writes = _RECORD.unpack_from(data, offset)
            if magic != _MAGIC:
                raise InsnError(f"{self._path} is damaged at {offset}")
            offset += _RECORD.size
            end = offset + blocks * _BLOCK.size
            yield _Interval(mark, data[offset:end], reads, writes)
            offset = end

    def _profile(self, intervals: list[_Interval]) -> Profile:
        symbols = Symbols(self._kallsyms().decode())
        tally: Tally[tuple[str, str]] = Tally()
        for interval in intervals:
            for address, insns in _BLOCK.iter_unpack(interval.blocks):
                tally[symbols.name(address)] += insns
        return Profile(
            tuple(Function(*key, insns) for key, insns in tally.most_common()),
            sum(interval.mmio_reads for interval in intervals),
            sum(interval.mmio_writes for interval in intervals),
        )
