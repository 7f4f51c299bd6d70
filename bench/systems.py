# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: NTZC's ways to receive, send and forward, and everybody else's.

Each is a program of ours that does the same with a frame: receives it and touches one byte,
or sends one that it wrote one byte of. The peers run over the stock igb driver, or over
their own where they have one, each set up as its own documentation advises.
"""

from __future__ import annotations

import enum
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


class Card(enum.IntEnum):
    """The machine's cards, by who drives them."""

    OURS = 0
    STOCK = 1
    USER = 2

    @property
    def driver(self) -> str:
        """The kernel module that has it."""
        return ("ntzc_igb", "igb", "uio_pci_generic")[self]


@dataclass(frozen=True)
class System:
    """A way to do it.

    Attributes:
        name: as in ``results.json``.
        setup: how it is set up, for the report.
        directions: what it can do.
        command: makes the command for a case, given the interface, or for a card that user
            space drives its PCI address.
        card: the card that it runs over.
        batches: it is told the size of a batch.
        taps: it can be several readers of one frame.
        max_len: the longest frame that it can take, in bytes.
        slowness: how much longer than others it may take for what it gets at a time.
        queues: of the card; all frames come to the first.
        since: the first kernel release, as (major, minor), whose igb has it.

    """

    name: str
    setup: str
    directions: tuple[str, ...]
    command: Callable[[PeerPrograms, Case, str], Words] = field(repr=False)
    card: Card = Card.STOCK
    batches: bool = True
    taps: bool = False
    max_len: int = 9014
    slowness: int = 1
    queues: int = 1
    since: tuple[int, int] = (0, 0)

    @property
    def ours(self) -> bool:
        """Whether it is NTZC."""
        return self.card is Card.OURS


class Programs:
    """The programs, built against the instruction counter's marks."""

    def __init__(self) -> None:
        includes = [f"-I{counter.build().include}"]
        ours = [f"-I{ROOT / d}" for d in ("libntzc/include", "module/include")]
        library = ROOT / "build/lib/libntzc.a"
        # for fixed addresses, so that a profile can name its functions
        fixed = ("-no-pie", "-pthread")
        self.client = _compile("insn", "bench/insn.c", *includes, *ours, library, *fixed)
        self.marks = _compile("marks.so", "bench/marks.c", *includes, "-shared", "-fPIC")


class PeerPrograms(Programs):
    """The peers' too, and the one whose counts are known."""

    def __init__(self) -> None:
        super().__init__()
        includes = [f"-I{counter.build().include}", f"-I{ROOT / 'bench'}"]
        self.known = _compile("known", "bench/known.c", *includes)
        self.packet = _compile("packet", "bench/peers/packet.c", *includes, "-lpcap")
        self.xdp = _compile("xdp", "bench/peers/xdp.c", *includes, "-lxdp", "-lbpf")
        self.dpdk = _compile("dpdk", "bench/peers/dpdk.c", *includes, *_dpdk())


def _dpdk() -> list[str]:
    """Return how to link the one driver into the program, so that no other is looked for."""
    found = subprocess.run(
        ["pkg-config", "--cflags", "libdpdk"], capture_output=True, text=True, check=True
    )
    # drivers and handlers register themselves: nobody names them, so all of them is wanted
    whole = [f"-l:librte_{name}.a" for name in ("net_e1000", "bus_pci", "mempool_ring")]
    names = "ethdev eal mempool mbuf net ring kvargs telemetry pci meter rcu"
    parts = [f"-l:librte_{name}.a" for name in names.split()]
    words = ["-Wl,--whole-archive", *whole, "-Wl,--no-whole-archive"]
    words += ["-Wl,--start-group", *parts, "-Wl,--end-group"]
    return [*found.stdout.split(), *words, *"-lm -ldl -lnuma -lbsd -pthread".split()]


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
    numbers = [str(n) for n in (case.count, case.batch)]
    how = [case.direction, str(case.frame_len)]
    return [sys.executable, ROOT / "bench/batch.py", programs.marks, iface, *numbers, *how]


def _packet(way: str) -> Callable[[PeerPrograms, Case, str], Words]:
    def command(programs: PeerPrograms, case: Case, iface: str) -> Words:
        numbers = [str(n) for n in (case.count, case.frame_len, case.batch)]
        return [programs.packet, way, iface, *numbers]

    return command


def _xdp(mode: str) -> Callable[[PeerPrograms, Case, str], Words]:
    def command(programs: PeerPrograms, case: Case, iface: str) -> Words:
        numbers = [str(n) for n in (case.count, case.frame_len, case.batch)]
        return [programs.xdp, mode, case.direction, iface, *numbers]

    return command


def _dpdk_run(programs: PeerPrograms, case: Case, address: str) -> Words:
    numbers = [str(n) for n in (case.count, case.frame_len, case.batch)]
    return [programs.dpdk, case.direction, address, *numbers]


