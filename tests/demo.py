# SPDX-License-Identifier: GPL-2.0-or-later
"""``make demo``: real protocols through the emulated card, both ways, every byte compared.

In the VM runs what a user would run: ``ntzc capture`` and ``ntzc send``. The host plays the
network, and is the judge.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pcapng
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether

from emulation import kernels, modules
from emulation.vm import VM

ROOT = Path(__file__).resolve().parent.parent
NTZC = ROOT / "build/python/bin/ntzc"
ENVIRONMENT = {"PYTHONPATH": str(ROOT / "build/python")}
MTU = 9000
_A, _B = "02:00:00:00:aa:01", "02:00:00:00:aa:02"
_COPIES = 4  # of the conversation, so that batches form


def conversation() -> list[bytes]:
    """Frames of ordinary traffic: names looked up, a connection, echoes, a VLAN, a jumbo."""
    ab, ba = Ether(src=_A, dst=_B), Ether(src=_B, dst=_A)
    there, back = IP(src="192.0.2.1", dst="192.0.2.2"), IP(src="192.0.2.2", dst="192.0.2.1")
    there6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
    client: dict[str, Any] = {"sport": 40000, "dport": 80}
    server: dict[str, Any] = {"sport": 80, "dport": 40000}
    request = b"GET / HTTP/1.1\r\nHost: example.net\r\n\r\n"
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + bytes(range(256)) * 4
    question = DNSQR(qname="example.net")
    packets = [
        Ether(src=_A, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="192.0.2.1", pdst="192.0.2.2"),
        ba / ARP(op="is-at", psrc="192.0.2.2", pdst="192.0.2.1", hwsrc=_B, hwdst=_A),
        ab / there / UDP(sport=5353, dport=53) / DNS(id=1, qd=question),
        ba
        / back
        / UDP(sport=53, dport=5353)
        / DNS(id=1, qr=1, qd=question, an=DNSRR(rrname="example.net", rdata="192.0.2.2")),
        ab / there / TCP(**client, flags="S", seq=100),
        ba / back / TCP(**server, flags="SA", seq=900, ack=101),
        ab / there / TCP(**client, flags="A", seq=101, ack=901),
        ab / there / TCP(**client, flags="PA", seq=101, ack=901) / request,
        ba / back / TCP(**server, flags="PA", seq=901, ack=101 + len(request)) / reply,
        ab / there / TCP(**client, flags="FA", seq=101 + len(request), ack=901 + len(reply)),
        ab / there / ICMP(id=7, seq=1) / (b"ping" * 14),
        ba / back / ICMP(type="echo-reply", id=7, seq=1) / (b"ping" * 14),
        ab / IPv6(src="fe80::1", dst="ff02::1:ff00:2") / ICMPv6ND_NS(tgt="fe80::2"),
        ab / there6 / ICMPv6EchoRequest(id=9, seq=1, data=b"six" * 20),
        ab / there6 / TCP(sport=40001, dport=443, flags="S", seq=5),
        ab / Dot1Q(vlan=100, prio=3) / there / UDP(sport=2000, dport=2001) / (b"tagged" * 10),
        ab / there / UDP(sport=4000, dport=4001) / (bytes(range(250)) * 36)[: MTU - 28],
    ]
    # a frame shorter than 60 bytes is padded on any wire
    return [bytes(packet).ljust(60, b"\0") for packet in packets] * _COPIES


def frames_of(capture: bytes) -> list[bytes]:
    """The frames in a pcapng file."""
    blocks = pcapng.FileScanner(io.BytesIO(capture))
    return [b.packet_data for b in blocks if isinstance(b, pcapng.blocks.EnhancedPacket)]


def alike(got: list[bytes], wanted: list[bytes]) -> int:
    """How many frames came byte for byte. Flows on different queues may overtake each other."""
    return (Counter(got) & Counter(wanted)).total()


def check_readers(path: Path, count: int) -> None:
    """See that tcpdump and tshark find *count* packets in the file."""
    for name, argv in (
        ("tcpdump", ["tcpdump", "-nn", "-t", "-r", str(path)]),
        ("tshark", ["tshark", "-n", "-r", str(path)]),
    ):
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        lines = done.stdout.splitlines()
        if len(lines) != count:
            raise SystemExit(f"demo: {name} found {len(lines)} packets of {count}")
        print(f"demo: {name} -r reads {len(lines)} packets, such as: {lines[3]}")


def say(step: str, clock: Callable[[], float] = time.monotonic) -> None:
    """Print what comes next, and when."""
    print(f"demo: {clock() - _START:5.1f} s: {step}", flush=True)


_START = time.monotonic()


def receive(vm: VM, iface: str, sent: list[bytes]) -> tuple[int, int, bytes]:
    """Capture *sent* in the guest; return frames received intact, frames lost, the file."""
    wire = vm.wires[0]
    assert wire
    stderr = bytearray()

    def output(stream: str, data: bytes) -> None:
        if stream == "stdout":
            sys.stdout.write(data.decode())
        else:
            stderr.extend(data)

    capture = vm.spawn(
        [NTZC, "capture", iface, "-c", str(len(sent)), "-w", "/tmp/demo.pcapng"],
        env=ENVIRONMENT,
        on_output=output,
    )
    ports = vm.guest.modules["abi"].ports
    vm.wait_until(lambda: ports()[0].n_taps == 1 or capture.returncode is not None, 60, "a tap")
    wire.send_many(sent)
    done = capture.wait(120)
    if done.returncode:
        raise SystemExit(f"demo: the capture failed: {stderr.decode()}")
    print(stderr.decode(), end="")
    data = vm.read_file("/tmp/demo.pcapng")
    intact = alike(frames_of(data), sent)
    return intact, len(sent) - intact, data


def transmit(vm: VM, iface: str, wanted: list[bytes]) -> int:
    """Have the guest send the file that it captured; return frames that came intact."""
    wire = vm.wires[0]
    assert wire
    wire.drain()
    vm.run(
        [NTZC, "send", iface, "/tmp/demo.pcapng"],
        120,
        env=ENVIRONMENT,
    )
    return alike(wire.recv_many(len(wanted), 60), wanted)


def main(kernel: str) -> int:
    """Run the demo; return the exit status."""
    say(f"kernel {kernel} and the modules for it")
    found = kernels.fetch(kernel)
    built = modules.build(found)
    say(f"booting {found.release} with an emulated 82576")
    path = [ROOT / "build/python", ROOT / "tests/integration", ROOT / "tests/integration/guest"]
    with VM(found, cards=1, pythonpath=path) as vm:
        vm.load_modules(built)
        iface = vm.interface(0)
        vm.run(["ip", "link", "set", iface, "mtu", str(MTU), "up"])
        vm.wait_carrier(0)
        sent = conversation()
        say(f"{len(sent)} frames go in at the card; ntzc capture {iface} reads them in place")
        received, lost, data = receive(vm, iface, sent)
        say(f"ntzc send {iface} writes {len(sent)} frames in place; they come out at the host")
        mirrored = transmit(vm, iface, sent)
        vm.assert_log_clean()
    with tempfile.NamedTemporaryFile(suffix=".pcapng") as file:
        file.write(data)
        file.flush()
        check_readers(Path(file.name), len(sent))
    total = len(sent)
    print(f"demo: received {received}/{total}, sent {mirrored}/{total}, lost {lost}")
    return not received == mirrored == total


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
