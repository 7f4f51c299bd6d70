# SPDX-License-Identifier: GPL-2.0-or-later
"""The model checker allows what the C11 memory model allows, and nothing else.

The examples are the literature's usual ones; they are named as there.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from .explore import Explorer, Fault, Kind, Log, Op, Order, Thread

ACQ, REL, RLX = Order.ACQUIRE, Order.RELEASE, Order.RELAXED
X, Y = 0, 1


def load(place: int, order: Order = RLX) -> Op:
    return Op(Kind.LOAD, order, place)


def store(place: int, value: int, order: Order = RLX) -> Op:
    return Op(Kind.STORE, order, place, value)


def fence(order: Order) -> Op:
    return Op(Kind.FENCE, order)


def straight(*ops: Op) -> Thread:
    """A thread that does these, one after the other."""
    return lambda log: ops[len(log)] if len(log) < len(ops) else Op(Kind.DONE)


def loads(threads: Sequence[tuple[Op, ...]]) -> set[tuple[int, ...]]:
    """What all loads can return together, in the order of the threads."""
    ends = Explorer([straight(*ops) for ops in threads], atomics=(0, 0)).run()

    def results(ops: tuple[Op, ...], log: Log) -> Log:
        return tuple(v for op, v in zip(ops, log, strict=True) if op.kind is Kind.LOAD)

    return {
        sum((results(*each) for each in zip(threads, end, strict=True)), start=()) for end in ends
    }


def message_passing(store_order: Order, load_order: Order) -> bool:
    """Whether a reader can see Y's store and miss X's, which came before."""
    writer = (store(X, 1), store(Y, 1, store_order))
    return (1, 0) in loads([writer, (load(Y, load_order), load(X))])


def test_message_passing_needs_release_and_acquire() -> None:
    assert not message_passing(REL, ACQ)
    assert message_passing(REL, RLX)
    assert message_passing(RLX, ACQ)
    assert message_passing(RLX, RLX)


def test_message_passing_through_fences() -> None:
    writer = (store(X, 1), fence(REL), store(Y, 1))
    reader = (load(Y), fence(ACQ), load(X))
    assert (1, 0) not in loads([writer, reader])
    assert (1, 0) in loads([writer, (load(Y), fence(REL), load(X))])
    assert (1, 0) in loads([(store(X, 1), fence(ACQ), store(Y, 1)), reader])


def store_buffering(between: tuple[Op, ...], other: tuple[Op, ...]) -> bool:
    """Whether both of two threads can miss what the other has stored before."""
    left = (store(X, 1, REL), *between, load(Y, ACQ))
    right = (store(Y, 1, REL), *other, load(X, ACQ))
    return (0, 0) in loads([left, right])


def test_store_buffering_needs_two_full_barriers() -> None:
    full = (fence(Order.SEQ_CST),)
    assert not store_buffering(full, full)
    assert store_buffering(full, ())
    assert store_buffering((), full)
    assert store_buffering((), ())
    assert store_buffering(full, (fence(Order.ACQ_REL),))


def test_coherence_a_later_load_sees_no_older_store() -> None:
    reader = (load(X), load(X))
    assert loads([(store(X, 1), store(X, 2)), reader]) == {
        (0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)
    }  # fmt: skip


def independent_reads(*between: Op) -> bool:
    """Whether two readers can see two writers' stores in different orders."""
    left = (load(X, ACQ), *between, load(Y, ACQ))
    right = (load(Y, ACQ), *between, load(X, ACQ))
    return (1, 0, 1, 0) in loads([(store(X, 1, REL),), (store(Y, 1, REL),), left, right])


def test_independent_reads_of_independent_writes_need_full_barriers() -> None:
    assert independent_reads()
    assert not independent_reads(fence(Order.SEQ_CST))


def test_what_a_release_lets_be_seen_is_passed_on() -> None:
    """ISA2: through a third thread."""
    first = (store(X, 1), store(Y, 1, REL))

    def second(order: Order) -> Thread:
        ops = (load(Y, ACQ), store(2, 1, order))
        return straight(*ops)

    def result(order: Order) -> bool:
        third = straight(load(2, ACQ), load(X))
        ends = Explorer([straight(*first), second(order), third], atomics=(0, 0, 0)).run()
        return any(b[0] == 1 and c == (1, 0) for _, b, c in ends)

    assert not result(REL)
    assert result(RLX)


def guarded(place_write: Order, place_read: Order) -> Sequence[Thread]:
    """Thread 0 writes a plain place and says so; thread 1 reads it once it has heard."""

    def reader(log: Log) -> Op:
        ops = (load(X, place_read), Op(Kind.READ), Op(Kind.DONE))
        return Op(Kind.AGAIN, value=0) if log == (0,) else ops[len(log)]

    return [straight(Op(Kind.WRITE, value=7), store(X, 1, place_write)), reader]


def test_a_plain_place_is_handed_over_by_release_and_acquire() -> None:
    ends = Explorer(guarded(REL, ACQ), atomics=(0,), plain=1).run()
    assert {end[1] for end in ends} == {(1, 7)}


@pytest.mark.parametrize("orders", [(REL, RLX), (RLX, ACQ)])
def test_a_plain_place_that_is_not_handed_over_is_a_race(orders: tuple[Order, Order]) -> None:
    with pytest.raises(Fault, match="race: thread 1 reads"):
        Explorer(guarded(*orders), atomics=(0,), plain=1).run()


def test_a_write_after_an_unordered_read_is_a_race() -> None:
    reader = straight(Op(Kind.READ), store(X, 1, RLX))

    def writer(log: Log) -> Op:
        ops = (load(X, ACQ), Op(Kind.WRITE, value=1), Op(Kind.DONE))
        return Op(Kind.AGAIN, value=0) if log == (0,) else ops[len(log)]

    with pytest.raises(Fault, match="race: thread 1 writes"):
        Explorer([reader, writer], atomics=(0,), plain=1).run()


def test_who_is_not_woken_sleeps_for_ever() -> None:
    kick, wait = Op(Kind.KICK), Op(Kind.WAIT)
    assert Explorer([straight(kick), straight(wait)], atomics=()).run()
    with pytest.raises(Fault, match="never end"):
        Explorer([straight(kick), straight(wait, wait)], atomics=()).run()


def test_who_spins_for_what_never_comes_never_ends() -> None:
    with pytest.raises(Fault, match="never end"):
        Explorer([straight(), guarded(REL, ACQ)[1]], atomics=(0,), plain=1).run()


def test_two_writers_of_one_place_are_refused() -> None:
    with pytest.raises(Fault, match="two writers"):
        Explorer([straight(store(X, 1)), straight(store(X, 2))], atomics=(0,)).run()
