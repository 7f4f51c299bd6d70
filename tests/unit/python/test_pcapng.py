# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture files, judged by those who read them: python-pcapng, tcpdump, tshark."""

from __future__ import annotations

import io
import struct
import subprocess
from pathlib import Path

import hypothesis.strategies as st
import pcapng
import pytest
from hypothesis import given

import pyntzc
from pyntzc._pcapng import Captured, FileFormatError, Writer, read
from tests.unit.python.fake import FakeCard

TIME_NS = 1_700_000_000_123_456_789
ARP = bytes.fromhex(
    "ffffffffffff020000000001080600010800060400010200000000010a000001"
    "0000000000000a000002000000000000000000000000000000000000"
)


def write(card: FakeCard, path: Path, frames: list[bytes], **fields: int) -> None:
    for frame in frames:
        card.deliver(frame, **({"timestamp": TIME_NS} | fields))
    with pyntzc.open("card") as tap, path.open("wb") as file:
        writer = Writer(file, interface="eth7", mac="02:00:00:00:00:01")
        with tap.recv(timeout_s=0) as batch:
            for packet in batch:
                writer.write(packet)
        writer.write_statistics(TIME_NS, received=9, filtered=8, dropped_card=2, dropped_tap=3)


def tool(*argv: str | Path) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout


def test_tcpdump_reads_it_to_the_nanosecond(card: FakeCard, tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    write(card, path, [ARP])
    text = tool("tcpdump", "-nn", "-tt", "--nano", "-r", path)
    assert text.startswith("1700000000.123456789 ARP, Request who-has 10.0.0.2 tell 10.0.0.1")


def test_tshark_reads_interface_lengths_and_vlan(card: FakeCard, tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    write(card, path, [ARP], flags=1, vlan_tci=0x6064, orig_len=1400)
    fields = ("frame.time_epoch", "frame.interface_name", "frame.cap_len", "frame.len", "vlan.id")
    text = tool("tshark", "-r", path, "-T", "fields", *(w for f in fields for w in ("-e", f)))
    assert text.split() == ["1700000000.123456789", "eth7", "64", "1404", "100"]


@given(frames=st.lists(st.binary(min_size=14, max_size=1500), max_size=8), queue=st.integers(0, 63))
def test_what_is_written_is_read_back(
    frames: list[bytes], queue: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("pcapng") / "a.pcapng"
    with pytest.MonkeyPatch.context() as patch:
        card = FakeCard()
        card.install(patch)
        write(card, path, frames, queue=queue)
    assert list(read(path)) == [Captured(frame, len(frame)) for frame in frames]
    blocks = list(pcapng.FileScanner(io.BytesIO(path.read_bytes())))
    packets = [b for b in blocks if isinstance(b, pcapng.blocks.EnhancedPacket)]
    assert all(p.options["epb_queue"] == queue for p in packets)
    assert [p.timestamp_high << 32 | p.timestamp_low for p in packets] == [TIME_NS] * len(frames)
    (statistics,) = (b for b in blocks if isinstance(b, pcapng.blocks.InterfaceStatistics))
    options = {name: statistics.options[name] for name in ("isb_ifrecv", "isb_ifdrop")}
    assert options == {"isb_ifrecv": 9, "isb_ifdrop": 2}
    assert statistics.options["isb_osdrop"] == 3
    assert statistics.options["isb_usrdeliv"] == len(frames)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
def test_old_pcap_is_read_in_both_byte_orders(tmp_path: Path, order: str, magic: int) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(
        struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
        + struct.pack(f"{order}IIII", 1, 2, len(ARP), 1000)
        + ARP
    )
    assert list(read(path)) == [Captured(ARP, 1000)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "neither pcap nor pcapng"),
        (b"hello, world, this is no capture", "neither pcap nor pcapng"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 113), "no Ethernet"),
        (struct.pack("<IHHiIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1, 7), "cut off"),
        (b"\n\r\r\n\x1c\0\0\0\x4d\x3c", "not a whole pcapng file"),
    ],
)
def test_what_is_no_capture_is_told_so(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=message):
        list(read(path))