def _python(way: str) -> Callable[[Programs, Case, str], Words]:
    def command(programs: Programs, case: Case, iface: str) -> Words:
        script = ROOT / "bench/peers/python.py"
        numbers = [str(case.count), str(case.frame_len)]
        return [sys.executable, script, way, case.direction, programs.marks, iface, *numbers]

    return command


_ALL = ("rx", "tx", "forward")
_XDP = "libxdp, need-wakeup, fill ring 8192, others 4096, a program that only redirects"

SYSTEMS = (
    System("ntzc-rings", "libntzc, views of the shared rings, 4096 entries; to forward, "
           "the pool four times as large", _ALL,
           _client(), card=Card.OURS, taps=True),
    System("ntzc-rings-loaded", "the same, the pool four times as large, 2,000 frames held, "
           "32 taps on a second queue, to which no frame comes", ("rx",), _client("-l"),
           card=Card.OURS, batches=False, queues=2),
    System("ntzc-read", "libntzc, one read() and one write() a batch; TX_RESERVE, TX_SUBMIT",
           _ALL, _client("-c"), card=Card.OURS, taps=True),
    System("ntzc-python", "pyntzc: Batch.bytes(1), and Tap.forward() of a batch; Tap.send(), "
           "which copies", _ALL, _batches, card=Card.OURS),
    System("dpdk", "DPDK's igb driver by uio_pci_generic, bursts, rings 4096, pauses in which "
           "frames gather: one empty or short burst a pause is counted", _ALL, _dpdk_run,
           card=Card.USER),
    System("af-xdp-zc", f"driver's zero-copy; {_XDP}", _ALL, _xdp("zero-copy"),
           max_len=1514, since=(6, 14)),
    System("af-xdp-copy", f"driver's hook, with copies; {_XDP}", _ALL, _xdp("copy"),
           max_len=1514),
    System("af-xdp-generic", f"generic hook (skb mode); {_XDP}", _ALL, _xdp("generic"),
           max_len=1514),
    System("recv", "packet socket, SO_RCVBUF 16 MiB, one recv() a frame", ("rx",),
           _packet("recv"), batches=False),
    System("recvmmsg", "packet socket, SO_RCVBUF 16 MiB", ("rx",), _packet("recvmmsg")),
    System("tpacket-v3", "32 blocks of 256 KiB, 60 ms", ("rx",), _packet("tpacket-v3"),
           batches=False),
    System("libpcap", "pcap_dispatch(), buffer 8 MiB, 60 ms", ("rx",), _packet("libpcap")),
    System("send", "packet socket, PACKET_QDISC_BYPASS, one send() a frame", ("tx",),
           _packet("send"), batches=False),
    System("sendmmsg", "packet socket, PACKET_QDISC_BYPASS", ("tx",), _packet("sendmmsg")),
    System("packet-tx-ring", "2048 slots, PACKET_QDISC_BYPASS", ("tx",),
           _packet("packet-tx-ring")),
    System("pcap-inject", "one pcap_inject() a frame, nothing captured", ("tx",),
           _packet("pcap-inject"), batches=False),
    System("python-raw-socket", "recv_into() a frame, SO_RCVBUF 16 MiB; send(), "
           "PACKET_QDISC_BYPASS", ("rx", "tx"),
           _python("raw-socket"), batches=False, slowness=2),
    System("python-pcapy", "pcapy-ng: next_batch(64), buffer 8 MiB, 60 ms; sendpacket()",
           ("rx", "tx"),
           _python("pcapy"), batches=False),
    System("python-scapy", "sniff() on an L2ListenSocket, bufsize 16 MiB; L2Socket.send()",
           ("rx", "tx"),
           _python("scapy"), batches=False, slowness=10),
)  # fmt: skip

LIBPCAP_TX = "pcap-inject"
"""What libpcap sends with."""


ABSENT = (
    ("netmap", "Debian has no package of it (apt-cache search netmap finds none). It changes the "
     "source of a kernel's own driver: its repository (luigirizzo/netmap) keeps such patches in "
     "LINUX/final-patches, of which the last for igb is for Linux 4.1 and later "
     "(diff--igb--40100--99999), others being for Intel's driver outside the kernel. Neither is "
     "in the kernels that this runs on; it was not ported to them here."),
    ("PF_RING ZC", "Debian has no package of it (apt-cache search pfring finds none). Its "
     "zero-copy library comes as a binary only and asks for a licence that is bought for each "
     "card; nothing of that kind is used here."),
    ("PF_RING without ZC", "not measured: it copies each frame out of an sk_buff as packet "
     "sockets do, which are measured."),
)  # fmt: skip
"""Systems that one would compare with and that do not run here, and why."""
