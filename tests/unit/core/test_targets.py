# SPDX-License-Identifier: GPL-2.0-or-later
"""Other ports to send to: by reference, mapped for their cards, whatever goes first."""

from __future__ import annotations

import errno

import pytest

from tests.unit.core import harness
from tests.unit.core.harness import HEADROOM, Desc
from tests.unit.core.stage import Stage, frames


def forward(descs: list[Desc], target: int) -> list[Desc]:
    return [Desc(d.handle, d.offset, d.len, queue=target) for d in descs]


def gone(stage: Stage, card: harness.Card) -> None:
    card.remove()
    stage.cards.remove(card)
    stage.core.settle()


@pytest.mark.parametrize("bounces", [False, True])
def test_a_frame_goes_to_another_card_and_its_buffer_comes_home(
    stage: Stage, bounces: bool
) -> None:
    here, there = stage.card(), stage.card(number=1, bounces=bounces)
    tap, watcher = stage.tap(), stage.tap()
    target = tap.target(b"tap1")
    assert target == 1
    here.receive(0, frames(3, seed=9))
    assert tap.submit(forward(tap.read(3), target)) == 3
    here.check()
    assert there.queue(0).sending == 3
    assert there.complete(0, 3, 0, False) == 3
    assert [s.data for s in there.sent()] == [stage.core.frame_bytes(60, 9 + i) for i in range(3)]
    assert not here.sent()
    assert len(watcher.marks()) == 3, "others read them still"
    watcher.release([*watcher.marks()])
    assert here.stats().pool_held == here.stats().pool_in_flight == 0


def test_own_buffers_go_to_any_target_by_either_door(stage: Stage) -> None:
    here, there = stage.card(), stage.card(number=1)
    tap = stage.tap()
    target = tap.target(b"tap1")  # before there is transmit memory
    tap.tx_setup(n_bufs=4, flags=1)
    rings = tap.tx_rings()
    descs = [d._replace(len=60, queue=i % 2 * target) for i, d in enumerate(rings.take(4))]
    rings.send(descs[:2])
    assert tap.kick() == 0
    assert tap.submit(descs[2:]) == 2
    assert (here.queue(0).sending, there.queue(0).sending) == (2, 2)
    here.complete(0, 2, 0, False)
    there.complete(0, 2, 0, False)
    assert tap.stats().tx_completed == 4
    assert len(rings.take(4)) == 4


def test_the_other_card_goes_while_it_sends(stage: Stage) -> None:
    here, there = stage.card(), stage.card(number=1)
    tap = stage.tap()
    target = tap.target(b"tap1")
    here.receive(0, frames(4))
    first, *rest = tap.read(4)
    assert tap.submit(forward([first], target)) == 1
    before = stage.core.live().mappings
    gone(stage, there)
    assert stage.core.live().mappings < before, "unmapped for a card that is no more"
    here.check()
    assert tap.submit(forward(rest, target)) == -errno.ENODEV
    assert tap.submit(forward(rest, 0)) == 3, "the tap lives on"
    tap.tx_setup(n_bufs=2)
    (own,) = tap.reserve(1)
    assert tap.submit([own._replace(len=60, queue=target)]) == -errno.ENODEV
    stage.card(number=1)  # another of that name is another target
    assert tap.target(b"tap1") == 2
    stage.close(tap)
    there.free()


def test_the_frames_own_card_goes_while_another_sends_them(stage: Stage) -> None:
    here, there = stage.card(), stage.card(number=1)
    tap = stage.tap()
    target = tap.target(b"tap1")
    here.receive(0, frames(2))
    assert tap.submit(forward(tap.read(2), target)) == 2
    gone(stage, here)
    there.check()
    stage.close(tap)
    stage.core.settle()
    assert there.complete(0, 2, 0, False) == 2, "its memory is there as long"
    stage.core.settle()
    here.free()


def test_a_full_target_takes_what_fits(stage: Stage) -> None:
    here, there = stage.card(), stage.card(number=1, tx_ring=2)
    tap = stage.tap()
    target = tap.target(b"tap1")
    here.receive(0, frames(4))
    descs = forward(tap.read(4), target)
    assert tap.submit(descs) == 2
    assert tap.submit(descs[2:]) == -errno.ENOSPC
    assert not tap.can_send()
    assert tap.marks() == {d.handle for d in descs[2:]}, "still the tap's"
    there.complete(0, 1, 0, False)
    assert tap.can_send()
    assert tap.submit(descs[2:]) == 1


def test_each_look_at_the_target_has_the_right_addresses(stage: Stage) -> None:
    here, there = stage.card(), stage.card(number=1)
    tap = stage.tap()
    target = tap.target(b"tap1")
    there.limit_transmit(1, 0)
    here.receive(0, frames(3, seed=4))
    assert tap.submit(forward(tap.read(3), target)) == 3
    there.complete(0, 3, 0, False)
    assert [s.data for s in there.sent()] == [stage.core.frame_bytes(60, 4 + i) for i in range(3)]


def test_a_target_that_is_down_says_so(stage: Stage) -> None:
    here, there = stage.card(), stage.card(number=1)
    tap = stage.tap()
    target = tap.target(b"tap1")
    there.down()
    here.receive(0, frames(1))
    descs = tap.read(1)
    assert tap.submit(forward(descs, target)) == -errno.ENETDOWN
    assert tap.submit(forward(descs, 0)) == 1


