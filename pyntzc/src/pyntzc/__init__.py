# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of a network card in Python, read and written where the card put them.

    import pyntzc

    with pyntzc.open("eth1") as tap:
        for packet in tap:
            print(packet.timestamp_ns, packet.data[:14].hex())

:func:`open` gives a :class:`Tap` on a card; a :class:`Packet` is a frame in the card's own
memory and keeps it from being used again until it is released or dropped. To send, either
:meth:`Tap.send` bytes, or :meth:`Tap.reserve` a :class:`TxBuffer`, fill it in place and
:meth:`Tap.submit` it; :meth:`Tap.forward` sends a received packet by reference.
:class:`Port` tells of the cards.

Errors are :class:`NtzcError`; those that the kernel reports are :class:`OSError` as well.
Times are integer nanoseconds since the epoch, timeouts are seconds. Threads and forks are
dealt with at :class:`Tap`.
"""

from pyntzc._errors import (
    BusyError,
    ClosedError,
    InterfaceDownError,
    InvalidArgumentError,
    ModuleNotLoadedError,
    NoBufferError,
    NoSuchPortError,
    NotHeldError,
    NtzcError,
    NtzcOSError,
    PermissionDeniedError,
    PortGoneError,
    ReleasedError,
    RingFullError,
    TimedOutError,
    VersionError,
    ViewInUseError,
)
from pyntzc._packet import Batch, Checksum, HashType, Packet, TxBuffer, Vlan
from pyntzc._port import Device, Feature, Port, PortFlag, PortStats
from pyntzc._tap import Tap, TapStats, open

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "BusyError",
    "Checksum",
    "ClosedError",
    "Device",
    "Feature",
    "HashType",
    "InterfaceDownError",
    "InvalidArgumentError",
    "ModuleNotLoadedError",
    "NoBufferError",
    "NoSuchPortError",
    "NotHeldError",
    "NtzcError",
    "NtzcOSError",
    "Packet",
    "PermissionDeniedError",
    "Port",
    "PortFlag",
    "PortGoneError",
    "PortStats",
    "ReleasedError",
    "RingFullError",
    "Tap",
    "TapStats",
    "TimedOutError",
    "TxBuffer",
    "VersionError",
    "ViewInUseError",
    "Vlan",
    "open",
]
