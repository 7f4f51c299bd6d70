# SPDX-License-Identifier: GPL-2.0-or-later
"""How ``ntzc_ring.h`` counts: past 2^32, and when the other side writes what it likes."""

from __future__ import annotations

import ctypes
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .program import INCLUDE

SOURCE = """
#include "ntzc_ring.h"
__u32 space(__u32 cons, __u32 prod, __u32 size)
{
    struct ntzc_ring ring = { .cons = cons };
    return ntzc_ring_space(&ring, prod, size);
}
__u32 filled(__u32 prod, __u32 cons)
{
    struct ntzc_ring ring = { .prod = prod };
    return ntzc_ring_filled(&ring, cons);
}
"""
INDEX = st.integers(0, 2**32 - 1)
SIZE = st.integers(0, 16).map(lambda bits: 1 << bits)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("counting") / "ring.so"
    command = ["gcc", "-x", "c", "-shared", "-fPIC", f"-I{INCLUDE}", "-", "-o", str(library)]
    subprocess.run(command, input=SOURCE.encode(), check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.space.restype = loaded.filled.restype = ctypes.c_uint32
    return loaded


@given(cons=INDEX, size=SIZE, data=st.data())
def test_space_and_filled_add_up_to_the_size(
    ring: ctypes.CDLL, cons: int, size: int, data: st.DataObject
) -> None:
    used = data.draw(st.integers(0, size))
    prod = (cons + used) % 2**32
    assert ring.filled(prod, cons) == used
    assert ring.space(cons, prod, size) == size - used


@given(cons=INDEX, prod=INDEX, size=SIZE)
def test_a_consumer_that_lies_gets_no_entries(
    ring: ctypes.CDLL, cons: int, prod: int, size: int
) -> None:
    honest = (prod - cons) % 2**32 <= size
    assert ring.space(cons, prod, size) <= size
    assert honest or ring.space(cons, prod, size) == 0


@given(cons=INDEX, prod=INDEX, size=SIZE)
def test_a_producer_that_lies_is_seen(ring: ctypes.CDLL, cons: int, prod: int, size: int) -> None:
    honest = (prod - cons) % 2**32 <= size
    assert (ring.filled(prod, cons) <= size) == honest