def test_a_frame_too_long_for_the_target_is_refused(stage: Stage) -> None:
    here, there = stage.card(), stage.card(number=1)
    assert here.set_frame(1600) == 0
    tap = stage.tap()
    target = tap.target(b"tap1")
    here.receive(0, frames(1, length=1515))
    (desc,) = tap.read(1)
    assert tap.submit(forward([desc], target)) == -errno.EINVAL
    assert tap.submit(forward([desc], 0)) == 1
    there.check()


def test_strange_targets_are_refused(stage: Stage) -> None:
    stage.card()
    stage.card(number=1)
    tap = stage.tap()
    assert tap.target(b"tap1") == 1
    for name, error in ((b"tap0", errno.EINVAL), (b"tap1", errno.EBUSY), (b"tap2", errno.ENODEV)):
        with pytest.raises(OSError) as refused:
            tap.target(name)
        assert refused.value.errno == error
    tap.tx_setup(n_bufs=2)
    (own,) = tap.reserve(1)
    for number in (2, 7, 8, 255):
        assert tap.submit([own._replace(len=60, queue=number)]) == -errno.EINVAL


def test_as_many_targets_as_there_may_be(stage: Stage) -> None:
    for number in range(10):
        stage.card(number=number)
    tap = stage.tap()
    assert [tap.target(b"tap%d" % n) for n in range(1, 8)] == [*range(1, 8)]
    with pytest.raises(OSError) as refused:
        tap.target(b"tap8")
    assert refused.value.errno == errno.EBUSY


def test_two_taps_share_one_mapping(stage: Stage) -> None:
    stage.card()
    stage.card(number=1)
    first, second = stage.tap(), stage.tap()
    before = stage.core.live().mappings
    first.target(b"tap1")
    one = stage.core.live().mappings
    second.target(b"tap1")
    assert stage.core.live().mappings == one > before
    stage.close(first)
    stage.core.settle()
    assert stage.core.live().mappings == one, "as long as the pool is there"


def test_becoming_a_target_survives_every_failed_allocation(stage: Stage) -> None:
    stage.card(n_bufs=80, max_mapping=16384)
    stage.card(number=1, n_bufs=80)
    tap = stage.tap()
    tap.tx_setup(n_bufs=16)
    for n in range(1, 200):
        before = stage.core.live()
        stage.core.fail_nth(n)
        try:
            tap.target(b"tap1")
        except OSError as error:
            assert error.errno == errno.ENOMEM
            assert stage.core.has_failed()
            # the receive memory's mapping may be there for the next try
            assert stage.core.live().ids == before.ids
            continue
        assert not stage.core.has_failed()
        assert n > 8
        return
    raise AssertionError("never succeeded")


def test_transmit_memory_for_targets_survives_every_failed_allocation(stage: Stage) -> None:
    stage.core.limit_order(0)  # no smaller chunk makes a failure good
    stage.card(n_bufs=80)
    stage.card(number=1, n_bufs=80)
    tap = stage.tap()
    tap.target(b"tap1")
    stage.core.settle()
    before = stage.core.live()
    for n in range(1, 200):
        stage.core.fail_nth(n)
        try:
            tap.tx_setup(n_bufs=16, flags=1)
        except OSError as error:
            assert error.errno == errno.ENOMEM
            assert stage.core.has_failed()
            stage.core.settle()
            assert stage.core.live() == before, f"allocation {n} failed, and left something"
            continue
        assert not stage.core.has_failed()
        return
    raise AssertionError("never succeeded")


def test_calls_beside_the_setup_of_transmit_memory_find_all_of_it_or_none(stage: Stage) -> None:
    """The rings are made some time before the memory is the tap's."""
    stage.card()
    stage.card(number=1)
    tap = stage.tap()
    tap.target(b"tap1")
    own = Desc(harness.HANDLE_TX, HEADROOM, 60)

    def act() -> tuple[int, int, int]:
        return tap.submit([own]), tap.release([own.handle]), tap.kick()

    with stage.core.beside(act) as came:
        tap.tx_setup(n_bufs=4, flags=1)
    assert len(came) > 8
    assert set(came) == {(-errno.ESTALE, -errno.ESTALE, 0)}
    assert len(tap.tx_rings().take(8)) == 4


@pytest.mark.parametrize("call", ["attach", "tx_setup", "target"])
@pytest.mark.parametrize("wait", range(3))
def test_a_card_may_go_while_memory_is_waited_for(stage: Stage, call: str, wait: int) -> None:
    """Nothing that is needed for that is locked, and nothing of the card's is used after it."""
    stage.card()
    there = stage.card(number=1)
    tap = stage.core.tap()
    stage.taps.append(tap)
    if call != "attach":
        tap.attach(name=b"tap0" if call == "target" else b"tap1")
    waits = iter(range(100))

    def act() -> None:
        if next(waits) == wait:
            gone(stage, there)

    with stage.core.beside(act) as came, pytest.raises(OSError) as refused:
        if call == "attach":
            tap.attach(name=b"tap1")
        elif call == "tx_setup":
            tap.tx_setup(n_bufs=4, flags=1)
        else:
            tap.target(b"tap1")
    assert refused.value.errno == errno.ENODEV
    assert len(came) > wait
    stage.core.settle()
    there.free()
