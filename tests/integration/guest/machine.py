# SPDX-License-Identifier: GPL-2.0-or-later
"""Many taps in the guest, some in processes of their own that can be killed.

One call does several things to them and tells, once all is quiet, what every tap and the port
then say: so a step of test_stateful.py costs one question to the guest.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import time
from typing import Any

import abi
import frames

QUIET_S = 20
Desc = tuple[int, ...]


class Holder:
    """A tap that finds the fault in what it reads by itself."""

    def __init__(self, name: str, ring_size: int, quota: int, tx_bufs: int) -> None:
        # one queue: what comes in on several is not in one order
        self._tap = abi.Tap().attach(name, queues=1, ring_size=ring_size, quota=quota).map()
        if tx_bufs:
            self._tap.setup_tx(tx_bufs)

    def about(self) -> tuple[int, int, int]:
        """Ring size, quota and transmit buffers in use."""
        tap = self._tap
        tx = tap.tx_setup_out.n_bufs if tap.tx_setup_out else 0
        return tap.field("ring_size"), tap.field("quota"), tx

    def _number(self, desc: Desc) -> int:
        """Which frame lies there, or -1 if not every byte is as it was sent."""
        data = self._tap.data(desc)
        return frames.number(data) if len(data) > 21 and frames.is_intact(data) else -1

    def read(self, count: int) -> tuple[tuple[Desc, int], ...]:
        """Descriptors, and the number of the frame that each names."""
        return tuple((desc, self._number(desc)) for desc in self._tap.read(count))

    def look(self, descs: tuple[Desc, ...]) -> tuple[int, ...]:
        """The numbers of frames read before."""
        return tuple(map(self._number, descs))

    def release(self, handles: tuple[int, ...]) -> int:
        return int(self._tap.release(*handles))

    def reserve(self, count: int) -> tuple[Desc, ...]:
        descs: tuple[Desc, ...] = self._tap.reserve(count)
        return descs

    def submit(self, wanted: tuple[tuple[Desc, int], ...]) -> int:
        """Submit; a frame that has a number is written to its buffer first."""
        for desc, number in wanted:
            if number >= 0:
                self._tap.fill(desc, frames.frame(number, desc[3]))
        return int(self._tap.submit(*(desc for desc, _ in wanted)))

    def state(self) -> tuple[dict[str, int], int]:
        """Counters, and what poll() says."""
        return self._tap.stats(), self._tap.poll()

    def close(self) -> None:
        self._tap.close()


class Child:
    """A holder in a process of its own."""

    def __init__(self, *args: Any) -> None:
        self._pipe, far = multiprocessing.Pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                abi.reset()  # the other taps' files and mappings are not ours to keep alive
                self._serve(far, args)
            finally:
                os._exit(1)
        far.close()
        self._answer()

    @staticmethod
    def _serve(pipe: multiprocessing.connection.Connection, args: Any) -> None:
        try:
            holder = Holder(*args)
        except OSError as error:
            pipe.send(error)
            return
        pipe.send(None)
        while True:
            method, values = pipe.recv()
            try:
                pipe.send(getattr(holder, method)(*values))
            except Exception as error:
                pipe.send(error)

    def _answer(self) -> Any:
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __getattr__(self, name: str) -> Any:
        def call(*values: Any) -> Any:
            self._pipe.send((name, values))
            return self._answer()

        return call

    def kill(self) -> None:
        """End the process as it is; return when it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._pipe.close()


class Machine:
    """Taps by their keys."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._taps: dict[int, Any] = {}
        self._port = next(p.id for p in abi.ports() if p.name.decode() == name)
        self._fd = os.open("/dev/ntzc", os.O_RDWR)

    def step(self, offered: tuple[tuple[int, int], ...], *ops: tuple[Any, ...]) -> bytes:
        """Do some things, wait until all is quiet, and tell.

        Args:
            offered: by key, how many frames the tap must have received or lost then.
            ops: (what, key, arguments), in order.

        Returns:
            Pickled: what each came to (or its negative errno), by key the state of each
            tap, and the port's counters.
        """
        results = []
        for op, key, *args in ops:
            try:
                results.append(getattr(self, f"_{op}", self._any(op))(key, *args))
            except OSError as error:
                results.append(-(error.errno or 0))
        deadline = time.monotonic() + QUIET_S
        while True:
            states = {key: tap.state() for key, tap in self._taps.items()}
            port = self._port_stats()
            if self._quiet(dict(offered), states, port) or time.monotonic() > deadline:
                return pickle.dumps((results, states, port))
            time.sleep(0.002)

    @staticmethod
    def _quiet(
        offered: dict[int, int], states: dict[int, tuple[dict[str, int], int]], port: dict[str, int]
    ) -> bool:
        for key, (tap, _) in states.items():
            came = sum(tap[name] for name in ("received", "lost_ring", "lost_quota", "lost_pool"))
            if came < offered.get(key, 0) or tap["tx_in_flight"]:
                return False
        places = ("pool_free", "pool_card", "pool_held", "pool_in_flight")
        return (
            not port["tx_in_flight"]
            and not port["pool_in_flight"]
            and sum(port[name] for name in places) == port["pool_size"]
        )

    def _port_stats(self) -> dict[str, int]:
        st = abi.PortStats(id=self._port)
        fcntl.ioctl(self._fd, abi.PORT_STATS, st)
        names = (name for name, *_ in st._fields_ if name not in ("id", "flags", "reserved"))
        return {name: getattr(st, name) for name in names}

    def _any(self, op: str) -> Any:
        return lambda key, *args: getattr(self._taps[key], op)(*args)

    def _open(self, key: int, killable: bool, *args: int) -> Any:
        self._taps[key] = (Child if killable else Holder)(self._name, *args)
        return self._taps[key].about()

    def _close(self, key: int) -> None:
        tap = self._taps.pop(key)
        tap.close()
        if isinstance(tap, Child):
            tap.kill()

    def _kill(self, key: int) -> None:
        """Kill the tap's process; a tap in this one is closed."""
        tap = self._taps.pop(key)
        if isinstance(tap, Child):
            tap.kill()
        else:
            tap.close()

    def end(self) -> None:
        """Leave nothing."""
        for key in tuple(self._taps):
            self._kill(key)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
