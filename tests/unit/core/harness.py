# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiled core as Python objects: the kernel's stand-in, a card, taps.

After every call the stand-in is asked whether a rule was broken; if so the call raises
:class:`BrokenRuleError`, whatever it returned.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tests.unit.core import build

HANDLE_TX = 0x80000000
HANDLE_INDEX = 0xFFFFF
HANDLE_GEN = 0x7FF00000
HEADROOM = 128
BATCH = 64
VLAN = 0x0001
MIN_FRAME = 14
PAD_FRAME = 60
PAGE = 4096


class BrokenRuleError(AssertionError):
    """The core did what a kernel must not, or a buffer is not where it belongs."""


class Live(NamedTuple):
    """What is allocated."""

    blocks: int
    pages: int
    mappings: int
    doomed: int
    work: int
    ids: int
    pids: int


NOTHING = Live(0, 0, 0, 0, 0, 0, 0)


class Desc(NamedTuple):
    """A frame's descriptor, to or from the core."""

    handle: int
    offset: int = 0
    len: int = 0
    vlan_tci: int = 0
    flags: int = 0
    timestamp: int = 0
    hash: int = 0
    orig_len: int = 0
    queue: int = 0
    hash_type: int = 0


class Sent(NamedTuple):
    """A frame that the card sent."""

    data: bytes
    queue: int
    vlan_tci: int
    flags: int


@dataclass
class Frame:
    """A frame on the wire; ``handle`` is set once a buffer took it."""

    seed: int
    len: int
    hash: int = 0
    vlan_tci: int = 0
    flags: int = 0
    handle: int = -1
    hash_type: int = 1


def errno_of(result: int) -> str:
    """Name of a negative errno."""
    return errno.errorcode[-result] if result < 0 else str(result)


class Core:
    """One build of the core."""

    def __init__(self, module: ModuleType) -> None:
        self.lib: Any = module.lib
        self.ffi: Any = module.ffi
        self.lib.shim_reset()

    def check(self) -> None:
        """Raise if a rule was broken since the reset."""
        error = self.ffi.string(self.lib.shim_error()).decode()
        if error:
            raise BrokenRuleError(error)
        warnings = self.lib.shim_warnings()
        if warnings:
            raise BrokenRuleError(f"{warnings} WARN_ON_ONCE fired")

    def broken(self) -> bool:
        """Return whether a rule was broken since the reset."""
        return bool(self.lib.shim_error()[0] != b"\0")

    def checked(self, result: Any) -> Any:
        """Return the result of a call after which all is well."""
        self.check()
        return result

    def reset(self) -> None:
        """Forget everything, as a fresh boot would."""
        self.lib.shim_reset()

    def fail_nth(self, n: int) -> None:
        """Make the n-th allocation from now on fail."""
        self.lib.shim_fail_nth(n)

    def set_uid(self, uid: int) -> None:
        """Open files as another user from now on."""
        self.lib.shim_set_uid(uid)

    @contextlib.contextmanager
    def killed(self) -> Iterator[None]:
        """Who calls has been killed."""
        self.lib.shim_kill(True)
        try:
            yield
        finally:
            self.lib.shim_kill(False)

    def has_failed(self) -> bool:
        """Return whether it came to that, and fail nothing more."""
        return bool(self.lib.shim_has_failed())

    @contextlib.contextmanager
    def beside(self, act: Callable[[], object]) -> Iterator[list[object]]:
        """Have another act wherever one waits for memory, or finds that it lacks some.

        Gives what came of it.

        Shared locks that are held by who waits would be waited for, so *act* must need none.
        """
        came: list[object] = []
        run = self.ffi.callback("void(void)", lambda: came.append(act()))
        self.lib.shim_beside(run)
        try:
            yield came
        finally:
            self.lib.shim_beside(self.ffi.NULL)

    def limit_order(self, order: int) -> None:
        """Fragment memory: no run of pages is longer than 2**order."""
        self.lib.shim_limit_order(order)

    def settle(self) -> None:
        """Let a grace period pass and all queued work run."""
        self.lib.shim_rcu_barrier()
        self.lib.shim_run_work()
        self.check()

    def live(self) -> Live:
        """Return what is allocated."""
        live = self.ffi.new("struct shim_live *")
        self.lib.shim_get_live(live)
        return self.checked(Live(*(getattr(live, name) for name in Live._fields)))  # type: ignore[no-any-return]

    def frame_bytes(self, length: int, seed: int) -> bytes:
        """Return the bytes of the frame that follows from a seed."""
        data = self.ffi.new("uint8_t[]", max(length, 1))
        self.lib.frame_bytes(data, length, seed)
        return bytes(self.ffi.buffer(data, length))

    def card(self, **config: Any) -> Card:
        """Plug a card in; OSError as the core says."""
        return Card(self, **config)

    def tap(self) -> Tap:
        """Open a file; OSError as the core says."""
        err = self.ffi.new("int *")
        file = self.checked(self.lib.file_open(err))
        raise_errno(err[0])
        return Tap(self, file)


