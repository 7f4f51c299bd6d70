# SPDX-License-Identifier: GPL-2.0-or-later
"""What a packet cost."""

from __future__ import annotations

import pytest

from bench.cost import Cost, runs
from emulation.insn.counter import Function, Profile


def profile(user: int, kernel: int, driver: int, core: int) -> Profile:
    owners = {"user": user, "kernel": kernel, "igb": driver, "ntzc": core}
    return Profile(tuple(Function(o, o, n) for o, n in owners.items()), interrupts=5)


TWO = (profile(1000, 4000, 2000, 800), profile(1000, 4400, 2200, 880))


def test_the_kernel_s_part_is_divided_by_what_it_delivered() -> None:
    cost = Cost(runs(TWO, 100, b"ready\ndelivered 100 110\n", sends=False), "igb")
    assert cost.parts == (10, 40, 20, 8)
    assert cost.total == 78
    assert cost.hot == 38
    assert cost.repeat == pytest.approx(0)
    assert cost.kernels(lambda p: p.interrupts) == 10 / 210


@pytest.mark.parametrize(("said", "sends"), [(b"ready\n", False), (b"delivered 7 0\n", True)])
def test_who_does_not_say_it_or_sends_is_divided_by_its_own_count(said: bytes, sends: bool) -> None:
    cost = Cost(runs(TWO, 100, said, sends=sends), "igb")
    assert cost.parts == (10, 42, 21, 8.4)
    assert cost.repeat == pytest.approx(8480 / 7800 - 1)
    assert cost.packets == cost.delivered == 200


def test_copying_is_that_of_the_kernel_s_routines_for_it() -> None:
    functions = [("kernel", "memcpy_orig", 30), ("kernel", "rep_movs_alternative", 10)]
    functions += [("kernel", "schedule", 500), ("user", "memcpy", 70), ("igb", "igb_copy_", 9)]
    whole = Profile(tuple(Function(*each) for each in functions))
    cost = Cost(runs([whole, whole], 10, b"delivered 10 10\n", sends=False), "igb")
    assert cost.copying == 4
