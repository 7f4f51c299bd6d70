# SPDX-License-Identifier: GPL-2.0-or-later
"""How a tap is to be: the arguments of :func:`pyntzc.open`, checked, in libntzc's terms."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from typing import Any

from pyntzc._errors import FilterError, NoSuchPortError, os_error
from pyntzc._filter import in_kernels_terms, refused
from pyntzc._libntzc import ffi, lib
from pyntzc._port import Port

_CLOCKS: Mapping[str, int] = {
    "realtime": lib.NTZC_CLOCK_REALTIME,
    "monotonic": lib.NTZC_CLOCK_MONOTONIC,
    "tai": lib.NTZC_CLOCK_TAI,
}
_DOORS: Mapping[str, int] = {
    "auto": lib.NTZC_DOOR_AUTO,
    "calls": lib.NTZC_DOOR_CALLS,
    "rings": lib.NTZC_DOOR_RINGS,
}
DOOR_NAMES = {number: name for name, number in _DOORS.items()}


def queue_mask(queues: Iterable[int] | None) -> int:
    """Return *queues* as a mask, 0 for all."""
    if queues is None:
        return 0
    mask = 0
    for queue in queues:
        if not 0 <= queue < lib.NTZC_MAX_QUEUES:
            raise ValueError(f"queues are numbered 0 to {lib.NTZC_MAX_QUEUES - 1}, not {queue}")
        mask |= 1 << queue
    if not mask:
        raise ValueError("name at least one queue, or None for all")
    return mask


def check_ring_size(size: int) -> None:
    """Raise ValueError, with a size that would do, unless *size* will."""
    most = lib.NTZC_MAX_RING
    if 0 <= size <= most and not size & (size - 1):
        return
    near = min(1 << max(size - 1, 0).bit_length(), most)
    raise ValueError(
        f"ring_size must be a power of two, at most {most}, or 0 for the default, "
        f"not {size}: try {near}"
    )


def one_of(what: str, choices: Mapping[str, int], wanted: str) -> int:
    """Return the number of *wanted*, or raise ValueError with the choices."""
    try:
        return choices[wanted]
    except KeyError:
        raise ValueError(f"{what} is {' or '.join(map(repr, choices))}, not {wanted!r}") from None


def name_of(interface: str | int | Port) -> str:
    """Return what to call it."""
    if isinstance(interface, Port):
        return interface.name or interface.bus
    return str(interface)


def identify(interface: str | int | Port) -> tuple[Any, int]:
    """Return the name for C, or NULL, and the index of an interface."""
    if isinstance(interface, Port):
        if not interface.ifindex:
            raise NoSuchPortError(
                errno.ENODEV,
                "its interface is in another network namespace: go there, or move it here",
                name_of(interface),
            )
        return ffi.NULL, interface.ifindex
    if isinstance(interface, int):
        if not 0 < interface < 1 << 31:
            raise ValueError(f"an interface's index is a number from 1 on, not {interface}")
        return ffi.NULL, interface
    return ffi.new("char[]", os.fsencode(interface)), 0


def create(
    interface: str | int | Port,
    *,
    queues: Iterable[int] | None,
    ring_size: int,
    quota: int,
    promisc: bool,
    host: bool,
    filter: str | int | None,
    fanout: int,
    clock: str,
    busy_poll_us: int,
    door: str,
    device: str | os.PathLike[str] | None,
) -> Any:
    """Check the arguments of :func:`pyntzc.open` and return libntzc's tap."""
    check_ring_size(ring_size)
    if not 0 <= quota < 1 << 32:
        raise ValueError(f"a quota is a number of frames, or 0 for the default, not {quota}")
    if not 0 <= busy_poll_us <= lib.NTZC_MAX_BUSY_POLL_US:
        raise ValueError(
            f"busy_poll_us is 0 to {lib.NTZC_MAX_BUSY_POLL_US} microseconds, not {busy_poll_us}"
        )
    if not 0 <= fanout < 1 << 32:
        raise ValueError(f"a fan-out group is a number from 1 on, or 0 for none, not {fanout}")
    options = ffi.new("struct ntzc_tap_options *")
    options.size = ffi.sizeof(options[0])
    options.flags = lib.NTZC_ATTACH_PROMISC * promisc | lib.NTZC_ATTACH_HOST * host
    options.ring_size = ring_size
    options.quota = quota
    options.queues = queue_mask(queues)
    options.fanout = fanout
    options.clock = one_of("clock", _CLOCKS, clock)
    options.busy_poll_us = busy_poll_us
    options.door = one_of("door", _DOORS, door)
    name, options.ifindex = identify(interface)
    options.interface = name
    path = ffi.NULL if device is None else ffi.new("char[]", os.fsencode(device))
    options.device = path
    out = ffi.new("struct ntzc_tap **")
    try:
        with in_kernels_terms(filter) as terms:
            options.filter = terms
            code = lib.ntzc_tap_create(options, out)
    except BaseException:  # an interrupt that came meanwhile
        if out[0] != ffi.NULL:
            lib.ntzc_tap_destroy(out[0])
        raise
    if code < 0:
        raise _refusal(code, name_of(interface), fanout, filter)
    return out[0]


def _refusal(code: int, name: str, fanout: int, filter: str | int | None) -> Exception:
    if code == -errno.EBADF and filter is not None:
        return refused(code, name)
    hint = None
    if code == -errno.EINVAL:
        hint = "the card does not have all of these queues, or a size is out of range"
        if fanout:
            hint += (
                f"; or fan-out group {fanout} is on another card or other queues: its members "
                "must have the same, so choose another number"
            )
        if isinstance(filter, int):
            # most likely: everything else was checked, and this could not be
            return FilterError(f"{refused(code, name)}; or {hint}")
    return os_error(code, name, opening=True, hint=hint)
