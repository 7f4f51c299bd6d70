# SPDX-License-Identifier: GPL-2.0-or-later
"""Allocations that fail, one after the other, and memory in small pieces (cases 60, 80, 81)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

import pytest

from tests.unit.core import harness
from tests.unit.core.test_mapping import USUAL as READABLE

RING = 8
MANY = 400  # more allocations than any operation here makes


@pytest.fixture
def core() -> Iterator[harness.Core]:
    core = harness.core()
    yield core
    core.reset()


def new_card(core: harness.Core) -> harness.Card:
    # several chunks: the second to fail has a first to undo
    return core.card(n_queues=2, rx_ring=RING, n_bufs=2 * RING + 64, max_mapping=65536)


def end(core: harness.Core, card: harness.Card) -> None:
    core.settle()
    card.remove()
    core.settle()
    card.free()
    assert core.live() == harness.NOTHING


def sweep(core: harness.Core, operation: Callable[[], object]) -> int:
    """Fail the 1st, 2nd, ... allocation until the operation makes fewer; return how many."""
    core.settle()
    before = core.live()
    for n in range(1, MANY):
        core.fail_nth(n)
        try:
            operation()
        except OSError as error:
            assert core.has_failed()
            assert error.errno == errno.ENOMEM
            core.settle()
            assert core.live() == before, f"allocation {n} failed, and something was left behind"
        else:
            assert not core.has_failed(), "a failed allocation went unnoticed"
            return n - 1
    raise AssertionError("never succeeded")


def up(card: harness.Card) -> None:
    harness.raise_errno(card.up())


def test_creating_a_port_survives_every_failed_allocation(core: harness.Core) -> None:
    """Hostile case 60: the core's part of a probe."""
    cards: list[harness.Card] = []
    assert sweep(core, lambda: cards.append(new_card(core))) >= 2
    end(core, cards[0])


def test_bringing_a_card_up_survives_every_failed_allocation(core: harness.Core) -> None:
    """Hostile case 60. Pool, metadata, chunks, DMA mappings; the card can come up afterwards."""
    core.limit_order(0)  # no smaller chunk makes a failure good
    card = new_card(core)
    assert sweep(core, lambda: up(card)) > 80
    assert card.queue(0).posted == RING
    end(core, card)


def test_attaching_survives_every_failed_allocation(core: harness.Core) -> None:
    card = new_card(core)
    up(card)
    first = core.tap()
    first.attach()
    tap = core.tap()
    assert sweep(core, tap.attach) >= 8
    for queue in range(2):
        card.receive(queue, [harness.Frame(1, 60)])
    assert len(tap.read(64)) == len(first.read(64)) == 2
    tap.close()
    first.close()
    end(core, card)


def test_attaching_while_the_card_is_down_survives_every_failed_allocation(
    core: harness.Core,
) -> None:
    """The pool is made by the tap then."""
    core.limit_order(0)  # no smaller chunk makes a failure good
    card = new_card(core)
    tap = core.tap()
    assert sweep(core, tap.attach) > 80
    tap.close()
    end(core, card)


def test_opening_survives_a_failed_allocation(core: harness.Core) -> None:
    taps: list[harness.Tap] = []
    assert sweep(core, lambda: taps.append(core.tap())) == 2, "the tap and its id"
    taps[0].close()
    assert core.live() == harness.NOTHING


@pytest.mark.parametrize("flags", [0, 1])
@pytest.mark.parametrize("n_targets", [0, 1])
def test_getting_transmit_memory_survives_every_failed_allocation(
    core: harness.Core, flags: int, n_targets: int
) -> None:
    """With rings too, and for another card as well, which the tap may send to before it asks."""
    core.limit_order(0)  # no smaller chunk makes a failure good
    card = new_card(core)
    up(card)
    others = [core.card(number=1 + n, n_queues=1, rx_ring=RING) for n in range(n_targets)]
    for other in others:
        up(other)
    tap = core.tap()
    tap.attach()
    for n in range(n_targets):
        tap.target(b"tap%d" % (1 + n))
    made = sweep(core, lambda: tap.tx_setup(n_bufs=32, flags=flags))
    assert made > 30 + 15 * n_targets
    assert len(tap.tx_rings().take(64) if flags else tap.reserve(64)) == 32
    tap.close()
    for other in others:
        other.remove()
        core.settle()
        other.free()
    end(core, card)


