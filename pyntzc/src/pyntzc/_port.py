# SPDX-License-Identifier: GPL-2.0-or-later
"""The cards: :class:`Device` is an open /dev/ntzc, :class:`Port` is one card as it was then."""

from __future__ import annotations

import enum
import errno
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from os import PathLike, fsdecode, fsencode
from types import TracebackType
from typing import Any, NamedTuple, Self

from pyntzc._errors import ClosedError, os_error
from pyntzc._libntzc import ffi, lib
from pyntzc._stats import TapInfo, tap_info


class PortFlag(enum.IntFlag):
    """The state of a card's interface."""

    UP = lib.NTZC_PORT_UP
    """It is up."""
    CARRIER = lib.NTZC_PORT_CARRIER
    """It has a link."""


class Feature(enum.IntFlag):
    """What the kernel's module can do."""

    RX = lib.NTZC_FEATURE_RX
    TX = lib.NTZC_FEATURE_TX
    FORWARD = lib.NTZC_FEATURE_FORWARD
    RINGS = lib.NTZC_FEATURE_RINGS
    FILTER = lib.NTZC_FEATURE_FILTER
    FANOUT = lib.NTZC_FEATURE_FANOUT
    TARGETS = lib.NTZC_FEATURE_TARGETS
    STACK = lib.NTZC_FEATURE_STACK
    BUSY_POLL = lib.NTZC_FEATURE_BUSY_POLL


class PortStats(NamedTuple):
    """A card's counters since its driver took it, and where its receive buffers are now.

    ``pool_free + pool_card + pool_held + pool_in_flight`` is ``pool_size`` whenever no
    frame is on its way through the driver.
    """

    pool_size: int
    """Receive buffers in all; 0 while there is no pool."""
    pool_free: int
    """Of those, free."""
    pool_card: int
    """Of those, given to the card."""
    pool_held: int
    """Of those, held by one tap or more."""
    pool_in_flight: int
    """Of those, being sent and held by no tap."""
    rx_frames: int
    """Frames that the driver took from the card."""
    rx_bytes: int
    """Their bytes."""
    rx_unclaimed: int
    """Of those, frames that no tap took."""
    rx_no_buffer: int
    """Times that the pool could not refill the card's ring in full."""
    rx_missed: int
    """Frames that the card dropped for want of a buffer."""
    rx_errors: int
    """Frames that the card or the driver rejected."""
    tx_frames: int
    """Frames sent."""
    tx_bytes: int
    """Their bytes."""
    tx_failed: int
    """Frames accepted and then not sent."""
    tx_in_flight: int
    """Frames that the card has to send, of all taps."""
    resets: int
    """Times that the driver reset a hung card."""
    stack_rx: int
    """Frames copied to the host's stack."""
    stack_tx: int
    """Frames that the host's stack sent."""
    stack_dropped: int
    """Frames of either kind, dropped for want of memory or buffers."""


class PortPolicy(NamedTuple):
    """What the administrator lets a card's users do; see :meth:`Port.set_policy`."""

    stack: str
    """Of the host's network stack: 'off', it has no part in the card, or 'copy', it gets a
    copy of each frame, and can send."""
    quota: int
    """Frames that a tap may hold, per queue, unless it asks for another number."""
    quota_max: int
    """The most that a tap gets, whatever it asks for, per queue; 0 for no limit."""


_STACKS = {"off": lib.NTZC_STACK_OFF, "copy": lib.NTZC_STACK_COPY}
_STACK_NAMES = {number: name for name, number in _STACKS.items()}