def raise_errno(result: int) -> int:
    """Return a result, or raise the OSError that it is."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


class Card:
    """The card that does not exist, with its driver."""

    def __init__(
        self,
        core: Core,
        *,
        n_queues: int = 1,
        rx_ring: int = 8,
        tx_ring: int = 8,
        n_bufs: int = 0,
        max_mapping: int = 0,
        bounces: bool = False,
        number: int = 0,
    ) -> None:
        self.core = core
        self.name = f"tap{number}".encode()
        self.n_queues = n_queues
        config = core.ffi.new("struct card_config *")
        config.number = number
        config.n_queues = n_queues
        config.rx_ring = rx_ring
        config.tx_ring = tx_ring
        config.n_bufs = n_bufs
        config.max_mapping = max_mapping
        config.bounces = bounces
        err = core.ffi.new("int *")
        self._c = core.checked(core.lib.card_create(config, err))
        raise_errno(err[0])
        self._state = core.ffi.new("struct card_queue_state *")
        self._interrupt: Any = None
        self._interrupt_frames: list[Frame] = []
        self._wire: Any = None

    @contextlib.contextmanager
    def uncounted(self, queue: int, n: int) -> Iterator[None]:
        """Who sends has given the card *n* frames, and is about to count them."""
        self.hide_sent(queue, n)
        yield
        self.hide_sent(queue, -n)

    def __getattr__(self, name: str) -> Any:
        """``card.verb(...)`` is ``card_verb(card, ...)``, checked."""
        function = getattr(self.core.lib, f"card_{name}")
        return lambda *args: self.core.checked(function(self._c, *args))

    def free(self) -> None:
        """Forget the card itself, once nothing of the core refers to it."""
        self.core.lib.card_free(self._c)
        self._c = self.core.ffi.NULL

    def _frames(self, frames: list[Frame]) -> Any:
        array = self.core.ffi.new("struct card_frame[]", max(len(frames), 1))
        for slot, frame in zip(array, frames, strict=False):
            slot.seed = frame.seed
            slot.len = frame.len
            slot.hash = frame.hash
            slot.vlan_tci = frame.vlan_tci
            slot.flags = frame.flags
            slot.hash_type = frame.hash_type
        return array

    def receive(self, queue: int, frames: list[Frame]) -> list[Frame]:
        """Frames arrive; return those that found a buffer."""
        array = self._frames(frames)
        n = self.core.lib.card_receive(self._c, queue, array, len(frames))
        for frame, slot in zip(frames[:n], array, strict=False):
            frame.handle = slot.handle
        self.core.check()
        return frames[:n]

    def arm(self, unlocks: int, queue: int, complete: int, frames: list[Frame]) -> None:
        """Interrupt the next call when it has released that many spinlocks."""
        self._interrupt = self._frames(frames)
        self._interrupt_frames = frames
        self.core.lib.card_interrupt(
            self._c, unlocks, queue, complete, self._interrupt, len(frames)
        )

    def disarm(self) -> tuple[list[Frame], int] | None:
        """Return what the interrupt received, and how many transmits it ended, if it came."""
        received = self.core.ffi.new("uint32_t *")
        completed = self.core.ffi.new("uint32_t *")
        came = self.core.lib.card_interrupted(self._c, received, completed)
        frames = self._interrupt_frames[: received[0]]
        for frame, slot in zip(frames, self._interrupt or [], strict=False):
            frame.handle = slot.handle
        self._interrupt_frames = []
        return (frames, completed[0]) if came else None

    def wire(self, queue: int, frames: list[Frame]) -> None:
        """Frames arrive, and wait until a program polls."""
        self._wire = self._frames(frames)
        self.core.lib.card_wire(self._c, queue, self._wire, len(frames))

    def sent(self) -> list[Sent]:
        """Return what the card sent since the last call."""
        info = self.core.ffi.new("struct card_sent *")
        data = self.core.ffi.new("uint8_t[16384]")
        out = []
        while (n := self.core.lib.card_pop_sent(self._c, info, data, 16384)) >= 0:
            out.append(
                Sent(bytes(self.core.ffi.buffer(data, n)), info.queue, info.vlan_tci, info.flags)
            )
        return out

    def queue(self, index: int) -> Any:
        """Return the state of one queue."""
        self.core.lib.card_queue_state(self._c, index, self._state)
        return self._state

    def stats(self) -> Any:
        """Return the port's counters."""
        stats = self.core.ffi.new("struct ntzc_port_stats *")
        self.core.lib.card_get_stats(self._c, stats)
        return self.core.checked(stats)

    def policy(self, **fields: int) -> Any:
        """PORT_POLICY; the policy in use, OSError as the core says."""
        tap = self.core.tap()
        policy = self.core.ffi.new("struct ntzc_port_policy *")
        policy.id = self.info().id
        names = ["stack", "quota", "quota_max"]
        policy.set = sum(1 << names.index(name) for name in fields)
        for name, value in fields.items():
            setattr(policy, name, value)
        err = tap.ioctl("PORT_POLICY", policy)
        tap.close()
        raise_errno(err)
        return policy

    def info(self) -> Any:
        """Return the port's description."""
        info = self.core.ffi.new("struct ntzc_port_info *")
        self.core.lib.card_get_info(self._c, info)
        return self.core.checked(info)


