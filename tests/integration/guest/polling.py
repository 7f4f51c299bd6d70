# SPDX-License-Identifier: GPL-2.0-or-later
"""poll() and epoll on taps, in the guest. Each function ends well or raises."""

from __future__ import annotations

import contextlib
import resource
import select
import threading
import time
from collections.abc import Iterator

import abi
import frames
from neighbour import Neighbour, ours, tap_with

from emulation.pace import patience

HANDLE = 0
IN, OUT = select.EPOLLIN, select.EPOLLOUT
ET, ONESHOT = select.EPOLLET, select.EPOLLONESHOT
MANY = 1000
PATIENCE_S = patience(20)


def _empty(tap: abi.Tap) -> None:
    """Give back what others sent."""
    while descs := tap.read(64):
        tap.release(*(desc[HANDLE] for desc in descs))


def _take(tap: abi.Tap, number: int) -> None:
    (desc,) = ours(tap, 1)
    assert tap.data(desc) == frames.frame(number)
    tap.release(desc[HANDLE])


def ways_to_ask(name: str, peer: str) -> None:
    """Level says it as long as it is so, edge once for each arrival, one-shot once."""
    neighbour = Neighbour(peer)
    with tap_with(name, neighbour) as (tap, _), select.epoll() as level, select.epoll() as edge, \
            select.epoll() as once:  # fmt: skip
        level.register(tap.fd, IN)
        edge.register(tap.fd, IN | ET)
        once.register(tap.fd, IN | ONESHOT)
        for epoll in (level, edge, once):
            assert epoll.poll(0) == []
        for number in range(50):
            neighbour.send(number)
            for epoll in (level, edge):
                assert epoll.poll(PATIENCE_S) == [(tap.fd, IN)], number
            assert once.poll(PATIENCE_S if not number else 0) == (
                [(tap.fd, IN)] if not number else []
            )
            # it still waits: only the one that asks for the state says so again
            assert level.poll(0) == [(tap.fd, IN)]
            assert edge.poll(0) == []
            if number % 3 == 0:
                continue
            _take_all(tap)
            assert level.poll(0) == []
        _take_all(tap)
        once.modify(tap.fd, IN | ONESHOT)
        assert once.poll(0) == []
        neighbour.send(99)
        assert once.poll(PATIENCE_S) == [(tap.fd, IN)]
        _take(tap, 99)
        # writable: level, as long as a buffer is free
        tap.setup_tx(2)
        level.modify(tap.fd, OUT)
        edge.modify(tap.fd, OUT | ET)
        assert level.poll(0) == [(tap.fd, OUT)] and edge.poll(0) == [(tap.fd, OUT)]
        descs = tap.reserve(2)
        assert level.poll(0) == [] and edge.poll(0) == []
        assert tap.release(descs[0][HANDLE]) == 1
        assert level.poll(0) == [(tap.fd, OUT)] and edge.poll(PATIENCE_S) == [(tap.fd, OUT)]
        assert tap.release(descs[1][HANDLE]) == 1
    neighbour.close()


def registered_first(name: str, peer: str) -> None:
    """epoll asks where to wait but once: when the file is added."""
    neighbour = Neighbour(peer)
    tap = abi.Tap()
    with select.epoll() as epoll:
        epoll.register(tap.fd, IN)
        assert epoll.poll(0) == [(tap.fd, select.EPOLLERR)]
        tap.attach(name).map()
        assert epoll.poll(0) == []
        timer = threading.Timer(0.2, neighbour.send, (7,))
        timer.start()
        assert epoll.poll(PATIENCE_S) == [(tap.fd, IN)]
        timer.join()
    tap.close()
    neighbour.close()


def each_for_itself(name: str) -> None:
    """Two taps that send through one queue: the first to wait exclusively keeps all its buffers."""
    greedy, tap = (abi.Tap().attach(name).setup_tx(2) for _ in range(2))
    with select.epoll() as its, select.epoll() as mine:
        for one, epoll in ((greedy, its), (tap, mine)):
            descs = one.reserve(2)
            epoll.register(one.fd, OUT | select.EPOLLEXCLUSIVE)
            assert epoll.poll(0) == []
        sleeper = threading.Thread(target=its.poll, args=(PATIENCE_S,))
        sleeper.start()
        time.sleep(0.5)  # it sleeps by now, or this time we do not see what happens
        frame = frames.frame(0)
        assert tap.submit(*(tap.fill(desc, frame) for desc in descs)) == 2
        assert mine.poll(PATIENCE_S) == [(tap.fd, OUT)]
        greedy.close()
        sleeper.join()
    tap.close()


def _take_all(tap: abi.Tap) -> None:
    poll = select.poll()
    poll.register(tap.fd, select.POLLIN)
    while poll.poll(0):
        _empty(tap)


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    """Room for as many open files as it takes."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * MANY, max(4 * MANY, before[1])))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def a_thousand(name: str, peer: str) -> None:
    """A thousand that wait for one tap, by epoll and asleep in poll(): one frame wakes them all."""
    neighbour = Neighbour(peer)
    with many_files(), tap_with(name, neighbour) as (tap, _):
        epolls = [select.epoll() for _ in range(MANY)]
        for epoll in epolls:
            epoll.register(tap.fd, IN)
        woken: list[int] = []

        def asleep() -> None:
            poll = select.poll()
            poll.register(tap.fd, select.POLLIN)
            woken.extend(events for _, events in poll.poll(PATIENCE_S * 1000))

        threads = [threading.Thread(target=asleep) for _ in range(64)]
        for thread in threads:
            thread.start()
        for number in range(3):
            neighbour.send(number)
            assert all(epoll.poll(PATIENCE_S) == [(tap.fd, IN)] for epoll in epolls)
            for thread in threads:
                thread.join(PATIENCE_S)
            assert woken == [select.POLLIN] * 64
            _take_all(tap)
            assert all(epoll.poll(0) == [] for epoll in epolls)
        # half of them leave while the others stay, then the tap goes from under those
        for epoll in epolls[::2]:
            epoll.close()
        neighbour.send(7)
        assert all(epoll.poll(PATIENCE_S) for epoll in epolls[1::2])
    for epoll in epolls[1::2]:
        assert epoll.poll(0) == []
        epoll.close()
    neighbour.close()


def told_of_the_end(name: str) -> tuple[int, int]:
    """Sleep in poll(), and in epoll by edge, until the card goes; return what both said."""
    tap = abi.Tap().attach(name)
    with select.epoll() as edge:
        edge.register(tap.fd, IN | ET)
        with contextlib.suppress(OSError):  # gone already
            _take_all(tap)
        poll = select.poll()
        poll.register(tap.fd, 0)
        deadline = time.monotonic() + 3 * PATIENCE_S
        said = 0
        while not said & select.POLLHUP:
            assert time.monotonic() < deadline
            for _, events in poll.poll(PATIENCE_S * 1000):
                said |= events
        (_, by_edge) = edge.poll(PATIENCE_S)[0]
    tap.close()
    return said, by_edge