def test_who_is_killed_takes_no_more_memory(core: harness.Core) -> None:
    """Hostile case 52: the end of a program does not wait for gigabytes that it had asked for."""
    card = new_card(core)
    up(card)
    tap = core.tap()
    rx_bytes = tap.attach().rx_bytes
    before = core.live()
    with core.killed():
        with pytest.raises(OSError, match="allocate"):
            tap.tx_setup(n_bufs=32)
        core.settle()
        assert core.live() == before
        assert tap.mmap(0, rx_bytes, READABLE)[0] == -errno.ENOMEM
    tap.tx_setup(n_bufs=32)
    tap.close()
    end(core, card)


def test_a_card_has_its_memory_though_who_asks_is_killed(core: harness.Core) -> None:
    """It is not the caller's alone: others would have no card any more."""
    card = new_card(core)
    with core.killed():
        up(card)
    end(core, card)


def test_closing_needs_no_memory(core: harness.Core) -> None:
    card = new_card(core)
    up(card)
    taps = [core.tap() for _ in range(3)]
    for tap in taps:
        tap.attach()
    for tap in taps:
        core.fail_nth(1)
        tap.close()
        assert not core.has_failed(), "close tried to allocate with a chance to fail"
    end(core, card)


def test_reconfiguring_without_memory_restores_the_old_pool(core: harness.Core) -> None:
    """Hostile case 90: every failed allocation leaves a card that is up and can receive."""
    core.limit_order(0)  # no smaller chunk makes a failure good
    for n in range(1, MANY):
        card = new_card(core)
        up(card)
        core.settle()
        core.fail_nth(n)
        result = card.configure(4096, 100)
        failed = core.has_failed()
        assert result == (-errno.ENOMEM if failed else 0)
        assert card.is_up()
        assert card.buf_size() == (2048 if failed else 4096)
        assert card.queue(0).posted == RING
        card.check()
        end(core, card)
        core.reset()
        core.limit_order(0)  # no smaller chunk makes a failure good
        if not failed:
            return
    raise AssertionError("never succeeded")


@pytest.mark.parametrize("order", range(11))
@pytest.mark.parametrize("buf_size", [2048, 4096, 8192, 16384])
def test_fragmentation_alone_never_fails_a_pool(
    core: harness.Core, buf_size: int, order: int
) -> None:
    needed = max(buf_size // harness.PAGE, 1).bit_length() - 1
    core.limit_order(order)
    card = core.card(n_queues=1, rx_ring=RING, n_bufs=1100)
    assert card.configure(buf_size, 1100) == 0
    assert card.up() == (0 if order >= needed else -errno.ENOMEM)
    if order >= needed:
        card.check()
        assert card.pool_size() >= 1100
        assert card.pool_max_order() == min(order, 9)  # 2 MiB at most
        assert card.receive(0, [harness.Frame(1, 60)] * RING)
    end(core, card)


def test_a_platform_that_maps_little_gets_small_chunks(core: harness.Core) -> None:
    card = core.card(n_queues=1, rx_ring=RING, n_bufs=1100, max_mapping=65536, bounces=True)
    up(card)
    assert card.pool_max_order() == 4
    end(core, card)


def test_a_card_that_fails_to_start_leaves_nothing(core: harness.Core) -> None:
    """Hostile case 60: the driver fails with one ring filled."""
    card = new_card(core)
    card.fail_start(-errno.EIO)
    before = core.live()
    assert card.up() == -errno.EIO
    core.settle()
    assert core.live() == before
    card.fail_start(0)
    up(card)
    end(core, card)
