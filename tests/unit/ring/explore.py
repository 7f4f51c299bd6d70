# SPDX-License-Identifier: GPL-2.0-or-later
"""A small exhaustive model checker for code with acquire, release and full barriers.

It follows every interleaving of the threads and, for each load, every store that the C11
memory model lets it see. The model is the operational one of views: memory keeps all stores
to a place in their order; a thread's view says, for each place, the oldest store that it may
still see. A release store carries its thread's view with it, an acquire load takes that
over, and relaxed ones do so only between fences. Full barriers exchange views through one
common view. (Kang, Hur, Lahav, Vafeiadis, Dreyer: A Promising Semantics for Relaxed-Memory
Concurrency, POPL 2017, without promises: no store happens before an earlier load of its
thread has returned. What that could spoil is found as a race, below.)

Beside atomic places there are plain ones. Views also carry, for each thread, how many plain
accesses of it happened before; two accesses to one plain place, one of them a write, that no
such order ties together are a race, whichever came first. So the order between an entry's
last reader and its next writer is checked as well as that between its writer and its reader.

A thread is a function of what its operations have returned so far to its next operation.
A place has one writer, as the index of a ring has: a store always comes last in its order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeVar

_T = TypeVar("_T")


class Kind(IntEnum):
    """What a thread does next; the numbers are replay.h's."""

    LOAD = 0
    STORE = 1
    FENCE = 2
    READ = 3  # of a plain place
    WRITE = 4
    KICK = 5  # wake who waits, or who will wait next
    WAIT = 6
    AGAIN = 7  # nothing found: go back to where only so many operations had returned
    FAIL = 8  # the thread found what must not be
    DONE = 9


class Order(IntEnum):
    """Memory orders; the numbers are the compiler's."""

    RELAXED = 0
    ACQUIRE = 2
    RELEASE = 3
    ACQ_REL = 4
    SEQ_CST = 5


_ACQUIRES = {Order.ACQUIRE, Order.ACQ_REL, Order.SEQ_CST}
_RELEASES = {Order.RELEASE, Order.ACQ_REL, Order.SEQ_CST}


@dataclass(frozen=True, slots=True)
class Op:
    """One operation: *place* is the number of an atomic or of a plain place."""

    kind: Kind
    order: Order = Order.RELAXED
    place: int = 0
    value: int = 0


Log = tuple[int, ...]
Thread = Callable[[Log], Op]

# By atomic place, the oldest store that may be seen; then by thread, how many plain accesses
# happened before.
View = tuple[int, ...]
Message = tuple[int, View]  # a store's value, and what it lets an acquire load know


@dataclass(frozen=True, slots=True)
class _Local:
    """A thread: what its operations returned, and what it knows.

    ``now`` holds for its next access; ``acquired`` is what an acquire fence would add,
    ``released`` is what its relaxed stores carry since the last release fence.
    """

    log: Log
    now: View
    acquired: View
    released: View


@dataclass(frozen=True, slots=True)
class _Plain:
    value: int
    writer: int
    written: int  # the writer's count of plain accesses then
    reads: tuple[int, ...]  # by thread, its count at its last read


@dataclass(frozen=True, slots=True)
class _State:
    threads: tuple[_Local, ...]
    atomics: tuple[tuple[Message, ...], ...]
    plain: tuple[_Plain, ...]
    barrier: View
    kick: View | None


class Fault(Exception):  # noqa: N818 - what is wrong with the threads, not with the caller
    """What can go wrong, and the shortest way there."""

    def __init__(self, what: str, steps: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join([what, *steps]))
        self.what = what


def _join(a: View, b: View) -> View:
    return a if a == b else tuple(map(max, a, b))


def _put(items: tuple[_T, ...], at: int, item: _T) -> tuple[_T, ...]:
    return (*items[:at], item, *items[at + 1 :])


