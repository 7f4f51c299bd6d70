# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiled core as Python objects: the kernel's stand-in, a card, taps.

After every call the stand-in is asked whether a rule was broken; if so the call raises
:class:`BrokenRuleError`, whatever it returned.
"""

from __future__ import annotations

import errno
import os
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


NOTHING = Live(0, 0, 0, 0, 0)


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

    def has_failed(self) -> bool:
        """Return whether it came to that, and fail nothing more."""
        return bool(self.lib.shim_has_failed())

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
        return self.checked(Live(live.blocks, live.pages, live.mappings, live.doomed, live.work))  # type: ignore[no-any-return]

    def frame_bytes(self, length: int, seed: int) -> bytes:
        """Return the bytes of the frame that follows from a seed."""
        data = self.ffi.new("uint8_t[]", max(length, 1))
        self.lib.frame_bytes(data, length, seed)
        return bytes(self.ffi.buffer(data, length))

    def card(self, **config: Any) -> Card:
        """Plug a card in; OSError as the core says."""
        return Card(self, **config)

    def tap(self) -> Tap:
        """Open a file; OSError(ENOMEM) without memory."""
        pointer = self.checked(self.lib.ntzc_tap_create())
        if not pointer:
            raise OSError(errno.ENOMEM, "tap")
        return Tap(self, pointer)


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
    ) -> None:
        self.core = core
        self.n_queues = n_queues
        config = core.ffi.new("struct card_config *")
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

    def disarm(self) -> tuple[list[Frame], int]:
        """Return what the interrupt received, and how many transmits ended meanwhile."""
        received = self.core.ffi.new("uint32_t *")
        completed = self.core.ffi.new("uint32_t *")
        self.core.lib.card_interrupted(self._c, received, completed)
        frames = self._interrupt_frames[: received[0]]
        for frame, slot in zip(frames, self._interrupt or [], strict=False):
            frame.handle = slot.handle
        self._interrupt_frames = []
        return frames, completed[0]

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

    def info(self) -> Any:
        """Return the port's description."""
        info = self.core.ffi.new("struct ntzc_port_info *")
        self.core.lib.card_get_info(self._c, info)
        return self.core.checked(info)