class Port(NamedTuple):
    """One card as it was when asked for; :meth:`find` again for a fresh look."""

    id: int
    """Names it in the kernel; not used again soon once it is gone."""
    ifindex: int
    """Of its interface, 0 if that is in another network namespace."""
    name: str
    """Of its interface, or empty."""
    bus: str
    """Its address on the bus, such as 0000:01:00.0."""
    queues: int
    """Receive queues in use."""
    max_queues: int
    """Receive queues that it has."""
    buf_size: int
    """Bytes in a receive buffer."""
    buffers: int
    """Receive buffers; 0 while there is no pool (the interface is down)."""
    headroom: int
    """Bytes before a received frame in its buffer."""
    frame_max: int
    """The longest frame, bytes without FCS."""
    numa_node: int
    """Of the card, or -1."""
    flags: PortFlag
    """State of the interface."""
    n_taps: int
    """Taps that are attached, of all programs; :meth:`taps` tells of each."""
    memory_bytes: int
    """Memory that the receive pool takes, metadata included."""
    mac: str
    """The interface's address, such as 52:54:00:12:34:56."""

    @classmethod
    def list(cls, *, device: str | PathLike[str] | None = None) -> _Ports:
        """Return all NTZC cards, in the order in which they came."""
        with Device(device) as opened:
            return [*opened.ports()]

    @classmethod
    def find(cls, name: str, *, device: str | PathLike[str] | None = None) -> Port:
        """Return the card whose interface or bus address is *name*.

        Raises :class:`NoSuchPortError` if there is none.
        """
        with Device(device) as opened:
            return opened.find(name)

    def stats(self, *, device: str | PathLike[str] | None = None) -> PortStats:
        """Return the card's counters now."""
        with Device(device) as opened:
            return opened.stats(self)

    def configure(
        self,
        *,
        buf_size: int = 0,
        buffers: int = 0,
        device: str | PathLike[str] | None = None,
    ) -> None:
        """Size the receive pool; see :meth:`Device.configure`."""
        with Device(device) as opened:
            opened.configure(self, buf_size=buf_size, buffers=buffers)

    def taps(self, *, device: str | PathLike[str] | None = None) -> _Taps:
        """Return who has a tap on it and what each holds; see :meth:`Device.taps`."""
        with Device(device) as opened:
            return [*opened.taps(self)]

    @property
    def policy(self) -> PortPolicy:
        """What its users may do now; :meth:`Device.policy` asks another device node."""
        with Device() as opened:
            return opened.policy(self)

    def set_policy(
        self,
        *,
        stack: str | None = None,
        quota: int | None = None,
        quota_max: int | None = None,
        device: str | PathLike[str] | None = None,
    ) -> PortPolicy:
        """Change what its users may do; see :meth:`Device.set_policy`."""
        with Device(device) as opened:
            return opened.set_policy(self, stack=stack, quota=quota, quota_max=quota_max)


_Ports = list[Port]  # within Port, list is the method
_Taps = list[TapInfo]


def _port(info: Any) -> Port:
    return Port(
        id=info.id,
        ifindex=info.ifindex,
        name=fsdecode(ffi.string(info.name)),
        bus=ffi.string(info.bus).decode(),
        queues=info.n_queues,
        max_queues=info.max_queues,
        buf_size=info.buf_size,
        buffers=info.n_bufs,
        headroom=info.headroom,
        frame_max=info.frame_max,
        numa_node=info.numa_node,
        flags=PortFlag(info.flags),
        n_taps=info.n_taps,
        memory_bytes=info.pool_bytes,
        mac=":".join(f"{byte:02x}" for byte in info.mac[0:6]),
    )


