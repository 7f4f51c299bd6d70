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
from dataclasses import dataclass
from typing import Any

import abi
import frames
import rings

from emulation.pace import patience

CAME = ("received", "filtered", "lost_ring", "lost_quota", "lost_pool")
PLACES = ("pool_free", "pool_card", "pool_held", "pool_in_flight")
IP = b"\x08\x00"
LOOK_S = 1
Desc = tuple[int, ...]


@dataclass
class State:
    """What a tap says of itself.

    Attributes:
        stats: its counters.
        poll: what poll() gave.
        fresh: handle and offset of transmit buffers that came through its ring since last time.
        asks: whether its transmit ring asks for a KICK, if there is one.
        has_tx_rings: whether there is.
    """

    stats: dict[str, int]
    poll: int
    fresh: tuple[tuple[int, int], ...]
    asks: bool
    has_tx_rings: bool


class Holder:
    """A tap that finds the fault in what it reads by itself.

    Args:
        name: of the interface.
        options: of ATTACH, as pairs.
        program: of its filter, or none.
        tx_bufs: transmit buffers, or 0.
        tx_flags: of TX_SETUP.
    """

    def __init__(
        self,
        name: str,
        options: tuple[tuple[str, int], ...],
        program: bytes,
        tx_bufs: int,
        tx_flags: int,
    ) -> None:
        self._tap = abi.Tap()
        self._rx: list[rings.RxRings] = []
        self._tx: rings.TxRings | None = None
        self._true_cons = self._seen = 0
        self._fresh: tuple[tuple[int, int], ...] = ()
        try:
            self.filter(program)
            self._tap.attach(name, **dict(options)).map()
            if tx_bufs:
                self._tap.setup_tx(tx_bufs, flags=tx_flags)
            if tx_bufs and tx_flags:
                self._tx = rings.TxRings(self._tap)
            queues = self._tap.field("queues")
            self._rx = [rings.RxRings(self._tap, n) for n in range(64) if queues >> n & 1]
        except Exception:
            self.close()
            raise

    def about(self) -> dict[str, int]:
        """What is in use."""
        tap = self._tap
        names = ("ring_size", "quota", "release_size")
        about = {name: tap.field(name) for name in names}
        about["n_queues"] = len(self._rx)
        about["tx_bufs"] = tap.tx_setup_out.n_bufs if tap.tx_setup_out else 0
        return about

    def _number(self, desc: Desc) -> int:
        """Which frame lies there, or -1 if not every byte is as it was sent."""
        data = self._tap.data(desc)
        if data[12:14] == IP:
            return int(frames.flow_of(data)[1])
        return frames.number(data) if len(data) > 21 and frames.is_intact(data) else -1

    def filter(self, program: bytes) -> None:
        if program:
            self._tap.filter_classic(program)
        else:
            self._tap.filter_none()

    # ---- what comes in ----

    def read(self, count: int) -> tuple[tuple[Desc, int], ...]:
        """Descriptors, and the number of the frame that each names."""
        return tuple((desc, self._number(desc)) for desc in self._tap.read(count))

    def take(self, count: int) -> tuple[tuple[Desc, int], ...]:
        """As :meth:`read`, from the ring."""
        return tuple((desc, self._number(desc)) for desc in self._rx[0].take(count))

    def look(self, descs: tuple[Desc, ...]) -> tuple[int, ...]:
        """The numbers of frames read before."""
        return tuple(map(self._number, descs))

    def release(self, handles: tuple[int, ...]) -> int:
        return int(self._tap.release(*handles))

    def put(self, handles: tuple[int, ...], queue: int = 0) -> None:
        """Into a release ring; nobody is told."""
        self._seen = self._rx[0].rx.prod
        self._rx[queue].put(handles)

    def come(self, count: int) -> None:
        """Wait until *count* frames have come since :meth:`put`, without a call that looks at
        the release ring. If they do not come, the counters will say why.
        """
        deadline = time.monotonic() + patience(LOOK_S)
        while self._rx[0].rx.prod - self._seen & 0xFFFFFFFF < count:
            if time.monotonic() > deadline:
                return
            time.sleep(0.001)

    def kick(self) -> None:
        fcntl.ioctl(self._tap.fd, abi.KICK)

    # ---- what goes out ----

    def reserve(self, count: int) -> tuple[Desc, ...]:
        descs: tuple[Desc, ...] = self._tap.reserve(count)
        return descs

    def _fill(self, wanted: tuple[tuple[Desc, int, int], ...]) -> tuple[Desc, ...]:
        """A frame that has a number is written to its buffer: number, length."""
        for desc, number, len_bytes in wanted:
            if number >= 0:
                self._tap.fill(desc, frames.frame(number, len_bytes))
        return tuple(desc for desc, _, _ in wanted)

    def submit(self, wanted: tuple[tuple[Desc, int, int], ...]) -> int:
        return int(self._tap.submit(*self._fill(wanted)))

    def queue(self, wanted: tuple[tuple[Desc, int, int], ...]) -> None:
        """Send through the ring."""
        assert self._tx
        self._tx.put(self._fill(wanted))
        if self._tx.tx.asks():
            self.kick()

    # ---- a program gone mad ----

    def spoil(self, what: str, by: int) -> None:
        """Move an index by so many entries from where it belongs."""
        rx = self._rx[0].rx
        if what == "release.prod":
            self._rx[0].release.prod = self._rx[0].release.cons + by
        elif what == "tx.prod":
            assert self._tx
            self._tx.tx.prod = self._tx.tx.cons + by
            self.kick()
        elif what == "others":
            # those are the kernel's: it keeps its own, and programs are told the truth later
            true = rx.prod, self._rx[0].release.cons
            rx.prod, self._rx[0].release.cons = true[0] + by, true[1] + by
            try:
                self.kick()
            finally:
                rx.prod, self._rx[0].release.cons = true
        elif what == "rx.cons":
            rx.cons += by
        else:
            self._true_cons = rx.cons
            rx.cons = rx.prod + by

    def mend(self) -> None:
        """Undo what was done to the index of what was read."""
        self._rx[0].rx.cons = self._true_cons

    def state(self) -> State:
        if self._tx:
            # before the counters: what is complete here is so in them
            self._fresh += self._tx.fetch()
        asks = self._tx.tx.asks() if self._tx else False
        return State(self._tap.stats(), self._tap.poll(), self._fresh, asks, bool(self._tx))

    def seen(self) -> None:
        """What :meth:`state` told is known."""
        self._fresh = ()

    def close(self) -> None:
        for mapped in (*self._rx, self._tx):
            if mapped:
                mapped.close()
        self._rx, self._tx = [], None
        self._tap.close()


