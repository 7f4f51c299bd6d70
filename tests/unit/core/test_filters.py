# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters, before a reference is taken: what gets through, what is counted, what is refused."""

from __future__ import annotations

import errno

import pytest

from tests.unit.core import harness
from tests.unit.core.harness import Frame
from tests.unit.core.stage import Stage, frames
from tests.unit.core.state import (
    ALL,
    BAD_FILTERS,
    EBPF,
    EBPF_OTHER,
    FILTERS,
    LD_B_ABS,
    NONE,
    seen_by_filters,
)


def offered(stats: object) -> int:
    names = ("received", "filtered", "lost_ring", "lost_quota", "lost_pool")
    return sum(getattr(stats, name) for name in names)


@pytest.mark.parametrize("number", range(len(FILTERS)))
def test_each_frame_is_judged_by_its_bytes(stage: Stage, number: int) -> None:
    card = stage.card(rx_ring=60, n_bufs=400)
    chosen = FILTERS[number]
    tap, other = stage.tap(), stage.tap()
    if chosen.program is None:
        assert tap.filter(None, kind=2, fd=EBPF) == 0
    else:
        assert tap.filter(chosen.program) == 0
    batch = [
        Frame(seed, 14 + seed * 3, vlan_tci=seed % 8, flags=harness.VLAN if seed % 2 else 0)
        for seed in range(60)
    ]
    card.receive(0, batch)
    data = {f.handle: stage.core.frame_bytes(f.len, f.seed) for f in batch}
    expect = [f.handle for f in batch if chosen.admits(seen_by_filters(f, data[f.handle]))]
    got = tap.read(64)
    assert [desc.handle for desc in got] == expect
    assert tap.stats().filtered == 60 - len(expect)
    everything = other.read(64)
    assert len(everything) == 60
    for desc in everything:  # the tag was put back for the filter's eyes only
        assert other.peek(desc.offset, desc.len) == data[desc.handle]


def test_what_one_tap_refuses_the_card_has_back_at_once(stage: Stage) -> None:
    card = stage.card()
    tap = stage.tap(quota=5)
    assert tap.filter([NONE]) == 0
    for _ in range(100):
        assert len(card.receive(0, frames(8))) == 8
        card.refill(0)
    stats = tap.stats()
    assert (stats.received, stats.filtered, stats.held) == (0, 800, 0)
    assert offered(stats) == 800
    assert card.stats().rx_unclaimed == 800


def test_a_refused_frame_takes_no_room(stage: Stage) -> None:
    """Ring and quota are for what the tap wants."""
    card = stage.card()
    tap = stage.tap(ring_size=2)
    assert tap.filter(FILTERS[3].program) == 0  # longer than 100
    card.receive(0, [Frame(1, 60), Frame(2, 200), Frame(3, 60), Frame(4, 300), Frame(5, 400)])
    assert [desc.len for desc in tap.read(8)] == [200, 300]
    stats = tap.stats()
    assert (stats.filtered, stats.lost_ring) == (2, 1)


def test_a_filter_set_before_attach_lets_nothing_by(stage: Stage) -> None:
    card = stage.card()
    tap = stage.core.tap()
    stage.taps.append(tap)
    assert tap.filter([NONE]) == 0
    tap.attach()
    card.receive(0, frames(4))
    assert tap.stats().filtered == 4


def test_a_filter_is_replaced_and_taken_off_while_frames_come(stage: Stage) -> None:
    card = stage.card()
    tap = stage.tap()
    for program, through in (([NONE], 0), ([ALL], 4), ([NONE], 0), (None, 4)):
        assert tap.filter(program) == 0
        before = tap.stats().received
        card.receive(0, frames(4))
        card.refill(0)
        assert tap.stats().received - before == through
    assert offered(tap.stats()) == 16


@pytest.mark.parametrize("program", BAD_FILTERS, ids=range(len(BAD_FILTERS)))
def test_a_refused_program_changes_nothing(
    stage: Stage, program: list[tuple[int, int, int, int]]
) -> None:
    card = stage.card()
    tap = stage.tap()
    assert tap.filter([NONE]) == 0
    before = stage.core.live()
    assert tap.filter(program, kind=1) == -errno.EINVAL
    assert stage.core.live() == before
    card.receive(0, frames(1))
    assert tap.stats().filtered == 1


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"kind": 3}, errno.EINVAL),
        ({"kind": 0, "len": 1}, errno.EINVAL),
        ({"kind": 0, "fd": 1}, errno.EINVAL),
        ({"kind": 1, "len": 1, "fd": 1}, errno.EINVAL),
        ({"kind": 1, "len": 1}, errno.EFAULT),  # at no address
        ({"kind": 2, "fd": EBPF, "len": 1}, errno.EINVAL),
        ({"kind": 2, "fd": EBPF_OTHER}, errno.EINVAL),
        ({"kind": 2, "fd": 1234}, errno.EBADF),
        ({"kind": 0, "flags": 1}, errno.EINVAL),
    ],
)
def test_malformed_requests_are_refused(stage: Stage, fields: dict[str, int], error: int) -> None:
    stage.card()
    assert stage.tap().filter(None, **fields) == -error


def test_a_filter_that_reads_outside_of_the_frame_refuses_it(stage: Stage) -> None:
    card = stage.card()
    tap = stage.tap()
    assert tap.filter([(LD_B_ABS, 0, 0, 60), ALL]) == 0
    card.receive(0, [Frame(1, 60), Frame(2, 61)])
    assert [desc.len for desc in tap.read(8)] == [61]


def test_setting_a_filter_survives_a_failed_allocation(stage: Stage) -> None:
    stage.card()
    tap = stage.tap()
    assert tap.filter([NONE]) == 0
    before = stage.core.live()
    stage.core.fail_nth(1)
    assert tap.filter([ALL]) == -errno.ENOMEM
    assert stage.core.has_failed()
    assert stage.core.live() == before