class Device:
    """An open device that asks about cards, attached to none. A context manager.

    Opening raises :class:`ModuleNotLoadedError`, :class:`PermissionDeniedError` or
    :class:`VersionError`. Any number of threads may use one.
    """

    def __init__(self, path: str | PathLike[str] | None = None) -> None:
        out = ffi.new("struct ntzc_device **")
        code = lib.ntzc_device_create(ffi.NULL if path is None else fsencode(path), out)
        if code < 0:
            raise os_error(code, "/dev/ntzc" if path is None else str(path))
        self._prepare(ffi.gc(out[0], lib.ntzc_device_destroy))

    def _prepare(self, device: Any) -> None:
        self._device = device
        # a call into libntzc, against the end of the device, also by a signal handler
        self._lock = threading.RLock()
        _devices.add(self)

    def close(self) -> None:
        """Close it. Again: no effect."""
        with self._lock:
            if self._device is not None:
                ffi.release(self._device)
                self._device = None

    def __enter__(self) -> Self:
        """Return itself; leaving closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _call(self, function: Callable[..., int], *arguments: Any) -> int:
        with self._lock:
            if self._device is None:
                raise ClosedError("the device is closed")
            return function(self._device, *arguments)

    @property
    def abi_version(self) -> int:
        """Version of the ABI that both sides speak."""
        return int(self._query().abi_version)

    @property
    def features(self) -> Feature:
        """What the kernel's module can do."""
        return Feature(self._query().features)

    def _query(self) -> Any:
        query = ffi.new("struct ntzc_query *")
        code = self._call(lib.ntzc_device_query, query)
        if code < 0:
            raise os_error(code)
        return query

    def ports(self) -> Iterator[Port]:
        """Go through all cards."""
        cursor = ffi.new("__u32 *")
        info = ffi.new("struct ntzc_port_info *")
        while (code := self._call(lib.ntzc_port_next, cursor, info)) > 0:
            yield _port(info)
        if code < 0:
            raise os_error(code)

    def find(self, name: str) -> Port:
        """Return the card whose interface or bus address is *name*, or raise NoSuchPortError."""
        info = ffi.new("struct ntzc_port_info *")
        code = self._call(lib.ntzc_port_find, fsencode(name), info)
        if code < 0:
            raise os_error(code, name, opening=True)
        return _port(info)

    def stats(self, port: Port) -> PortStats:
        """Return the counters of *port* now; PortGoneError if it is gone."""
        stats = ffi.new("struct ntzc_port_stats *")
        code = self._call(lib.ntzc_port_stats, port.id, stats)
        if code < 0:
            raise os_error(code, port.name or port.bus)
        return PortStats(*(getattr(stats, name) for name in PortStats._fields))

    def configure(self, port: Port, *, buf_size: int = 0, buffers: int = 0) -> None:
        """Size the receive pool of *port*; it must have no taps. Needs CAP_NET_ADMIN.

        *buf_size* is 2048, 4096, 8192 or 16384 bytes, or 0 to go by the MTU; *buffers*
        is their number, or 0 to go by the size of the card's rings. Raises
        :class:`BusyError`, :class:`InvalidArgumentError`, :class:`PermissionDeniedError`.
        """
        config = ffi.new(
            "struct ntzc_port_config *", {"id": port.id, "buf_size": buf_size, "n_bufs": buffers}
        )
        code = self._call(lib.ntzc_port_config, config)
        if code < 0:
            raise os_error(code, port.name or port.bus)

    def taps(self, port: Port) -> Iterator[TapInfo]:
        """Go through all taps on *port*, of all programs. Needs CAP_NET_ADMIN.

        Raises :class:`PermissionDeniedError`, :class:`PortGoneError`.
        """
        cursor = ffi.new("__u32 *")
        info = ffi.new("struct ntzc_tap_info *")
        while (code := self._call(lib.ntzc_tap_next, port.id, cursor, info)) > 0:
            yield tap_info(info)
        if code < 0:
            raise self._refusal(code, port)

    def policy(self, port: Port) -> PortPolicy:
        """Return what the users of *port* may do now."""
        return self._policy(port, {})

    def set_policy(
        self,
        port: Port,
        *,
        stack: str | None = None,
        quota: int | None = None,
        quota_max: int | None = None,
    ) -> PortPolicy:
        """Change what the users of *port* may do, and return what is in use then.

        None leaves a value as it is. *stack* is 'off' or 'copy'; *quota* and *quota_max* are
        frames per queue, for taps that are opened later; 0 lets the pool's size decide, and
        sets no limit. Needs CAP_NET_ADMIN. Raises :class:`PermissionDeniedError`,
        :class:`InvalidArgumentError`, :class:`PortGoneError`.
        """
        fields = {}
        if stack is not None:
            if stack not in _STACKS:
                raise ValueError(f"stack is 'off' or 'copy', not {stack!r}")
            fields["stack"] = _STACKS[stack]
        for name, value in (("quota", quota), ("quota_max", quota_max)):
            if value is None:
                continue
            if not 0 <= value < 1 << 32:
                raise ValueError(f"{name} is a number of frames, 0 or more, not {value}")
            fields[name] = value
        return self._policy(port, fields)

    def _policy(self, port: Port, fields: dict[str, int]) -> PortPolicy:
        named = {
            "stack": lib.NTZC_POLICY_STACK,
            "quota": lib.NTZC_POLICY_QUOTA,
            "quota_max": lib.NTZC_POLICY_QUOTA_MAX,
        }
        which = sum(named[name] for name in fields)
        policy = ffi.new("struct ntzc_port_policy *", {"id": port.id, "set": which} | fields)
        code = self._call(lib.ntzc_port_policy, policy)
        if code < 0:
            raise self._refusal(code, port)
        return PortPolicy(
            _STACK_NAMES.get(policy.stack, str(policy.stack)), policy.quota, policy.quota_max
        )

    @staticmethod
    def _refusal(code: int, port: Port) -> Exception:
        hint = "this needs CAP_NET_ADMIN" if code == -errno.EPERM else None
        return os_error(code, port.name or port.bus, hint=hint)


_devices: weakref.WeakSet[Device] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    """Another thread, which the child has not got, may have been in a call."""
    for device in _devices:
        device._lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork_in_child)
