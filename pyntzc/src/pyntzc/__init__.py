# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of a network card in Python, read and written where the card put them.

    import pyntzc

    with pyntzc.open("eth1") as tap:
        for packet in tap:
            print(packet.timestamp_ns, packet.data[:14].hex())

:func:`open` gives a :class:`Tap` on a card; a :class:`Packet` is a frame in the card's own
memory and keeps it from being used again until it is released or dropped. For speed take a
:class:`Batch` from :meth:`Tap.batches`: arrays of numpy's over descriptors and memory, without
an object for a packet.

To send, either :meth:`Tap.send` bytes, or :meth:`Tap.reserve` a :class:`TxBuffer`, fill it in
place and :meth:`Tap.submit` it; :meth:`Tap.forward` sends received packets by reference, also
through another card (:meth:`Tap.add_target`). :class:`Port` tells of the cards, of who has
taps on them, and sets their policy. Module :mod:`pyntzc.scapy` is for scapy.

Errors are :class:`NtzcError`; those that the kernel reports are :class:`OSError` as well.
Times are integer nanoseconds, since the epoch unless another clock was asked for; timeouts
are seconds. Threads and forks are
dealt with at :class:`Tap`.
"""

from pyntzc._batch import Batch
from pyntzc._errors import (
    BusyError,
    ClosedError,
    FilterError,
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
    UnsupportedError,
    VersionError,
    ViewInUseError,
)
from pyntzc._packet import Checksum, HashType, Packet, TxBuffer, Vlan
from pyntzc._port import Device, Feature, Port, PortFlag, PortPolicy, PortStats
from pyntzc._send import Target
from pyntzc._stats import TapFlag, TapInfo, TapStats
from pyntzc._tap import Tap, open

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "BusyError",
    "Checksum",
    "ClosedError",
    "Device",
    "Feature",
    "FilterError",
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
    "PortPolicy",
    "PortStats",
    "ReleasedError",
    "RingFullError",
    "Tap",
    "TapFlag",
    "TapInfo",
    "TapStats",
    "Target",
    "TimedOutError",
    "TxBuffer",
    "UnsupportedError",
    "VersionError",
    "ViewInUseError",
    "Vlan",
    "open",
]
