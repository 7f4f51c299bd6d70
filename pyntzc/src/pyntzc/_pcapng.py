# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture files: writing pcapng as packets come, and reading pcap and pcapng to send.

The format is that of draft-ietf-opsawg-pcapng; python-pcapng makes and reads its blocks.
Only the block around each packet is packed here: it is a fixed header, and making it is
what a capture spends its time on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import pcapng
import pcapng.blocks

from pyntzc._errors import NtzcError
from pyntzc._packet import Packet

_ETHERNET = 1  # LINKTYPE_ETHERNET
_NANOSECONDS = b"\x09"  # if_tsresol: 10^-9 s
_LOW = 0xFFFFFFFF

# enhanced packet block: type, length, interface, time high and low, captured, original
_HEAD = struct.Struct("<7I")
_HEAD_TYPE = 6
# epb_flags: direction, nothing else told; epb_queue; no more options; length again
_TAIL = struct.Struct("<HHIHHIII")
_INBOUND, _OUTBOUND = 1, 2
_PAD = (b"", b"\0\0\0", b"\0\0", b"\0")


class FileFormatError(NtzcError, ValueError):
    """The file is no capture of Ethernet frames."""


class Writer:
    """Writes packets of one interface to a binary file as pcapng, nanoseconds and all."""

    def __init__(
        self, file: IO[bytes], *, interface: str, mac: str = "", application: str = "ntzc"
    ) -> None:
        self._file = file
        self._section = pcapng.blocks.SectionHeader(options={"shb_userappl": application})
        options: dict[str, Any] = {"if_name": interface, "if_tsresol": _NANOSECONDS}
        if mac:
            options["if_MACaddr"] = mac
        self._section.new_member(
            pcapng.blocks.InterfaceDescription, link_type=_ETHERNET, snaplen=0, options=options
        )
        self._blocks = pcapng.FileWriter(file, self._section)
        self.packets = 0
        """How many were written."""

    def write(self, packet: Packet) -> None:
        """Append *packet*, with its VLAN tag where it was on the wire."""
        vlan = packet.vlan is not None
        data = packet.wire_bytes() if vlan else packet.data
        length = len(data)
        time = packet.timestamp_ns
        pad = _PAD[length & 3]
        total = _HEAD.size + length + len(pad) + _TAIL.size
        head = _HEAD.pack(
            _HEAD_TYPE, total, 0, time >> 32, time & _LOW, length, packet.orig_len + 4 * vlan
        )
        self._file.write(head)
        self._file.write(data)
        way = _OUTBOUND if packet.from_host else _INBOUND
        self._file.write(pad + _TAIL.pack(2, 4, way, 6, 4, packet.queue, 0, total))
        self.packets += 1

    def write_statistics(
        self, time_ns: int, *, received: int, filtered: int, dropped_card: int, dropped_tap: int
    ) -> None:
        """Append what the interface received, and of those, what was lost where.

        *received* came in, *filtered* of those were wanted; *dropped_card* did not come in
        for want of a buffer, and *dropped_tap* were wanted and did not reach the program.
        """
        self._blocks.write_block(
            self._section.new_member(
                pcapng.blocks.InterfaceStatistics,
                interface_id=0,
                timestamp_high=time_ns >> 32,
                timestamp_low=time_ns & _LOW,
                options={
                    "isb_ifrecv": received,
                    "isb_ifdrop": dropped_card,
                    "isb_filteraccept": filtered,
                    "isb_osdrop": dropped_tap,
                    "isb_usrdeliv": self.packets,
                },
            )
        )


class Captured(NamedTuple):
    """A frame out of a file."""

    data: bytes
    orig_len: int
    """Bytes that it had on the wire; more than data has if the capture cut it."""


def read(path: Path) -> Iterator[Captured]:
    """Yield the frames of a pcap or pcapng file; FileFormatError if it is none of Ethernet."""
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        yield from _read_pcapng(file, path) if magic == b"\n\r\r\n" else _read_pcap(file, path)


def _read_pcapng(file: IO[bytes], path: Path) -> Iterator[Captured]:
    try:
        for block in pcapng.FileScanner(file):
            if isinstance(block, pcapng.blocks.BasePacketBlock):
                if block.interface.link_type != _ETHERNET:
                    raise FileFormatError(f"{path}: a packet that is no Ethernet frame")
                yield Captured(block.packet_data, block.packet_len)
    except FileFormatError:
        raise
    # of files that are wrong in ways that it does not look for it raises what happens there
    except (pcapng.exceptions.PcapngException, KeyError, ValueError, struct.error) as error:
        raise FileFormatError(f"{path}: not a whole pcapng file ({error})") from error


def _read_pcap(file: IO[bytes], path: Path) -> Iterator[Captured]:
    from dpkt import pcap  # for old files alone

    start = file.read(pcap.FileHdr.__hdr_len__)
    if len(start) < pcap.FileHdr.__hdr_len__:
        raise FileFormatError(f"{path}: neither pcap nor pcapng")
    header = pcap.FileHdr(start)
    packet_header = pcap.MAGIC_TO_PKT_HDR.get(header.magic)
    if packet_header is None:
        raise FileFormatError(f"{path}: neither pcap nor pcapng")
    if issubclass(packet_header, (pcap.LEPktHdr, pcap.LEPktModHdr)):
        header = pcap.LEFileHdr(start)
    if header.linktype & 0xFFFF != _ETHERNET:  # above: the length of the FCS
        raise FileFormatError(f"{path}: packets that are no Ethernet frames")
    while start := file.read(packet_header.__hdr_len__):
        if len(start) < packet_header.__hdr_len__:
            raise FileFormatError(f"{path}: the last packet is cut off")
        head = packet_header(start)
        data = file.read(head.caplen)
        if len(data) < head.caplen:
            raise FileFormatError(f"{path}: the last packet is cut off")
        yield Captured(data, head.len)
