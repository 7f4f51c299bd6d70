# SPDX-License-Identifier: GPL-2.0-or-later
"""What Python has without NTZC: a raw socket, libpcap, or scapy; as bench/batch.py otherwise.

Usage: python.py WAY rx|tx MARKS.so IFACE COUNT LEN
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
import time
from collections.abc import Callable

_PAUSE_S = float(os.environ.get("NTZC_PAUSE_MS", "60")) / 1000  # frames gather, as in gather.h
_ETH_P_ALL = 3


def raw_socket(interface: str) -> Callable[[], int]:
    """One recv_into() a frame, into one buffer."""
    file = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    file.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    file.bind((interface, _ETH_P_ALL))
    file.setblocking(False)
    buffer = bytearray(9216)

    def receive() -> int:
        for n in range(64):
            try:
                file.recv_into(buffer)
            except BlockingIOError:
                return n
            _ = buffer[0]
        return 64

    return receive


def pcapy(interface: str) -> Callable[[], int]:
    """A binding of libpcap; one call a batch, whose frames lie in one bytes object."""
    import pcapy

    reader = pcapy.create(interface)
    reader.set_snaplen(65535)
    reader.set_promisc(1)
    reader.set_timeout(60)
    reader.set_buffer_size(8 << 20)
    reader.activate()
    record = struct.Struct("IIII")

    def receive() -> int:
        frames, heads = reader.next_batch(64)
        for _seconds, _micros, offset, _len in record.iter_unpack(heads):
            _ = frames[offset]
        return len(heads) // record.size

    return receive


def scapy(interface: str) -> Callable[[], int]:
    """The socket of scapy; a frame is a packet object."""
    from scapy.arch.linux import L2ListenSocket
    from scapy.config import conf
    from scapy.layers.l2 import Ether
    from scapy.packet import Packet
    from scapy.sendrecv import sniff

    conf.bufsize = 16 << 20
    file = L2ListenSocket(iface=interface, promisc=True)

    def receive() -> int:
        seen = 0

        def touch(packet: Packet) -> None:
            nonlocal seen
            _ = packet[Ether].dst
            seen += 1

        sniff(opened_socket=file, prn=touch, store=False, count=64, timeout=_PAUSE_S)
        return seen

    return receive


def until_taken(send: Callable[[], object]) -> None:
    """Send; the card's ring may be full, as those that bypass the queue are told."""
    while True:
        try:
            send()
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def raw_socket_send(interface: str, frame: bytearray) -> Callable[[], int]:
    """One send() a frame, out of one buffer."""
    file = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    file.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS
    file.bind((interface, 0))

    def send() -> int:
        frame[0] = 2
        until_taken(lambda: file.send(frame))
        return 1

    return send


def pcapy_send(interface: str, frame: bytearray) -> Callable[[], int]:
    """One sendpacket() a frame; it takes nothing but bytes."""
    import pcapy

    writer = pcapy.open_live(interface, 64, 0, 60)
    writer.setfilter("less 1")  # it would capture what it sends

    def send() -> int:
        frame[0] = 2
        writer.sendpacket(bytes(frame))
        return 1

    return send


def scapy_send(interface: str, frame: bytearray) -> Callable[[], int]:
    """The socket that sendp() sends by; a frame is a packet object, and built for each."""
    from scapy.arch.linux import L2Socket
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    file = L2Socket(iface=interface, filter="less 1", promisc=False)
    packet = Ether(bytes(frame[:14])) / Raw(bytes(frame[14:]))

    def send() -> int:
        packet.dst = "02:00:00:00:00:00"
        until_taken(lambda: file.send(packet))
        return 1

    return send


RECEIVES = {"raw-socket": raw_socket, "pcapy": pcapy, "scapy": scapy}
SENDS = {"raw-socket": raw_socket_send, "pcapy": pcapy_send, "scapy": scapy_send}


def main(way: str, what: str, library: str, interface: str, count: int, len_bytes: int) -> None:
    """Deal with 4 * count frames; set the marks after two, three and four times *count*."""
    marks = ctypes.CDLL(library)
    frame = bytearray(bytes.fromhex("02000000000000000000000088b5").ljust(len_bytes, b"\0"))
    step = SENDS[way](interface, frame) if what == "tx" else RECEIVES[way](interface)
    print("ready", flush=True)
    done = 0
    for mark, end in enumerate((2 * count, 3 * count, 4 * count), 1):
        while done < end:
            n = step()
            done += n
            if n < 64 and what == "rx":
                time.sleep(_PAUSE_S)
        getattr(marks, f"mark{mark}")()
    print(done)


if __name__ == "__main__":
    way, what, library, interface, count, len_bytes = sys.argv[1:]
    main(way, what, library, interface, int(count), int(len_bytes))
