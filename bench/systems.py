# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: NTZC's ways to receive, send and forward, and everybody else's.

Each is a program of ours that does the same with a frame: receives it and touches one byte,
or sends one that it wrote one byte of. The peers run over the stock igb driver, each set up
as its own documentation advises.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from emulation.insn import counter

ROOT = Path(__file__).resolve().parent.parent

Words = list[str | Path]


@dataclass(frozen=True)
class Case:
    """What is done, with which frames.

    Attributes:
        direction: ``rx``, ``tx`` or ``forward``.
        frame_len: bytes without the frame check sequence.
        batch: frames that the program asks for at a time.
        taps: how many read each frame.
        count: frames between two marks.

    """

    direction: str
    frame_len: int = 60
    batch: int = 64
    taps: int = 1
    count: int = 16384


@dataclass(frozen=True)
class System:
    """A way to do it.

    Attributes:
        name: as in ``results.json``.
        setup: how it is set up, for the report.
        directions: what it can do.
        command: makes the command for a case, given the interface.
        ours: it runs over NTZC's driver, else over the stock one.
        batches: it is told the size of a batch.
        taps: it can be several readers of one frame.

    """

    name: str
    setup: str
    directions: tuple[str, ...]
    command: Callable[[Programs, Case, str], Words] = field(repr=False)
    ours: bool = False
    batches: bool = True
    taps: bool = False


class Programs:
    """The programs, built against the instruction counter's marks."""

    def __init__(self) -> None:
        built = counter.build()
        includes = [f"-I{built.include}"]
        ours = [f"-I{ROOT / d}" for d in ("libntzc/include", "module/include")]
        library = ROOT / "build/lib/libntzc.a"
        self.client = _compile("insn", "bench/insn.c", *includes, *ours, library, "-pthread")
        self.packet = _compile("packet", "bench/peers/packet.c", *includes, "-lpcap")
        self.marks = _compile("marks.so", "bench/marks.c", *includes, "-shared", "-fPIC")


def _compile(name: str, source: str, *flags: str | Path) -> Path:
    target = ROOT / "build/bench" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-o", target, ROOT / source, *flags]
    subprocess.run(command, check=True)
    return target


def _client(*flags: str) -> Callable[[Programs, Case, str], Words]:
    def command(programs: Programs, case: Case, iface: str) -> Words:
        words: Words = [programs.client, *flags, "-b", str(case.batch), "-k", str(case.taps)]
        return [*words, case.direction, iface, str(case.count), str(case.frame_len)]

    return command


def _batches(programs: Programs, case: Case, iface: str) -> Words:
    script = ROOT / "bench/batch.py"
    return [sys.executable, script, programs.marks, iface, str(case.count), str(case.batch)]


def _packet(way: str) -> Callable[[Programs, Case, str], Words]:
    def command(programs: Programs, case: Case, iface: str) -> Words:
        numbers = [str(n) for n in (case.count, case.frame_len, case.batch)]
        return [programs.packet, way, iface, *numbers]

    return command


def _python(way: str) -> Callable[[Programs, Case, str], Words]:
    def command(programs: Programs, case: Case, iface: str) -> Words:
        script = ROOT / "bench/peers/rawsocket.py"
        return [sys.executable, script, way, programs.marks, iface, str(case.count)]

    return command


SYSTEMS = (
    System("ntzc-rings", "libntzc, views of the shared rings, 4096 entries",
           ("rx", "tx", "forward"), _client(), ours=True, taps=True),
    System("ntzc-read", "libntzc, one read() and one write() a batch; TX_RESERVE, TX_SUBMIT",
           ("rx", "tx", "forward"), _client("-c"), ours=True, taps=True),
    System("ntzc-python", "pyntzc, Batch.bytes(1)", ("rx",), _batches, ours=True),
    System("recv", "packet socket, SO_RCVBUF 16 MiB, one recv() a frame", ("rx",),
           _packet("recv"), batches=False),
    System("recvmmsg", "packet socket, SO_RCVBUF 16 MiB", ("rx",), _packet("recvmmsg")),
    System("tpacket-v3", "32 blocks of 256 KiB, 60 ms", ("rx",), _packet("tpacket-v3"),
           batches=False),
    System("libpcap", "pcap_dispatch(), buffer 8 MiB, 60 ms", ("rx",), _packet("libpcap")),
    System("send", "packet socket, PACKET_QDISC_BYPASS, one send() a frame", ("tx",),
           _packet("send"), batches=False),
    System("sendmmsg", "packet socket, PACKET_QDISC_BYPASS", ("tx",), _packet("sendmmsg")),
    System("packet-tx-ring", "512 slots, PACKET_QDISC_BYPASS", ("tx",),
           _packet("packet-tx-ring")),
    System("pcap-inject", "one pcap_inject() a frame, nothing captured", ("tx",),
           _packet("pcap-inject"), batches=False),
    System("python-raw-socket", "recv_into() a frame, SO_RCVBUF 16 MiB", ("rx",),
           _python("raw-socket"), batches=False),
    System("python-scapy", "sniff() on an L2ListenSocket, bufsize 16 MiB", ("rx",),
           _python("scapy"), batches=False),
)  # fmt: skip
