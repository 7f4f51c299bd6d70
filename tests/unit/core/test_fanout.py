# SPDX-License-Identifier: GPL-2.0-or-later
"""Fan-out groups: each frame to one member, each flow to the same, whoever leaves."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from tests.unit.core import harness
from tests.unit.core.harness import Frame
from tests.unit.core.stage import Stage

FLOWS = 200


def flows(start: int = 0) -> list[Frame]:
    """One frame of each flow."""
    return [Frame(start + i, 60, hash=(i + 1) * 0x9E3779B1 & 0xFFFFFFFF) for i in range(FLOWS)]


def members_of(
    stage: Stage, card: harness.Card, taps: list[harness.Tap], batch: list[Frame]
) -> dict[int, harness.Tap]:
    """Send a frame of each flow; which tap got each flow's."""
    out: dict[int, harness.Tap] = {}
    for at in range(0, len(batch), 8):
        assert len(card.receive(0, batch[at : at + 8])) == 8
        card.refill(0)
    for tap in taps:
        descs = tap.read(FLOWS)
        tap.rx_rings(0).release([desc.handle for desc in descs])
        assert tap.kick() == 0
        for desc in descs:
            flow = next(f.hash or f.seed for f in batch if f.handle == desc.handle)
            assert flow not in out, "each frame to one member"
            out[flow] = tap
    assert len(out) == FLOWS, "and to one at least"
    return out


def test_each_flow_has_one_member_and_keeps_it(stage: Stage) -> None:
    card = stage.card(n_bufs=8 + 512)
    taps = [stage.tap(fanout=7, quota=400) for _ in range(4)]
    first = members_of(stage, card, taps, flows())
    assert members_of(stage, card, taps, flows(1000)) == first
    shares = [sum(tap is member for member in first.values()) for tap in taps]
    assert all(20 <= share <= 90 for share in shares), shares


def test_when_a_member_leaves_only_its_flows_move(stage: Stage) -> None:
    card = stage.card(n_bufs=8 + 512)
    taps = [stage.tap(fanout=7, quota=400) for _ in range(4)]
    before = members_of(stage, card, taps, flows())
    gone = taps.pop(1)
    stage.close(gone)
    after = members_of(stage, card, taps, flows(1000))
    assert all(after[flow] is tap for flow, tap in before.items() if tap is not gone)
    assert len({id(after[flow]) for flow, tap in before.items() if tap is gone}) == 3


def test_flows_without_a_hash_of_the_cards_are_told_apart_too(stage: Stage) -> None:
    card = stage.card(n_bufs=8 + 512)
    taps = [stage.tap(fanout=1, quota=400) for _ in range(2)]
    batch = [Frame(i + 1, 60, hash_type=0) for i in range(FLOWS)]
    first = members_of(stage, card, taps, batch)
    again = [Frame(i + 1, 60, hash_type=0) for i in range(FLOWS)]
    assert members_of(stage, card, taps, again) == first
    assert len({id(tap) for tap in first.values()}) == 2


def test_who_is_in_no_group_or_another_gets_all(stage: Stage) -> None:
    card = stage.card(n_bufs=8 + 512)
    taps = [stage.tap(fanout=group) for group in (1, 0, 2, 1, 0, 2)]
    card.receive(0, flows()[:8])
    got = [tap.stats().received for tap in taps]
    assert got[1] == got[4] == got[0] + got[3] == got[2] + got[5] == 8


def test_a_members_filter_counts_for_its_own_flows(stage: Stage) -> None:
    card = stage.card(n_bufs=8 + 512)
    strict, other = stage.tap(fanout=1), stage.tap(fanout=1)
    assert strict.filter([(0x06, 0, 0, 0)]) == 0
    card.receive(0, flows()[:8])
    assert strict.stats().filtered + other.stats().received == 8
    assert strict.stats().filtered > 0


@pytest.mark.parametrize("other", [{"name": b"tap1"}, {"queues": 1}, {"flags": 2}])
def test_members_share_port_and_queues(stage: Stage, other: dict[str, Any]) -> None:
    stage.card(n_queues=2)
    stage.card(number=1, n_queues=2)
    stage.tap(fanout=3)
    tap = stage.core.tap()
    stage.taps.append(tap)
    with pytest.raises(OSError) as refused:
        tap.attach(**({"fanout": 3} | other))
    assert refused.value.errno == errno.EINVAL
    tap.attach(fanout=3)


def test_members_are_of_one_user(stage: Stage) -> None:
    """Another user's member would have a share of the frames, and could let them rot."""
    stage.card()
    stage.tap(fanout=3)
    stage.core.set_uid(1001)
    try:
        tap = stage.core.tap()
    finally:
        stage.core.set_uid(1000)
    stage.taps.append(tap)
    with pytest.raises(OSError) as refused:
        tap.attach(fanout=3)
    assert refused.value.errno == errno.EINVAL
    tap.attach(fanout=4)
