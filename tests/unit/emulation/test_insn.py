# SPDX-License-Identifier: GPL-2.0-or-later
"""What the instruction counter makes of instructions' bytes, of symbols, and of its counts."""

from __future__ import annotations

import ctypes
import struct
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from emulation.cache import REPOSITORY
from emulation.insn.counter import Built, Counter, InsnError, Symbols

KALLSYMS = """\
ffffffff81000000 T _stext
ffffffff81001000 T entry_SYSCALL_64
ffffffff81002000 T asm_common_interrupt
ffffffff81002040 T asm_sysvec_apic_timer_interrupt
ffffffff81002080 T asm_exc_page_fault
ffffffff81003000 T __memcpy
ffffffff81003000 T memcpy
ffffffff81003100 T rep_movs_alternative
ffffffffc0001000 t memcpy\t[other]
ffffffffc0002000 t ntzc_poll\t[ntzc]
"""


@pytest.fixture(scope="module")
def decode(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The plugin's knowledge of bytes, as a library."""
    library = tmp_path_factory.mktemp("decode") / "decode.so"
    source = REPOSITORY / "emulation/insn/decode.c"
    flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", library, source], check=True)
    found = ctypes.CDLL(str(library))
    found.insn_is_atomic.restype = ctypes.c_bool
    found.insn_is_atomic.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    found.insn_is_landing_pad.restype = ctypes.c_bool
    return found


@pytest.mark.parametrize(
    ("text", "atomic"),
    [
        ("f0 48 0f b1 17", True),  # lock cmpxchg %rdx,(%rdi)
        ("66 f0 0f c1 07", True),  # lock xadd %ax,(%rdi)
        ("48 87 07", True),  # xchg %rax,(%rdi)
        ("86 07", True),  # xchg %al,(%rdi)
        ("48 87 c7", False),  # xchg %rax,%rdi
        ("48 0f b1 17", False),  # cmpxchg without a lock
        ("48 89 07", False),  # mov %rax,(%rdi)
        ("48 b8 f0 87 07 00 00 00 00 00", False),  # mov $imm,%rax: the bytes of the number
        ("f3 48 a5", False),  # rep movsq
        ("90", False),
        ("87", False),  # cut short
    ],
)
def test_an_atomic_instruction_is_known_by_its_bytes(
    decode: ctypes.CDLL, text: str, atomic: bool
) -> None:
    data = bytes.fromhex(text)
    assert decode.insn_is_atomic(data, len(data)) is atomic


@pytest.mark.parametrize(
    ("text", "pad"),
    [("f3 0f 1e fa", True), ("66 0f 1f 00", True), ("0f 1f 40 d6", True), ("48 89 f8 48", False)],
)
def test_a_landing_pad_is_known_also_where_the_kernel_has_overwritten_it(
    decode: ctypes.CDLL, text: str, pad: bool
) -> None:
    assert decode.insn_is_landing_pad(bytes.fromhex(text)) is pad


def test_calls_interrupts_and_copies_of_the_kernel_alone_are_watched() -> None:
    assert Symbols(KALLSYMS).watches() == {
        0xFFFFFFFF81001000: "count",
        0xFFFFFFFF81002000: "count",
        0xFFFFFFFF81002040: "count",
        0xFFFFFFFF81003000: "rdx",
        0xFFFFFFFF81003100: "rcx",
    }


def written(mark: int, counts: Iterable[tuple[int, int, int]]) -> bytes:
    """What the plugin writes at a mark."""
    lines = list(counts)
    head = struct.pack("<IIII", 0x4E544943, mark, len(lines), 0)
    return head + b"".join(struct.pack("<QQQ", *line) for line in lines)


@pytest.fixture
def counter(tmp_path: Path) -> Callable[..., Counter]:
    """Makes a counter of what the plugin is said to have written."""

    def make(*intervals: bytes, kallsyms: str = KALLSYMS) -> Counter:
        path = tmp_path / "insn.bin"
        path.write_bytes(b"".join(intervals))
        built = Built(tmp_path, tmp_path, tmp_path / "watch", tmp_path)
        ran: list[Path] = []
        return Counter(path, built, kallsyms.encode, ran.append)

    return make


def test_counts_are_told_apart_by_kind_and_owner(counter: Callable[..., Counter]) -> None:
    counts = [
        (0x400000, 0, 70),
        (0xFFFFFFFF81000010, 0, 20),
        (0xFFFFFFFFC0002008, 0, 10),
        (0x400000, 1, 3),
        (0xFFFFFFFFC0002008, 1, 2),
        (0xFFFFFFFF81001000, 2, 5),
        (0xFFFFFFFF81002000, 2, 1),
        (0xFFFFFFFF81002040, 2, 1),
        (0xFFFFFFFF81003000, 2, 1000),
        (0xFFFFFFFF81003100, 2, 24),
        (0xFFFFFFFFC0002008, 3, 4),
        (0x400000, 3, 6),
        (0xFFFFFFFFC0002008, 4, 7),
    ]
    before = written(1, [(0x400000, 0, 999)])
    profile = counter(before, written(2, counts)).between(1, 2)
    assert profile.by_owner == {"user": 70, "kernel": 20, "ntzc": 10}
    assert profile.atomics == {"user": 3, "ntzc": 2}
    assert (profile.syscalls, profile.interrupts, profile.copied_bytes) == (5, 2, 1024)
    assert profile.total == 100
    assert {owner: n for (owner, _), n in profile.mmio_reads.items()} == {"user": 6, "ntzc": 4}
    assert list(profile.mmio_writes.values()) == [7]


def test_the_list_of_what_is_watched_is_written_for_the_plugin(
    counter: Callable[..., Counter], tmp_path: Path
) -> None:
    counter().watch(user_mmio=True)
    lines = (tmp_path / "insn.bin.watch").read_text().splitlines()
    assert "ffffffff81001000 count" in lines
    assert "ffffffff81003100 rcx" in lines
    assert lines[-1] == "mmio user"


def test_a_kernel_without_symbols_cannot_be_watched(counter: Callable[..., Counter]) -> None:
    with pytest.raises(InsnError, match="symbols"):
        counter(kallsyms="0000000000000000 T hidden\n").watch()


def test_the_functions_of_a_program_at_fixed_addresses_are_named(
    counter: Callable[..., Counter], tmp_path: Path
) -> None:
    source = "int twice(int n) { return 2 * n; } int main(void) { return twice(0); }"
    program = tmp_path / "program"
    command = ["gcc", "-no-pie", "-x", "c", "-o", str(program), "-"]
    subprocess.run(command, input=source, text=True, check=True)
    names = subprocess.check_output(["nm", "-S", str(program)], text=True)
    start, size = next(
        (int(words[0], 16), int(words[1], 16))
        for words in map(str.split, names.splitlines())
        if words[-1] == "twice"
    )
    counts = [(start + size - 1, 0, 3), (0x7F0000001234, 0, 2), (0xFFFFFFFF81000010, 0, 1)]
    profile = counter(written(1, []), written(2, counts)).between(1, 2, program)
    assert [(f.owner, f.name, f.insns) for f in profile.functions] == [
        ("user", "twice", 3),
        ("user", "0x7f0000001000", 2),
        ("kernel", "_stext", 1),
    ]


def test_a_program_without_symbols_is_told(counter: Callable[..., Counter], tmp_path: Path) -> None:
    with pytest.raises(InsnError, match="symbols"):
        counter(written(1, []), written(2, [])).between(1, 2, tmp_path / "none")
