# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's side of the instruction counter: builds it, reads it, and names what it saw."""

from __future__ import annotations

import bisect
import re
import struct
import subprocess
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from emulation.cache import REPOSITORY, locked

_SOURCES = Path(__file__).parent
_RECORD = struct.Struct("<IIII")
_COUNT = struct.Struct("<QQQ")
_INSNS, _ATOMICS, _WATCHED, _READS, _WRITES = range(5)  # kinds of counts
_MAGIC = 0x4E544943
_KERNEL_START = 1 << 63
_CFLAGS = ("-O2", "-Wall", "-Wextra", "-Werror")
_SHARED = ("-fPIC", "-shared")
# Where the kernel begins a system call, and an interrupt of a device, a timer, another processor.
_SYSCALL = "entry_SYSCALL_64"
_INTERRUPT = re.compile(r"asm_common_interrupt|asm_sysvec_\w+")
# What copies in the kernel, over the releases, and the register with the length in bytes. A
# few bytes of fixed length are moved without a call; those are not told apart.
_COPIES = {
    "__memcpy": "rdx",
    "memcpy": "rdx",
    "__memmove": "rdx",
    "memmove": "rdx",
    "copy_user_generic_unrolled": "rdx",
    "copy_user_generic_string": "rdx",
    "copy_user_enhanced_fast_string": "rdx",
    "__copy_user_nocache": "rdx",
    "csum_partial_copy_generic": "rdx",
    "rep_movs_alternative": "rcx",
}


Place = tuple[str, str]
"""An owner (``user``, ``kernel`` or a module) and a function of its."""


class InsnError(Exception):
    """The counter could not be built, or the marks are not as asked for."""


@dataclass(frozen=True)
class Built:
    """The counter's files.

    Attributes:
        plugin: what QEMU loads.
        library: for the guest's programs; its ``ntzc_mark(int)`` sets a mark from 0 to 7.
        watcher: a program for the guest that makes the plugin read what to watch.
        include: the folder with ``marker.h``.

    """

    plugin: Path
    library: Path
    watcher: Path
    include: Path


def build() -> Built:
    """Compile the counter into ``build/insn``, if it is not there or out of date.

    Raises:
        InsnError: the compiler failed.

    """
    folder = REPOSITORY / "build" / "insn"
    folder.mkdir(parents=True, exist_ok=True)
    with locked("insn"):
        hidden = (*_SHARED, "-fvisibility=hidden")
        plugin = _compile(folder / "insn.so", ("insn.c", "watch.c", "decode.c"), *hidden)
        library = _compile(folder / "libntzc-mark.so", ("marker.c",), *_SHARED)
        watcher = _compile(folder / "watch", ("watch_mark.c",))
    return Built(plugin, library, watcher, _SOURCES)