class Explorer:
    """All executions of some threads.

    Args:
        threads: the programs.
        atomics: the atomic places' values at first; places are numbered from 0.
        plain: how many plain places there are, all zero at first.

    Attributes:
        n_states: how many states :meth:`run` went through.
    """

    def __init__(self, threads: Sequence[Thread], atomics: Sequence[int], plain: int = 0) -> None:
        self._programs = threads
        self._atomics = atomics
        self._n_atomics = len(atomics)
        self._n_plain = plain
        self._next: dict[tuple[int, Log], Op] = {}
        self.n_states = 0

    def run(self) -> set[tuple[Log, ...]]:
        """Return what the threads' operations can have returned, in all ways to end.

        Raises:
            Fault: two accesses race, a thread failed, or there is a way into a state from
                which no way leads to the end of all threads: one sleeps for ever.
        """
        start = self._start()
        came: dict[_State, tuple[_State, str] | None] = {start: None}
        before: dict[_State, list[_State]] = {start: []}
        ends: list[_State] = []
        todo = deque([start])
        while todo:
            state = todo.popleft()
            if all(self._op(i, state).kind is Kind.DONE for i in range(len(state.threads))):
                ends.append(state)
                continue
            try:
                for step, after in self._steps(state):
                    if after not in came:
                        came[after] = (state, step)
                        before[after] = []
                        todo.append(after)
                    before[after].append(state)
            except Fault as fault:
                raise Fault(fault.what, self._way(came, state)) from None
        self.n_states = len(came)
        self._all_end(came, before, ends)
        return {tuple(thread.log for thread in end.threads) for end in ends}

    def _start(self) -> _State:
        none = (0,) * (self._n_atomics + len(self._programs))
        thread = _Local((), none, none, none)
        plain = _Plain(0, 0, 0, (0,) * len(self._programs))
        return _State(
            (thread,) * len(self._programs),
            tuple(((value, none),) for value in self._atomics),
            (plain,) * self._n_plain,
            none,
            None,
        )

    @staticmethod
    def _way(came: dict[_State, tuple[_State, str] | None], state: _State) -> list[str]:
        steps = []
        while (last := came[state]) is not None:
            state, step = last
            steps.append(step)
        return steps[::-1]

    def _all_end(
        self,
        came: dict[_State, tuple[_State, str] | None],
        before: dict[_State, list[_State]],
        ends: list[_State],
    ) -> None:
        """Raise if there is a state that no end can be reached from."""
        good = set(ends)
        todo = list(ends)
        while todo:
            for state in before[todo.pop()]:
                if state not in good:
                    good.add(state)
                    todo.append(state)
        for state in came:  # in the order of their distance from the start
            if state not in good:
                where = ", ".join(
                    f"{i}: {self._op(i, state).kind.name}" for i in range(len(state.threads))
                )
                raise Fault(f"the threads never end ({where})", self._way(came, state))

    def _op(self, i: int, state: _State) -> Op:
        key = (i, state.threads[i].log)
        if key not in self._next:
            self._next[key] = self._programs[i](key[1])
        return self._next[key]

    def _steps(self, state: _State) -> Iterator[tuple[str, _State]]:
        for i in range(len(state.threads)):
            op = self._op(i, state)
            step = getattr(self, f"_{op.kind.name.lower()}")
            for value, after in step(state, i, op):
                what = f"{i}: {op.kind.name} {op.order.name} {op.place}"
                yield f"{what} {value if op.kind in (Kind.LOAD, Kind.READ) else op.value}", after

    def _done(self, state: _State, i: int, op: Op) -> Iterator[tuple[int, _State]]:
        return iter(())

    def _fail(self, state: _State, i: int, op: Op) -> Iterator[tuple[int, _State]]:
        raise Fault(f"thread {i} failed: {op.value}")

    def _again(self, state: _State, i: int, op: Op) -> Iterator[tuple[int, _State]]:
        thread = replace(state.threads[i], log=state.threads[i].log[: op.value])
        yield 0, replace(state, threads=_put(state.threads, i, thread))

    def _load(self, state: _State, i: int, op: Op) -> Iterator[tuple[int, _State]]:
        thread = state.threads[i]
        stores = state.atomics[op.place]
        for at in range(thread.now[op.place], len(stores)):
            value, known = stores[at]
            now = _put(thread.now, op.place, at)
            acquired = _join(thread.acquired, _join(known, now))
            if op.order in _ACQUIRES:
                now = _join(now, known)
            after = _Local((*thread.log, value), now, acquired, thread.released)
            yield value, replace(state, threads=_put(state.threads, i, after))

    def _store(self, state: _State, i: int, op: Op) -> Iterator[tuple[int, _State]]:
        thread = state.threads[i]
        stores = state.atomics[op.place]
        if thread.now[op.place] != len(stores) - 1:
            raise Fault(f"place {op.place} has two writers")
        now = _put(thread.now, op.place, len(stores))
        known = now if op.order in _RELEASES else _put(thread.released, op.place, len(stores))
        after = _Local((*thread.log, 0), now, _join(thread.acquired, now), thread.released)
        yield (
            0,
            replace(
                state,
                threads=_put(state.threads, i, after),
                atomics=_put(state.atomics, op.place, (*stores, (op.value, known))),
            ),
        )

    def _fence(self, state: _State, i: int, op: Op) -> Iterator[tuple[int, _State]]:
        thread = state.threads[i]
        now, released, barrier = thread.now, thread.released, state.barrier
        if op.order in _ACQUIRES:
            now = thread.acquired
        if op.order is Order.SEQ_CST:
            # of stores only: full barriers alone tie no plain accesses together
            seen = now[: self._n_atomics] + barrier[self._n_atomics :]
            barrier = _join(barrier, seen)
            now = _join(now, barrier)
        if op.order in _RELEASES:
            released = now
        after = _Local((*thread.log, 0), now, _join(thread.acquired, now), released)
        yield 0, replace(state, threads=_put(state.threads, i, after), barrier=barrier)

    def _tick(self, thread: _Local, i: int, value: int) -> _Local:
        """Return the thread with one more plain access done."""
        clock = self._n_atomics + i
        now = _put(thread.now, clock, thread.now[clock] + 1)
        return _Local((*thread.log, value), now, _join(thread.acquired, now), thread.released)

    def _read(self, state: _State, i: int, op: Op) -> Iterator[tuple[int, _State]]:
        plain, thread = state.plain[op.place], state.threads[i]
        self._ordered(thread, plain.writer, plain.written, f"thread {i} reads", op)
        after = self._tick(thread, i, plain.value)
        reads = _put(plain.reads, i, after.now[self._n_atomics + i])
        yield (
            plain.value,
            replace(
                state,
                threads=_put(state.threads, i, after),
                plain=_put(state.plain, op.place, replace(plain, reads=reads)),
            ),
        )

    def _write(self, state: _State, i: int, op: Op) -> Iterator[tuple[int, _State]]:
        plain, thread = state.plain[op.place], state.threads[i]
        self._ordered(thread, plain.writer, plain.written, f"thread {i} writes", op)
        for reader, count in enumerate(plain.reads):
            self._ordered(thread, reader, count, f"thread {i} writes", op)
        after = self._tick(thread, i, 0)
        written = _Plain(op.value, i, after.now[self._n_atomics + i], plain.reads)
        yield (
            0,
            replace(
                state,
                threads=_put(state.threads, i, after),
                plain=_put(state.plain, op.place, written),
            ),
        )

    def _ordered(self, thread: _Local, other: int, count: int, what: str, op: Op) -> None:
        """Raise unless the other thread's access of that *count* happened before."""
        if thread.now[self._n_atomics + other] < count:
            raise Fault(f"race: {what} plain place {op.place} while thread {other} uses it")

    def _kick(self, state: _State, i: int, op: Op) -> Iterator[tuple[int, _State]]:
        thread = state.threads[i]
        kick = thread.now if state.kick is None else _join(state.kick, thread.now)
        after = replace(thread, log=(*thread.log, 0))
        yield 0, replace(state, threads=_put(state.threads, i, after), kick=kick)

    def _wait(self, state: _State, i: int, op: Op) -> Iterator[tuple[int, _State]]:
        if state.kick is None:
            return
        thread = state.threads[i]
        now = _join(thread.now, state.kick)
        after = _Local((*thread.log, 0), now, _join(thread.acquired, now), thread.released)
        yield 0, replace(state, threads=_put(state.threads, i, after), kick=None)
