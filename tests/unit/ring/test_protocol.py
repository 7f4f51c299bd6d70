# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc_ring.h`` under the C11 memory model: no race, no lost entry, no lost wake-up.

Its own functions are compiled, as the kernel and as a program compile them, with every access
to shared memory handed to the model checker. What is weakened in the header, be it one
place, must be found: so the header has no more than it needs, and the check is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .explore import Fault
from .program import HEADER, SIDES, Replay, Ring, Side, build

LAST = 2**32 - 1

RINGS = {
    # receive and free rings; a program that finds nothing sleeps in poll(), not here
    "from the kernel, of one entry": Ring(Side.PRODUCER, size=1, total=8, batch=1),
    "from the kernel, of two, past 2^32": Ring(Side.PRODUCER, 2, 5, batch=1, start=LAST),
    "from the kernel, of four": Ring(Side.PRODUCER, size=4, total=9, batch=3, start=LAST - 2),
    # release and transmit rings
    "to the kernel, of one entry": Ring(Side.CONSUMER, size=1, total=8, batch=1, start=LAST),
    "to the kernel, of two": Ring(Side.CONSUMER, size=2, total=5, batch=1),
    "to a kernel that sleeps, of two": Ring(Side.CONSUMER, 2, 4, batch=2, sleeps=True),
    "to a kernel that sleeps, of one": Ring(Side.CONSUMER, 1, 2, 1, start=LAST, sleeps=True),
    "to a kernel that sleeps, one by one": Ring(Side.CONSUMER, 2, 2, batch=1, sleeps=True),
}


def build_both(folder: Path, header: str = HEADER, sides: str = SIDES) -> tuple[Replay, Replay]:
    """Compile this text as the kernel does, and as a program does."""
    for name in ("kernel", "program"):
        (folder / name).mkdir()
    return (
        build(folder / "kernel", True, header, sides),
        build(folder / "program", False, header, sides),
    )


def check(folder: Path, header: str = HEADER, sides: str = SIDES) -> None:
    """Explore all rings with this text of the header.

    Raises:
        Fault: something can go wrong in one of them.
    """
    both = build_both(folder, header, sides)
    for ring in RINGS.values():
        ring.explore(*both)


@pytest.mark.parametrize("name", RINGS)
def test_nothing_can_go_wrong(name: str, tmp_path: Path) -> None:
    assert RINGS[name].explore(*build_both(tmp_path)) > 50, "states, or it tried nothing"


# a labelled access, and what is left of it when it orders nothing
WEAKER_ACCESS = {
    "ntzc_ring_load_acquire(": "ntzc_ring_load(",
    "ntzc_ring_store_release(": "ntzc_ring_store(",
    "ntzc_ring_barrier();": "",
}
LABELS = {"A": "race", "B": "race", "C": "race", "D": "race", "E": "never end", "F": "never end"}

WEAKER_MEANING = {
    "a program's acquire": ("__ATOMIC_ACQUIRE", "__ATOMIC_RELAXED"),
    "a program's release": ("__ATOMIC_RELEASE", "__ATOMIC_RELAXED"),
    "a program's barrier": ("__ATOMIC_SEQ_CST", "__ATOMIC_ACQ_REL"),
    "the kernel's acquire": ("smp_load_acquire(p)", "READ_ONCE(*(p))"),
    "the kernel's release": ("smp_store_release(p, v)", "WRITE_ONCE(*(p), v)"),
    "the kernel's barrier, of loads only": ("smp_mb()", "smp_rmb()"),
    "the kernel's barrier, of stores only": ("smp_mb()", "smp_wmb()"),
}

ASK = "ntzc_ring_store(&ring->flags, NTZC_RING_NEED_WAKEUP);"
OTHER_ORDER = {
    "the barrier before the question": (
        rf"({re.escape(ASK)})\s*(ntzc_ring_barrier\(\);)",
        r"\2 \1",
    ),
    "the answer before the barrier": (
        r"(ntzc_ring_barrier\(\);)[^;]*return ([^;]*);\n}",
        r"__u32 asks = \2; \1 return asks;\n}",
    ),
}


def changed(text: str, change: Callable[[str], str]) -> str:
    after = change(text)
    assert after != text, "there is nothing to change"
    return after


def labelled(header: str, label: str) -> list[str]:
    """Lines of code, not of comment, that carry a label."""
    return [
        line
        for line in header.splitlines()
        if line.endswith(f"/* ({label}) */") and not line.startswith(" *")
    ]


def weaken(line: str) -> str:
    for strong, weak in WEAKER_ACCESS.items():
        line = line.replace(strong, weak)
    return line


def test_every_access_that_orders_anything_has_its_label() -> None:
    code = HEADER.partition("#endif\n\n/**")[2]
    ordering = [line for line in code.splitlines() if any(word in line for word in WEAKER_ACCESS)]
    lines = [line for label in LABELS for line in labelled(HEADER, label)]
    assert len(lines) == len(LABELS)
    assert sorted(ordering) == sorted(lines)


@pytest.mark.parametrize("label", LABELS)
def test_an_access_that_orders_nothing_is_found(label: str, tmp_path: Path) -> None:
    (line,) = labelled(HEADER, label)
    with pytest.raises(Fault, match=LABELS[label]):
        check(tmp_path, header=changed(HEADER, lambda text: text.replace(line, weaken(line))))


@pytest.mark.parametrize("name", WEAKER_MEANING)
def test_an_access_that_means_less_is_found(name: str, tmp_path: Path) -> None:
    strong, weak = WEAKER_MEANING[name]
    assert HEADER.count(strong) == 1
    with pytest.raises(Fault):
        check(tmp_path, header=HEADER.replace(strong, weak))


@pytest.mark.parametrize("name", OTHER_ORDER)
def test_another_order_is_found(name: str, tmp_path: Path) -> None:
    pattern, other = OTHER_ORDER[name]
    header, count = re.subn(pattern, other, HEADER)
    assert count == 1
    with pytest.raises(Fault, match="never end"):
        check(tmp_path, header=header)


# what the header asks of its users, left out in sides.c
MISUSE = {
    "publish before the entry is written": (
        r"(put\(&s->entries)",
        r"ntzc_ring_publish(&s->ring, prod + 1);\n\t\t\t\1",
    ),
    "give the place back before it is read": (
        r"(for \(n = min\(n, set->batch\); n; n--\) {)",
        r"ntzc_ring_consume(&s->ring, cons + n);\n\t\t\1",
    ),
    "sleep without another look": (r"(ask\(&s->ring\);\n\tn = )[^;]*;", r"\g<1>0;"),
    "ask before publishing": (
        r"(ntzc_ring_publish\(&s->ring, prod\);\n)\t\tif \(set->sleeps && ([^;]*)\)\n([^;]*;)",
        r"__u32 asks = set->sleeps && \2;\n\1if (asks)\n\3",
    ),
}


@pytest.mark.parametrize("name", MISUSE)
def test_a_wrong_use_is_found(name: str, tmp_path: Path) -> None:
    pattern, other = MISUSE[name]
    sides, count = re.subn(pattern, other, SIDES)
    assert count == 1
    with pytest.raises(Fault):
        check(tmp_path, sides=sides)


def test_an_access_past_the_macros_is_found(tmp_path: Path) -> None:
    header = HEADER.replace("ntzc_ring_store_release(&ring->cons, cons);", "ring->cons = cons;")
    with pytest.raises(AssertionError, match="other means"):
        check(tmp_path, header=changed(HEADER, lambda _: header))
