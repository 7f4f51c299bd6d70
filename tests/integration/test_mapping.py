# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program may do to a mapping of packet memory: guest/mapping.py."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Bench


@pytest.fixture
def mapping(bench: Bench) -> Any:
    """guest/mapping.py, in the guest."""
    return bench.vm.guest.modules["mapping"]


def test_pieces_of_a_mapping_show_the_right_page_and_hold_the_tap(
    bench: Bench, mapping: Any
) -> None:
    """Hostile cases 9 and 10."""
    mapping.pieces(bench.near, bench.peer)


def test_pieces_of_what_a_program_writes_to_show_the_right_page(bench: Bench, mapping: Any) -> None:
    """Hostile case 10: transmit memory and rings."""
    mapping.pieces_of_what_is_written(bench.near)


def test_a_child_reads_and_gives_back_and_outlives_its_parent(bench: Bench, mapping: Any) -> None:
    """Hostile case 11."""
    mapping.forks(bench.near, bench.peer)


def test_a_child_lacks_a_mapping_that_is_not_to_be_copied(bench: Bench, mapping: Any) -> None:
    """Hostile case 12."""
    mapping.advice_about_forks(bench.near, bench.peer)


def test_many_mappings_in_many_processes_show_the_same(bench: Bench, mapping: Any) -> None:
    """Hostile case 15."""
    mapping.many(bench.near, bench.peer)


def test_pages_that_are_dropped_or_locked_stay_what_they_are(bench: Bench, mapping: Any) -> None:
    """Hostile case 16."""
    mapping.advice(bench.near, bench.peer)


def test_no_way_of_input_or_output_pins_packet_memory(bench: Bench, mapping: Any) -> None:
    """Hostile case 17: what cannot be pinned cannot be seen after the tap's end."""
    bench.vm.run(["modprobe", "virtio_blk"])
    mapping.pinning(bench.near, bench.peer, "/dev/vda")


def test_read_and_write_take_addresses_in_the_taps_own_memory(bench: Bench, mapping: Any) -> None:
    """Hostile case 18."""
    mapping.read_into_itself(bench.near, bench.peer)


def test_a_core_dump_leaves_packet_memory_out(bench: Bench, mapping: Any) -> None:
    """Hostile case 21."""
    mapping.core_dump(bench.near, bench.peer)