def _compile(target: Path, sources: tuple[str, ...], *flags: str) -> Path:
    newest = max(path.stat().st_mtime for path in _SOURCES.glob("*.[ch]"))
    if not target.exists() or target.stat().st_mtime < newest:
        files = [str(_SOURCES / source) for source in sources]
        command = ["gcc", *_CFLAGS, *flags, "-o", str(target), *files, "-lpthread"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InsnError(f"{files[0]} did not compile\n{done.stderr}")
    return target


def _functions(program: Path) -> list[tuple[int, str, str]]:
    """Return the start and name of each function of *program*; nameless: what lies behind one."""
    command = ["nm", "--defined-only", "--print-size", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InsnError(f"{program} has no symbols: {done.stderr}")
    found = {}
    for line in done.stdout.splitlines():
        start, *rest = line.split()
        if len(rest) == 3 and rest[1] in "tTwW":
            found[int(start, 16)] = rest[2]
            found.setdefault(int(start, 16) + int(rest[0], 16), "")
    return [(start, "user", name) for start, name in found.items()]


@dataclass(frozen=True)
class Function:
    """A function's share of a profile.

    Attributes:
        owner: ``user``, ``kernel`` or a module's name.
        name: its symbol; for user code without symbols the page that it lies in.
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
        mmio_reads: reads of device registers, by owner and function, if they were counted.
        mmio_writes: likewise, writes.
        atomics: instructions with a lock prefix and exchanges with memory, by owner.
        syscalls: system calls begun, if they were watched: :meth:`Counter.watch`.
        interrupts: likewise, of devices, timers and processors.
        copied_bytes: likewise, what the kernel's routines for copying were asked to copy.

    """

    functions: tuple[Function, ...] = field(repr=False)
    mmio_reads: dict[Place, int] = field(default_factory=dict, repr=False)
    mmio_writes: dict[Place, int] = field(default_factory=dict, repr=False)
    atomics: dict[str, int] = field(default_factory=dict)
    syscalls: int = 0
    interrupts: int = 0
    copied_bytes: int = 0

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
    """The guest's symbols, to name addresses by.

    Args:
        kallsyms: the content of ``/proc/kallsyms``.
        program: the ELF file that ran, whose functions are named, too, where it was linked for
            fixed addresses (``-no-pie``).

    """

    def __init__(self, kallsyms: str, program: Path | None = None) -> None:
        functions = _functions(program) if program else []
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
        index = bisect.bisect_right(self._starts, address) - 1
        found = self._names[index] if index >= 0 else ("kernel", "?")
        if address < _KERNEL_START and (found[0] != "user" or not found[1]):
            return "user", f"{address & ~0xFFF:#x}"
        return found

    def watches(self) -> dict[int, str]:
        """Return what is watched, by address: ``count``, or the register with the amount."""
        found: dict[int, str] = {}
        for start, (owner, name) in zip(self._starts, self._names, strict=True):
            if owner != "kernel":
                continue
            if name == _SYSCALL or _INTERRUPT.fullmatch(name):
                found[start] = "count"
            elif name in _COPIES:
                found[start] = _COPIES[name]
        return found


@dataclass(frozen=True)
class _Interval:
    """What the plugin wrote at one mark: all since the mark before."""

    mark: int
    counts: bytes


class Counter:
    """A running machine's counter; :attr:`emulation.vm.VM.insn`.

    Args:
        path: the file that the plugin writes.
        built: the counter's files.
        kallsyms: reads the guest's ``/proc/kallsyms``.
        run: runs a program in the guest, to its end.

    """

    def __init__(
        self,
        path: Path,
        built: Built,
        kallsyms: Callable[[], bytes],
        run: Callable[[Path], object],
    ) -> None:
        self._path = path
        self._kallsyms = kallsyms
        self._run = run
        self._built = built
        self.library = built.library
        self.include = built.include

    def watch(self, *, user_mmio: bool = False) -> None:
        """Count system calls, interrupts and copied bytes, too, from now on.

        Args:
            user_mmio: user code accesses device registers, which are to be counted: slow.

        Raises:
            InsnError: the guest's kernel has no symbols by which to find them.

        """
        watches = Symbols(self._kallsyms().decode()).watches()
        if "count" not in watches.values() or not {"rdx", "rcx"} & set(watches.values()):
            raise InsnError("the kernel's symbols do not tell where system calls and copies are")
        lines = [f"{address:x} {what}" for address, what in watches.items()]
        lines += ["mmio user"] * user_mmio
        Path(f"{self._path}.watch").write_text("".join(f"{line}\n" for line in lines))
        self._run(self._built.watcher)

    def between(self, first: int, last: int, program: Path | None = None) -> Profile:
        """Return what was executed from mark *first* to mark *last*.

        If they were set several times: from the last *first* that precedes the last *last*.
        The modules that ran must be still loaded. The functions of *program* are named as
        :class:`Symbols` can.

        Raises:
            InsnError: there are no such marks, or the program has no symbols.

        """
        intervals = list(self._intervals())
        marks = [interval.mark for interval in intervals]
        try:
            end = len(marks) - 1 - marks[::-1].index(last)
            begin = end - 1 - marks[:end][::-1].index(first)
        except ValueError:
            raise InsnError(f"no mark {first} and then {last} among {marks}") from None
        symbols = Symbols(self._kallsyms().decode(), program)
        return _profile(symbols, intervals[begin + 1 : end + 1])

    def _intervals(self) -> Iterator[_Interval]:
        data = self._path.read_bytes()
        offset = 0
        while offset < len(data):
            magic, mark, counts, _ = _RECORD.unpack_from(data, offset)
            if magic != _MAGIC:
                raise InsnError(f"{self._path} is damaged at {offset}")
            offset += _RECORD.size
            end = offset + counts * _COUNT.size
            yield _Interval(mark, data[offset:end])
            offset = end


def _profile(symbols: Symbols, intervals: list[_Interval]) -> Profile:
    insns, reads, writes = Tally[Place](), Tally[Place](), Tally[Place]()
    atomics, watched = Tally[str](), Tally[str]()
    by_place = {_INSNS: insns, _READS: reads, _WRITES: writes}
    for interval in intervals:
        for address, kind, amount in _COUNT.iter_unpack(interval.counts):
            owner, name = symbols.name(address)
            if kind in by_place:
                by_place[kind][owner, name] += amount
            elif kind == _ATOMICS:
                atomics[owner] += amount
            elif kind == _WATCHED:
                watched[name] += amount
    return Profile(
        tuple(Function(*place, amount) for place, amount in insns.most_common()),
        dict(reads),
        dict(writes),
        dict(atomics),
        watched[_SYSCALL],
        sum(n for name, n in watched.items() if _INTERRUPT.fullmatch(name)),
        sum(n for name, n in watched.items() if name in _COPIES),
    )
