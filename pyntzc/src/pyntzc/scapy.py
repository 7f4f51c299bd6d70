# SPDX-License-Identifier: GPL-2.0-or-later
"""Scapy over NTZC: sockets for sniff, send, sr and the rest. It needs scapy 2.5 or later.

    from scapy.all import ARP, Ether, sniff
    from pyntzc.scapy import NtzcSocket

    with NtzcSocket("eth1", filter="arp") as socket:
        answers, _ = socket.sr(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(pdst="192.0.2.1"), timeout=2)

Or let all of scapy use them: ``conf.L2socket = conf.L2listen = NtzcSocket``, and for what works
on layer 3, ``conf.L3socket = conf.L3socket6 = NtzcL3Socket``.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from typing import Any

from scapy.config import conf
from scapy.data import ETH_P_ALL, MTU
from scapy.interfaces import network_name
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from scapy.supersocket import SuperSocket
from scapy.utils import EDecimal

import pyntzc

_NS = 10**9


class NtzcSocket(SuperSocket):
    """A scapy socket for Ethernet frames on a card of NTZC's.

    The arguments up to *monitor* are scapy's own; *filter* runs in the kernel. Anything else
    goes to :func:`pyntzc.open`. With *tap* it works on a tap that is open already, as that was
    opened, and leaves it open. Packets have their VLAN tags, and times to the nanosecond.

    Frames are read in batches. ``fileno()`` is readable as long as some wait inside, so select
    and poll see what they should.
    """

    desc = "read/write Ethernet frames with NTZC"
    _BATCH = 64

    def __init__(
        self,
        iface: Any = None,
        type: int = ETH_P_ALL,  # noqa: A002 - scapy's name
        promisc: bool | None = None,
        filter: str | None = None,
        nofilter: int = 0,
        monitor: bool | None = None,
        *,
        tap: pyntzc.Tap | None = None,
        **options: Any,
    ) -> None:
        self.closed = True  # until it is open: __del__ closes it
        self._lock = threading.RLock()  # a signal handler may close it, too
        if monitor:
            raise ValueError("an Ethernet card has no monitor mode: leave out 'monitor'")
        if tap and (filter or type != ETH_P_ALL or promisc is not None or options):
            raise ValueError("with 'tap', which is open already, no more can be chosen")
        name: str = tap.interface if tap else iface
        if not isinstance(name, str):  # a name is taken as it is
            name = network_name(name or conf.iface)
        self.iface = name
        self.promisc = conf.sniff_promisc if promisc is None else promisc
        self.LL = Ether
        self.lvl = 2
        self._owns_tap = tap is None
        self._tap = tap or pyntzc.open(
            name,
            filter=_filter(type, None if nofilter else filter, bool(nofilter)),
            promisc=bool(self.promisc),
            **options,
        )
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._some = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # set while some wait
        self._epoll = select.epoll()
        self.closed = False
        try:
            self._epoll.register(self._tap, select.EPOLLIN)
            self._epoll.register(self._some, select.EPOLLIN)
        except BaseException:  # such as that the tap is closed
            self.close()
            raise

    @property
    def tap(self) -> pyntzc.Tap:
        """The tap that it works on."""
        return self._tap

    def fileno(self) -> int:
        """Return a file that is readable while packets wait, in the tap or inside."""
        return -1 if self.closed else self._epoll.fileno()

    def recv_raw(self, x: int = MTU) -> tuple[Any, bytes | None, Any]:
        """Return the class for a frame, its bytes, and its time; wait for it if need be."""
        while (item := self._pop()) is None:
            with self._tap.recv(self._BATCH) as batch:
                arrived = [(packet.wire_bytes(), packet.timestamp_ns) for packet in batch]
            with self._lock:
                if self.closed:  # its files may be somebody else's by now
                    raise EOFError("the socket is closed")
                if arrived and not self._waiting:
                    os.eventfd_write(self._some, 1)
                self._waiting += arrived
        data, time_ns = item
        return self.LL, data[:x], EDecimal(time_ns) / _NS

    def _pop(self) -> tuple[bytes, int] | None:
        with self._lock:
            if self.closed:
                raise EOFError("the socket is closed")
            if not self._waiting:
                return None
            item = self._waiting.popleft()
            if not self._waiting:
                os.eventfd_read(self._some)
            return item

    def send(self, x: Any) -> int:
        """Send a frame, and return its length in bytes."""
        data = bytes(x)
        if isinstance(x, Packet):
            x.sent_time = time.time()
        self._tap.send(data)
        return len(data)

    def close(self) -> None:
        """Close it, and the tap if it opened that. Again: no effect."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._epoll.close()
            os.close(self._some)
        if self._owns_tap:
            self._tap.close()


class NtzcL3Socket(NtzcSocket):
    """The same for what works on layer 3, such as send and sr: it puts Ethernet around packets.

    All go out through its own card; scapy finds the destination's address as it always does,
    by ARP or neighbour discovery.
    """

    desc = "read/write packets of layer 3 with NTZC"

    def recv(self, x: int = MTU, **kwargs: Any) -> Packet | None:
        """Return the packet in the next frame."""
        frame = super().recv(x, **kwargs)
        if frame is None:
            return None
        frame.payload.time = frame.time
        return frame.payload

    def send(self, x: Any) -> int:
        """Send a packet in a frame, and return the frame's length in bytes."""
        length = super().send(self.LL() / x)
        if isinstance(x, Packet):
            x.sent_time = time.time()
        return length


def _filter(ethertype: int, wanted: str | None, nofilter: bool) -> str | None:
    """Return what scapy's arguments and configuration mean in libpcap's syntax."""
    parts = [f"({wanted})"] if wanted else []
    if ethertype != ETH_P_ALL:
        parts.append(f"ether proto {ethertype:#x}")
    if conf.except_filter and not nofilter:
        parts.append(f"not ({conf.except_filter})")
    return " and ".join(parts) or None