class Child:
    """A holder in a process of its own."""

    def __init__(self, *args: Any) -> None:
        self._pipe, far = multiprocessing.Pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                # the other taps' files and mappings are not ours to keep alive
                rings.reset()
                abi.reset()
                self._serve(far, args)
            finally:
                os._exit(1)
        far.close()
        try:
            self._answer()
        except OSError:
            self.kill()
            raise

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

    def do(self, *ops: tuple[Any, ...]) -> list[Any]:
        """Do some things: (what, key, arguments), in order.

        Returns:
            What each came to, or its negative errno.
        """
        results = []
        for op, key, *args in ops:
            try:
                results.append(getattr(self, f"_{op}", self._any(op))(key, *args))
            except OSError as error:
                results.append(-(error.errno or 0))
        return results

    def step(
        self,
        due: tuple[tuple[int, int, int], ...],
        total: int,
        patience_s: float,
        *ops: tuple[Any, ...],
    ) -> bytes:
        """Do some things, wait until all is quiet, and tell.

        Args:
            due: taps, how many frames each must have dealt with then, at least, and how many
                transmit buffers must have come through its ring.
            total: how many frames all of those must have dealt with.
            patience_s: how long to wait for that.
            ops: as :meth:`do` takes them.

        Returns:
            Pickled: what :meth:`do` gave, by key the state of each tap, the port's counters,
            and whether all is quiet.
        """
        results = self.do(*ops)
        deadline = time.monotonic() + patience(patience_s)
        while True:
            states = {key: tap.state() for key, tap in self._taps.items()}
            port = self._port_stats()
            quiet = self._quiet(due, total, states, port)
            if quiet or time.monotonic() > deadline:
                break
            time.sleep(0.002)
        for tap in self._taps.values():
            tap.seen()
        return pickle.dumps((results, {k: vars(s) for k, s in states.items()}, port, quiet))

    @staticmethod
    def _quiet(
        due: tuple[tuple[int, int, int], ...],
        total: int,
        states: dict[int, State],
        port: dict[str, int],
    ) -> bool:
        came = {key: sum(state.stats[name] for name in CAME) for key, state in states.items()}
        return (
            all(came[key] >= least for key, least, _ in due)
            and all(len(states[key].fresh) >= least for key, _, least in due)
            and sum(came[key] for key, _, _ in due) >= total
            and not any(state.stats["tx_in_flight"] for state in states.values())
            # a ring asks again a moment after the last frame was counted as sent
            and all(state.asks == state.has_tx_rings for state in states.values())
            and not port["tx_in_flight"]
            and not port["pool_in_flight"]
            and sum(port[name] for name in PLACES) == port["pool_size"]
        )

    def _port_stats(self, _key: int = 0) -> dict[str, int]:
        st = abi.PortStats(id=self._port)
        fcntl.ioctl(self._fd, abi.PORT_STATS, st)
        names = (name for name, *_ in st._fields_ if name not in ("id", "flags", "reserved"))
        return {name: getattr(st, name) for name in names}

    def _policy(self, _key: int, quota: int, quota_max: int) -> None:
        abi.policy(self._name, quota=quota, quota_max=quota_max)

    def _any(self, op: str) -> Any:
        return lambda key, *args: getattr(self._taps[key], op)(*args)

    def _open(self, key: int, killable: bool, *args: Any) -> Any:
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
            self._policy(0, 0, 0)
            os.close(self._fd)
            self._fd = -1
