# SPDX-License-Identifier: GPL-2.0-or-later
"""The raw ABI that the integration tests speak (guest/abi.py) is that of the header."""

from __future__ import annotations

import ctypes
import sys

import pytest

from tests.unit.abi import test_layout as header

GUEST = header.ROOT / "tests" / "integration" / "guest"
sys.path.insert(0, str(GUEST))
import abi  # noqa: E402 - found in the guest by its own path, too

STRUCTS = {
    "ntzc_" + "".join(f"_{a.lower()}" if a.isupper() else a for a in name).lstrip("_"): struct
    for name, struct in vars(abi).items()
    if isinstance(struct, type) and issubclass(struct, ctypes.Structure)
}


@pytest.mark.parametrize("name", STRUCTS)
def test_a_structure_is_as_in_the_header(name: str) -> None:
    struct = STRUCTS[name]
    fields = [(field[0], getattr(struct, field[0])) for field in struct._fields_]
    assert [(field, at.offset, at.size) for field, at in fields] == header._fields(name)
    assert ctypes.sizeof(struct) == header.LAYOUT[name][0]


def test_numbers_are_as_in_the_header() -> None:
    mine = {name: value for name, value in vars(abi).items() if isinstance(value, int)}
    for name, value in {**header.COMMANDS, **header.VALUES}.items():
        short = name.removeprefix("NTZC_IOC_").removeprefix("NTZC_")
        assert mine.get(short, value) == value, name
    assert {name.removeprefix("NTZC_IOC_") for name in header.COMMANDS} <= set(mine)