class Tap:
    """One open file."""

    def __init__(self, core: Core, pointer: Any) -> None:
        self.core = core
        self._t = pointer
        self._handles = core.ffi.new("uint32_t[]", 65536)

    def attach(
        self,
        *,
        queues: int = 0,
        ring_size: int = 0,
        quota: int = 0,
        name: bytes = b"tap0",
        flags: int = 0,
        desc_size: int = 0,
        ifindex: int = 0,
    ) -> Any:
        """ATTACH; OSError as the core says."""
        arg = self.core.ffi.new("struct ntzc_attach *")
        arg.name = name
        arg.ifindex = ifindex
        arg.queues = queues
        arg.ring_size = ring_size
        arg.quota = quota
        arg.flags = flags
        arg.desc_size = desc_size
        raise_errno(self.core.checked(self.core.lib.tap_attach(self._t, arg)))
        return arg

    def close(self) -> None:
        """Close the last file, as exit and SIGKILL do."""
        self.core.lib.ntzc_tap_destroy(self._t)
        self._t = self.core.ffi.NULL
        self.core.check()

    def read(self, n: int) -> list[Desc]:
        """Take descriptors from the rings."""
        array = self.core.ffi.new("struct ntzc_desc[]", max(n, 1))
        got = self.core.checked(self.core.lib.tap_read(self._t, array, n))
        return [Desc(*(getattr(d, field) for field in Desc._fields)) for d in array[0:got]]

    def release(self, handles: list[int]) -> int:
        """Give back; how many, or a negative errno."""
        array = self.core.ffi.new("uint32_t[]", handles)
        done = self.core.lib.ntzc_tap_release(self._t, array, len(handles))
        return self.core.checked(done)  # type: ignore[no-any-return]

    def stats(self) -> Any:
        """Return the tap's counters."""
        stats = self.core.ffi.new("struct ntzc_tap_stats *")
        self.core.lib.ntzc_tap_get_stats(self._t, stats)
        return self.core.checked(stats)

    def queue(self, index: int) -> Any | None:
        """Return the state of the tap's ring for a queue, if it has one."""
        state = self.core.ffi.new("struct tap_queue_state *")
        return state if self.core.lib.tap_queue_state(self._t, index, state) else None

    def marks(self, *, tx: bool = False) -> set[int]:
        """Return handles of all that the core says the tap holds."""
        n = self.core.lib.tap_marks(self._t, tx, self._handles, 65536)
        return set(self._handles[0:n])

    def readable(self) -> bool:
        """Return whether poll() would say so."""
        return bool(self.core.checked(self.core.lib.ntzc_tap_readable(self._t)))

    def sleep(self) -> None:
        """Have a reader wait."""
        self.core.lib.tap_sleep(self._t)

    def woken(self) -> bool:
        """Return whether it was woken since."""
        return bool(self.core.lib.tap_woken(self._t))

    def peek(self, offset: int, length: int, *, tx: bool = False) -> bytes | None:
        """Read through the mapping; None for a bus error."""
        data = self.core.ffi.new("uint8_t[]", max(length, 1))
        if not self.core.checked(self.core.lib.tap_peek(self._t, tx, offset, data, length)):
            return None
        return bytes(self.core.ffi.buffer(data, length))

    def poke(self, offset: int, data: bytes) -> bool:
        """Write through the mapping of transmit memory; False for a bus error."""
        done = self.core.lib.tap_poke(self._t, offset, data, len(data))
        return bool(self.core.checked(done))

    def mmap(self, offset: int, length: int, flags: int) -> tuple[int, int]:
        """Map; 0 or a negative errno, and the flags that the mapping got."""
        out = self.core.ffi.new("uint64_t *")
        err = self.core.checked(self.core.lib.tap_mmap(self._t, offset, length, flags, out))
        return err, out[0]

    def tx_setup(self, *, n_bufs: int = 0, buf_size: int = 0) -> Any:
        """TX_SETUP; OSError as the core says."""
        arg = self.core.ffi.new("struct ntzc_tx_setup *")
        arg.n_bufs = n_bufs
        arg.buf_size = buf_size
        raise_errno(self.core.checked(self.core.lib.ntzc_tx_setup(self._t, arg)))
        return arg

    def reserve(self, n: int) -> list[Desc]:
        """Take free transmit buffers."""
        array = self.core.ffi.new("struct ntzc_desc[]", n)
        got = self.core.checked(self.core.lib.ntzc_tx_reserve(self._t, array, n))
        return [Desc(*(getattr(d, field) for field in Desc._fields)) for d in array[0:got]]

    def _array(self, descs: list[Desc]) -> Any:
        array = self.core.ffi.new("struct ntzc_desc[]", len(descs))
        for slot, desc in zip(array, descs, strict=True):
            for field, value in desc._asdict().items():
                setattr(slot, field, value)
        return array

    def unreserve(self, descs: list[Desc]) -> None:
        """Take back reserved buffers that the program was never told of."""
        self.core.lib.ntzc_tx_unreserve(self._t, self._array(descs), len(descs))
        self.core.check()

    def submit(self, descs: list[Desc]) -> int:
        """Send; how many were accepted, or a negative errno."""
        done = self.core.lib.ntzc_tx_submit(self._t, self._array(descs), len(descs))
        return self.core.checked(done)  # type: ignore[no-any-return]

    def drained(self) -> bool:
        """Return whether the card has dealt with the tap's own buffers."""
        return bool(self.core.lib.ntzc_tx_drained(self._t))

    def can_reserve(self) -> bool:
        """Return whether poll() would say POLLOUT."""
        return bool(self.core.lib.ntzc_tx_can_reserve(self._t))


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
