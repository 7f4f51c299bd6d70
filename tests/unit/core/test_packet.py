# SPDX-License-Identifier: GPL-2.0-or-later
"""m_buf's calls mean what sk_buff's of the same name mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.core import harness
from tests.unit.core.harness import HANDLE_GEN, HANDLE_INDEX, HEADROOM

SIZES = [2048, 4096, 8192, 16384]


@contextmanager
def packet(size: int = 2048) -> Iterator[tuple[harness.Core, Any]]:
    core = harness.core()
    m = core.lib.packet_create(size)
    yield core, m
    core.lib.m_buf_free(m)
    core.lib.packet_destroy()
    core.check()
    assert core.live() == harness.NOTHING


@given(
    size=st.sampled_from(SIZES),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["reserve", "put", "push", "pull", "trim", "received"]),
            st.one_of(st.integers(0, 300), st.integers(0, 20000), st.just(0xFFFFFFFF)),
        ),
        max_size=30,
    ),
)
@example(size=2048, steps=[("put", 1920), ("pull", 1920)])  # a full pull steps into no other buffer
@example(size=2048, steps=[("put", 1921)])
@example(size=2048, steps=[("push", 128), ("push", 1)])
def test_room_and_data_follow_the_model(size: int, steps: list[tuple[str, int]]) -> None:
    start, length = HEADROOM, 0
    with packet(size) as (core, m):
        lib = core.lib
        for name, n in steps:
            warns = False
            tail = size - start - length
            if name == "reserve":
                warns = bool(length) or n >= tail
                lib.packet_reserve(m, n)
                start += 0 if warns else n
            elif name == "put":
                warns = n > tail
                assert lib.packet_put(m, n) == (-1 if warns else start + length)
                length += 0 if warns else n
            elif name == "push":
                warns = n > start
                assert lib.packet_push(m, n) == (-1 if warns else start - n)
                if not warns:
                    start, length = start - n, length + n
            elif name == "pull":
                refused = n > length or start + n >= size
                assert lib.packet_pull(m, n) == (-1 if refused else start + n)
                if not refused:
                    start, length = start + n, length - n
            elif name == "trim":
                lib.packet_trim(m, n)
                length = min(length, n)
            else:
                length, start = min(n, size - HEADROOM, 0xFFFF), HEADROOM
                lib.packet_received(m, length)
            assert bool(lib.shim_warnings()) == warns, "misuse warns, and changes nothing"
            assert lib.packet_headroom(m) == start == lib.packet_data(m) == lib.packet_dma(m)
            assert lib.packet_len(m) == length
            assert lib.packet_tailroom(m) == size - start - length


def test_a_fresh_packet_is_empty_whatever_it_was_before() -> None:
    with packet() as (core, m):
        lib = core.lib
        lib.packet_put(m, 100)
        lib.packet_pull(m, 10)
        lib.packet_set_vlan(m, 5)
        lib.m_buf_free(m)
        again = lib.packet_alloc()
        assert again == m, "last in, first out"
        assert (lib.packet_len(m), lib.packet_headroom(m)) == (0, HEADROOM)
        assert not lib.packet_has_vlan(m)


def test_references_are_counted() -> None:
    with packet() as (core, m):
        lib = core.lib
        before = lib.packet_handle(m)
        for _ in range(3):
            lib.packet_get(m)
        for refs in (3, 2, 1):
            lib.m_buf_free(m)
            assert lib.packet_refs(m) == refs
        assert lib.packet_handle(m) == before, "not freed yet"


def test_metadata_takes_one_cache_line() -> None:
    assert harness.core().lib.packet_metadata_size() == 64


def test_a_pool_runs_out_and_recovers() -> None:
    """Hostile case 64."""
    with packet() as (core, _):
        lib = core.lib
        rest = [lib.packet_alloc() for _ in range(3)]
        assert core.ffi.NULL not in rest
        assert lib.packet_alloc() == core.ffi.NULL
        for m in rest:
            lib.m_buf_free(m)
        assert lib.packet_alloc() != core.ffi.NULL
        lib.m_buf_free(rest[-1])


@settings(max_examples=30)
@given(uses=st.integers(0, 5000))
@example(uses=2047)
@example(uses=2048)
def test_the_generation_wraps_within_its_bits(uses: int) -> None:
    """Hostile case 25: a handle's generation moves on with each free, and nothing else does."""
    with packet() as (core, m):
        lib = core.lib
        other = lib.packet_alloc()
        before = lib.packet_handle(other)
        lib.m_buf_free(other)
        lib.packet_age(uses)
        after = lib.packet_handle(other)
        assert after & ~HANDLE_GEN == before & ~HANDLE_GEN
        assert (after - before & HANDLE_GEN) >> 20 == (uses + 1) % 2048
        assert lib.packet_handle(m) & HANDLE_INDEX != after & HANDLE_INDEX


@pytest.mark.parametrize("size", SIZES)
def test_the_longest_receive_fits(size: int) -> None:
    with packet(size) as (core, m):
        core.lib.packet_received(m, size - HEADROOM)
        assert core.lib.packet_tailroom(m) == 0