class Tap:
    """One open file: a program's system calls, and what only the kernel knows of it."""

    def __init__(self, core: Core, file: Any) -> None:
        self.core = core
        self._f = file
        self._t = core.lib.file_tap(file)
        self._handles = core.ffi.new("uint32_t[]", 65536)
        self.got: Any = None  # what ATTACH said
        self.tx: Any = None  # what TX_SETUP said

    # ---- system calls ----

    def ioctl(self, name: str, arg: Any = None) -> int:
        """Return what the command does, or a negative errno."""
        null = self.core.ffi.NULL
        command = getattr(self.core.lib, f"NTZC_IOC_{name}")
        done = self.core.lib.file_ioctl(self._f, command, null if arg is None else arg)
        return self.core.checked(done)  # type: ignore[no-any-return]

    def _filled(self, kind: str, fields: dict[str, Any]) -> Any:
        arg = self.core.ffi.new(f"struct {kind} *")
        for field, value in fields.items():
            setattr(arg, field, value)
        return arg

    def info(self, number: int) -> Any:
        """TAP_INFO of the port's tap of that number, or the next; OSError as the core says."""
        arg = self._filled("ntzc_tap_info", {"tap_id": number})
        raise_errno(self.ioctl("TAP_INFO", arg))
        return arg

    def attach(self, **fields: Any) -> Any:
        """ATTACH; OSError as the core says."""
        arg = self._filled("ntzc_attach", {"name": b"tap0"} | fields)
        raise_errno(self.ioctl("ATTACH", arg))
        self.got = arg
        return arg

    def close(self) -> None:
        """Close the last file, as exit and SIGKILL do."""
        self.core.lib.file_close(self._f)
        self._f = self._t = self.core.ffi.NULL
        self.core.check()

    def read_some(self, n: int, *, missing: int | None = None) -> int | list[Desc]:
        """Take descriptors; or a negative errno. From byte ``missing`` on, memory is not there."""
        size = self.core.ffi.sizeof("struct ntzc_desc")
        array = self.core.ffi.new("struct ntzc_desc[]", max(n, 1))
        self._fault_at(array, missing)
        got = self.core.checked(self.core.lib.file_read(self._f, array, n * size))
        self._fault_at(array, None)
        if got < 0:
            return int(got)
        assert got % size == 0
        return [self._desc(d) for d in array[0 : got // size]]

    def read(self, n: int) -> list[Desc]:
        """Take descriptors; none if none waits. Other errors are OSError."""
        got = self.read_some(n)
        if isinstance(got, list):
            return got
        if got != -errno.EAGAIN:
            raise_errno(got)
        return []

    def release(self, handles: list[int], *, missing: int | None = None) -> int:
        """Give back by write(); how many, or a negative errno."""
        array = self.core.ffi.new("uint32_t[]", handles)
        self._fault_at(array, missing)
        done = self.core.checked(self.core.lib.file_write(self._f, array, 4 * len(handles)))
        self._fault_at(array, None)
        return int(done) // 4 if done > 0 else int(done)

    def poll(self, wants: int = 0, waits: bool = True) -> int:
        """Return what poll() says, on its way to sleep or, if it *waits* not, at a last look."""
        return int(self.core.checked(self.core.lib.file_poll(self._f, wants, waits)))

    def kick(self) -> int:
        """KICK; 0 or a negative errno."""
        return self.ioctl("KICK")

    def set_blocking(self, blocking: bool) -> None:
        """Change O_NONBLOCK; who would sleep is woken by a signal."""
        self.core.lib.file_set_blocking(self._f, blocking)

    def mmap(self, offset: int, length: int, flags: int) -> tuple[int, int]:
        """Map; 0 or a negative errno, and the flags that the mapping got."""
        out = self.core.ffi.new("uint64_t *")
        err = self.core.checked(self.core.lib.file_mmap(self._f, offset, length, flags, out))
        return err, out[0]

    def tx_setup(self, **fields: int) -> Any:
        """TX_SETUP; OSError as the core says."""
        arg = self._filled("ntzc_tx_setup", fields)
        raise_errno(self.ioctl("TX_SETUP", arg))
        self.tx = arg
        return arg

    def target(self, name: bytes, **fields: Any) -> int:
        """TX_TARGET; the target's number, OSError as the core says."""
        arg = self._filled("ntzc_tx_target", {"name": name} | fields)
        raise_errno(self.ioctl("TX_TARGET", arg))
        return int(arg.target)

    def filter(self, program: list[tuple[int, int, int, int]] | None, **fields: int) -> int:
        """FILTER with a classic program, or none; 0 or a negative errno."""
        fields = {"kind": 0 if program is None else 1, "len": len(program or [])} | fields
        insns = self.core.ffi.new("struct sock_filter[]", program or [])
        arg = self._filled("ntzc_filter", fields)
        if program is not None:
            arg.insns = int(self.core.ffi.cast("uintptr_t", insns))
        return self.ioctl("FILTER", arg)

    def _batch(self, command: str, array: Any, count: int) -> int:
        arg = self.core.ffi.new("struct ntzc_tx_batch *")
        arg.descs = int(self.core.ffi.cast("uintptr_t", array))
        arg.count = count
        return self.ioctl(command, arg)

    def reserve_some(self, n: int, *, missing: int | None = None) -> int | list[Desc]:
        """Take free transmit buffers, or a negative errno."""
        array = self.core.ffi.new("struct ntzc_desc[]", n)
        self._fault_at(array, missing)
        got = self._batch("TX_RESERVE", array, n)
        self._fault_at(array, None)
        return got if got < 0 else [self._desc(d) for d in array[0:got]]

    def reserve(self, n: int) -> list[Desc]:
        """Take free transmit buffers; none if none is free. Other errors are OSError."""
        got = self.reserve_some(n)
        if isinstance(got, list):
            return got
        if got != -errno.ENOBUFS:
            raise_errno(got)
        return []

    def submit(self, descs: list[Desc], *, missing: int | None = None) -> int:
        """Send; how many were accepted, or a negative errno."""
        array = self.core.ffi.new("struct ntzc_desc[]", len(descs))
        for slot, desc in zip(array, descs, strict=True):
            self._fill(slot, desc)
        self._fault_at(array, missing)
        done = self._batch("TX_SUBMIT", array, len(descs))
        self._fault_at(array, None)
        return done

    def stats(self) -> Any:
        """Return the tap's counters."""
        stats = self.core.ffi.new("struct ntzc_tap_stats *")
        raise_errno(self.ioctl("TAP_STATS", stats))
        return stats

    def counters(self) -> Any:
        """Return the same as they stand: without a look at the release rings."""
        stats = self.core.ffi.new("struct ntzc_tap_stats *")
        self.core.lib.ntzc_tap_get_stats(self._t, stats)
        return self.core.checked(stats)

    # ---- rings ----

    def rx_rings(self, queue: int) -> RxRings:
        """Map the rings of a queue; OSError as the core says."""
        return RxRings(self, queue)

    def tx_rings(self) -> TxRings:
        """Map the transmit rings; OSError as the core says."""
        return TxRings(self)

    def map_rings(self, offset: int, length: int) -> Any:
        """Map rings whole; OSError(EINVAL) if they cannot be."""
        start = self.core.checked(self.core.lib.file_map_rings(self._f, offset, length))
        if not start:
            raise OSError(errno.EINVAL, "rings")
        return self.core.ffi.cast("char *", start)

    # ---- small things ----

    def _fault_at(self, array: Any, missing: int | None) -> None:
        ffi = self.core.ffi
        start = ffi.NULL if missing is None else ffi.cast("char *", array) + missing
        self.core.lib.shim_fault_at(start, 1 << 20)

    @staticmethod
    def _desc(d: Any) -> Desc:
        return Desc(*(getattr(d, field) for field in Desc._fields))

    @staticmethod
    def _fill(slot: Any, desc: Desc) -> None:
        for field, value in desc._asdict().items():
            setattr(slot, field, value)

    # ---- what the kernel knows ----

    def queue(self, index: int) -> Any | None:
        """Return the state of the tap's channel for a queue, if it has one."""
        state = self.core.ffi.new("struct tap_queue_state *")
        return state if self.core.lib.tap_queue_state(self._t, index, state) else None

    def door(self) -> Any | None:
        """Return the kernel's side of the transmit rings, if the tap has them."""
        state = self.core.ffi.new("struct tap_door_state *")
        return state if self.core.lib.tap_door_state(self._t, state) else None

    @contextlib.contextmanager
    def untold(self, queue: int, n: int) -> Iterator[None]:
        """The core has put *n* frames into a queue's ring, and is about to say so."""
        self.core.lib.tap_hide_received(self._t, queue, n)
        yield
        self.core.lib.tap_hide_received(self._t, queue, -n)

    def marks(self, *, tx: bool = False) -> set[int]:
        """Return handles of all that the core says the tap holds."""
        n = self.core.lib.tap_marks(self._t, tx, self._handles, 65536)
        return set(self._handles[0:n])

    def readable(self) -> bool:
        """Return whether a frame waits; unlike poll() without a look at the release rings."""
        return bool(self.core.checked(self.core.lib.ntzc_tap_readable(self._t)))

    def can_send(self) -> bool:
        """Return whether poll() says POLLOUT."""
        return bool(self.poll() & select.EPOLLOUT)

    def sleep(self) -> None:
        """Have a reader wait."""
        self.core.lib.tap_sleep(self._t)

    def woken(self) -> bool:
        """Return whether it was woken since."""
        return bool(self.core.lib.tap_woken(self._t))

    def sleep_tx(self) -> None:
        """Have somebody wait for room to send."""
        self.core.lib.tap_sleep_tx(self._t)

    def woken_tx(self) -> bool:
        """Return whether it was woken since."""
        return bool(self.core.lib.tap_woken_tx(self._t))

    def sleep_drain(self) -> None:
        """Have somebody wait for the card to be done with the tap's own buffers."""
        self.core.lib.tap_sleep_drain(self._t)

    def woken_drain(self) -> bool:
        """Return whether it was woken since."""
        return bool(self.core.lib.tap_woken_drain(self._t))

    def peek(self, offset: int, length: int, *, tx: bool = False) -> bytes | None:
        """Read through the mapping; None for a bus error."""
        data = self.core.ffi.new("uint8_t[]", max(length, 1))
        if not self.core.checked(self.core.lib.file_peek(self._f, tx, offset, data, length)):
            return None
        return bytes(self.core.ffi.buffer(data, length))

    def poke(self, offset: int, data: bytes) -> bool:
        """Write through the mapping of transmit memory; False for a bus error."""
        done = self.core.lib.file_poke(self._f, offset, data, len(data))
        return bool(self.core.checked(done))

    def drained(self) -> bool:
        """Return whether the card has dealt with the tap's own buffers."""
        return self.ioctl("TX_DRAIN") == 0


RX_RINGS, RX_RINGS_STEP, TX_RINGS = 0x2000000000, 0x1000000, 0x3000000000
RING_ENTRIES = 4096
NEED_WAKEUP = 1
MASK32 = 0xFFFFFFFF


class RxRings:
    """A program's view of one queue's rings."""

    def __init__(self, tap: Tap, queue: int) -> None:
        ffi, got = tap.core.ffi, tap.got
        start = tap.map_rings(RX_RINGS + queue * RX_RINGS_STEP, got.rings_bytes)
        head = ffi.cast("struct ntzc_rx_rings *", start)
        self.rx, self.back = head.rx, head.release
        self.descs = ffi.cast("struct ntzc_desc *", start + RING_ENTRIES)
        self.handles = ffi.cast("uint32_t *", start + got.release_offset)
        self.size, self.release_size = got.ring_size, got.release_size
        self._keep = start

    def take(self, n: int) -> list[Desc]:
        """Take descriptors out, as a program does that polls the ring."""
        n = min(n, (self.rx.prod - self.rx.cons) & MASK32)
        cons = self.rx.cons
        out = [Tap._desc(self.descs[(cons + i) % self.size]) for i in range(n)]
        self.rx.cons = (cons + n) & MASK32
        return out

    def release(self, handles: list[int]) -> bool:
        """Put handles in; return whether the kernel wants a KICK."""
        prod = self.back.prod
        for i, handle in enumerate(handles):
            self.handles[(prod + i) % self.release_size] = handle
        self.back.prod = (prod + len(handles)) & MASK32
        return self.asks()

    def asks(self) -> bool:
        """Return whether the kernel wants a KICK."""
        return bool(self.back.flags & NEED_WAKEUP)

    def room(self) -> int:
        """Handles that the release ring takes before the kernel has looked at it."""
        return int(self.release_size - ((self.back.prod - self.back.cons) & MASK32))


class TxRings:
    """A program's view of its transmit rings."""

    def __init__(self, tap: Tap) -> None:
        ffi, got = tap.core.ffi, tap.tx
        start = tap.map_rings(TX_RINGS, got.rings_bytes)
        head = ffi.cast("struct ntzc_tx_rings *", start)
        self.tx, self.free = head.tx, head.free
        self.descs = ffi.cast("struct ntzc_desc *", start + RING_ENTRIES)
        self.bufs = ffi.cast("struct ntzc_tx_buf *", start + got.free_offset)
        self.size, self.room_bytes = got.ring_size, got.buf_size - got.headroom
        self._keep = start

    def take(self, n: int) -> list[Desc]:
        """Take free buffers, as TX_RESERVE would give them."""
        n = min(n, (self.free.prod - self.free.cons) & MASK32)
        bufs = [self.bufs[(self.free.cons + i) % self.size] for i in range(n)]
        out = [Desc(buf.handle, buf.offset, self.room_bytes) for buf in bufs]
        self.free.cons = (self.free.cons + n) & MASK32
        return out

    def send(self, descs: list[Desc]) -> bool:
        """Put descriptors in; return whether the kernel wants a KICK."""
        prod = self.tx.prod
        for i, desc in enumerate(descs):
            Tap._fill(self.descs[(prod + i) % self.size], desc)
        self.tx.prod = (prod + len(descs)) & MASK32
        return self.asks()

    def asks(self) -> bool:
        """Return whether the kernel wants a KICK."""
        return bool(self.tx.flags & NEED_WAKEUP)

    def pending(self) -> int:
        """Return entries that the kernel has not taken out."""
        return int((self.tx.prod - self.tx.cons) & MASK32)


_cores: dict[str, Core] = {}


def core() -> Core:
    """Return the core of this process, reset: built as the environment says, once.

    ``NTZC_UNIT_SANITIZE=1`` builds it with sanitizers; ``NTZC_UNIT_EXTENSION`` names one that
    is built already (a mutant).
    """
    if "core" not in _cores:
        given = os.environ.get("NTZC_UNIT_EXTENSION")
        path = given or build.build(sanitize=os.environ.get("NTZC_UNIT_SANITIZE") == "1")
        _cores["core"] = Core(build.load(Path(path)))
    _cores["core"].reset()
    return _cores["core"]
