# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python client on the real module: arrays, asyncio, scapy, filters, bridges, files."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pcapng
import pytest

from emulation.channel import Completed

from .conftest import Bench
from .frames import frame
from .test_clients import ENVIRONMENT, PYTHON, ntzc, with_traffic

PEER_ADDRESS = "192.0.2.2"


def udp(port: int, number: int, tag: bytes = b"") -> bytes:
    """A UDP datagram to *port*, whose last bytes are *number*, 60 bytes and an 802.1Q *tag*."""
    head = bytes.fromhex("02000000aa0102000000aa02") + tag + bytes.fromhex("0800")
    ip = bytes.fromhex("4500002e00004000401100000a0000010a000002")
    payload = number.to_bytes(18, "big")
    return head + ip + b"\x10\x00" + port.to_bytes(2, "big") + b"\x00\x1a\x00\x00" + payload


def python(bench: Bench, program: str, frames: Sequence[bytes]) -> Any:
    """Run *program* on card 0 with *frames* coming in; return the JSON that it prints."""
    head = f"import json, pyntzc\nIFACE = {bench.iface!r}\nCOUNT = {len(frames)}\n"
    done = with_traffic(bench, ["python3", "-W", "error", "-c", head + program], frames)
    return json.loads(done.stdout)


@pytest.mark.parametrize("door", ["rings", "calls"])
def test_arrays_show_what_was_sent(bench: Bench, door: str) -> None:
    frames = [frame(n, 60 + n % 1400) for n in range(600)]
    program = f"""
import hashlib, numpy as np
digest, count, lengths, heads, times = hashlib.sha256(), 0, [], [], []
with pyntzc.open(IFACE, door={door!r}, ring_size=1024, quota=1024) as tap:
    assert tap.door == {door!r}
    for batch in tap.batches(256, timeout_s=20):
        with batch:
            descs, pool = batch.descs, batch.pool
            lengths += descs["len"].tolist()
            times += descs["timestamp"].tolist()
            heads.append(batch.bytes(22))
            for desc in descs:
                digest.update(pool[desc["offset"]:desc["offset"] + desc["len"]])
            del pool
        count += len(batch)
        if count == COUNT:
            break
    assert np.diff(np.array(times, dtype=np.int64)).min() >= 0
    stats = tap.stats()
    assert (stats.received, stats.held, stats.lost, stats.bad_release) == (COUNT, 0, 0, 0)
print(json.dumps([lengths, digest.hexdigest(), np.concatenate(heads).tobytes().hex()]))
"""
    lengths, digest, heads = python(bench, program, frames)
    assert lengths == [*map(len, frames)]
    assert digest == hashlib.sha256(b"".join(frames)).hexdigest()
    assert bytes.fromhex(heads) == b"".join(data[:22] for data in frames)


def test_use_after_release_raises_and_arrays_never_show_recycled_memory(bench: Bench) -> None:
    frames = [frame(n) for n in range(600)]
    program = """
kept, count = [], 0
with pyntzc.open(IFACE, ring_size=1024, quota=1024) as tap:
    for batch in tap.batches(50, timeout_s=20):
        batch.bytes(4)
        if count < 200:
            kept.append((batch.data(0), batch.descs))
        batch.release()
        batch.release()
        for use in (lambda: batch.descs, lambda: batch.pool, lambda: batch[0]):
            try:
                use()
                raise SystemExit("a batch that was given back can be read")
            except pyntzc.ReleasedError:
                pass
        count += len(batch)
        if count == COUNT:
            break
    held = tap.stats().held
    seen = [array.tobytes().hex() for array, _ in kept]
    descs = sum(len(descs) for _, descs in kept)
    del batch
    kept.clear()
    left = tap.stats().held
print(json.dumps([seen, held, descs, left]))
"""
    seen, held, descs, left = python(bench, program, frames)
    sent = {data.hex() for data in frames}
    assert seen and set(seen) <= sent
    # the batches of the arrays that were kept, whole
    assert held == descs
    assert left == 0


def test_asyncio_takes_batches_and_ends_cleanly(bench: Bench) -> None:
    program = """
import asyncio
async def main():
    count = total = 0
    with pyntzc.open(IFACE, ring_size=1024, quota=1024) as tap:
        async for batch in tap:
            with batch:
                count += len(batch)
                total += int(batch.descs["len"].sum())
            if count == COUNT:
                return [count, total, tap.stats().held]
print(json.dumps(asyncio.run(asyncio.wait_for(main(), 60))))
"""
    frames = [frame(n, 100) for n in range(500)]
    assert python(bench, program, frames) == [500, 50000, 0]


def test_packets_are_kept_while_hundreds_pass(bench: Bench) -> None:
    frames = [frame(n, 200) for n in range(800)]
    program = """
with pyntzc.open(IFACE, ring_size=4096, quota=1024) as tap:
    packets = tap.packets(timeout_s=20)
    kept = [next(packets) for _ in range(3)]
    for _ in range(COUNT - 3):
        next(packets)
    print(json.dumps([bytes(packet).hex() for packet in kept]))
"""
    assert python(bench, program, frames) == [data.hex() for data in frames[:3]]


def test_filters_are_set_changed_and_taken_away_while_it_runs(bench: Bench) -> None:
    tag = bytes.fromhex("81000005")
    frames = [udp(53, 0), udp(54, 1), udp(53, 2, tag), udp(54, 3, tag), frame(4)]
    program = """
from pathlib import Path
def seen(tap):
    number = lambda packet: int.from_bytes(bytes(packet)[-4:], "big")
    return [number(next(tap.packets())), *map(number, tap.packets(timeout_s=3))]
with pyntzc.open(IFACE, filter="udp port 53") as tap:
    first = seen(tap)
    assert tap.stats().filtered == COUNT - len(first)
    results = [first]
    for text in ("vlan 5 and udp port 54", None, "not ip and not vlan"):
        tap.filter = text
        Path("/tmp/again").touch()
        while Path("/tmp/again").exists():
            pass
        results.append(seen(tap)[:COUNT])
    try:
        tap.filter = "udp port"
    except pyntzc.FilterError as error:
        assert "syntax error" in str(error)
    assert tap.filter == "not ip and not vlan"
print(json.dumps(results))
"""
    head = f"import json, pyntzc\nIFACE = {bench.iface!r}\nCOUNT = {len(frames)}\n"
    bench.vm.run(["rm", "-f", "/tmp/again"])
    run = bench.vm.spawn(["python3", "-c", head + program], env=ENVIRONMENT)
    bench.vm.wait_until(lambda: sum(p.n_taps for p in bench.abi.ports()) == 1, 60, "its tap")
    bench.wire.send_many(frames)
    for _ in range(3):
        bench.vm.wait_until(
            lambda: (
                run.returncode is not None
                or bench.vm.run(["test", "-e", "/tmp/again"], check=False).returncode == 0
            ),
            60,
            "the next filter",
        )
        bench.wire.send_many(frames)
        bench.wire.drain()
        bench.vm.run(["rm", "-f", "/tmp/again"])
    results = json.loads(run.wait(60).check().stdout)
    last = int.from_bytes(frames[4][-4:], "big")
    # frames of different queues may overtake each other
    assert [sorted(seen) for seen in results] == [[0], [3], [0, 1, 2, 3, last], [last]]


def test_capture_takes_a_filter_and_counts_what_it_refused(bench: Bench) -> None:
    command: list[str | Path] = [PYTHON / "bin/ntzc", "capture", bench.iface, "-c", "20"]
    frames = [udp(53 + n % 2, n) for n in range(40)]
    done = with_traffic(bench, [*command, "--json", "udp", "port", "53"], frames)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 20
    assert all("53" in row["summary"] for row in rows)
    assert "filtered 19" in done.stderr or "filtered 20" in done.stderr
    refused = ntzc(bench, "capture", bench.iface, "udp port", check=False)
    assert refused.returncode in (1, 2)
    assert "syntax error" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_capture_file_tells_losses_queue_and_direction(bench: Bench, tmp_path: Path) -> None:
    command: list[str | Path] = [PYTHON / "bin/ntzc", "capture", bench.iface, "-q"]
    command += ["-c", "10", "-w", "/tmp/s.pcapng", "udp port 53"]
    frames = [udp(54, 1)] * 7 + [udp(53, n) for n in range(10)]
    with_traffic(bench, command, frames)
    path = tmp_path / "s.pcapng"
    path.write_bytes(bench.vm.read_file("/tmp/s.pcapng"))
    blocks = list(pcapng.FileScanner(io.BytesIO(path.read_bytes())))
    (statistics,) = (b for b in blocks if isinstance(b, pcapng.blocks.InterfaceStatistics))
    names = ("isb_ifrecv", "isb_filteraccept", "isb_ifdrop", "isb_osdrop", "isb_usrdeliv")
    assert [statistics.options[name] for name in names] == [17, 10, 0, 0, 10]
    fields = ("frame.interface_queue", "frame.packet_flags_direction", "frame.time_epoch")
    argv: list[str | Path] = [
        "tshark",
        "-n",
        "-r",
        path,
        "-T",
        "fields",
        *(w for f in fields for w in ("-e", f)),
    ]
    read = subprocess.run(argv, capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in read.stdout.splitlines()]
    assert len(rows) == 10
    assert {int(row[1], 0) for row in rows} == {1}
    assert all(len(row[2].split(".")[1]) == 9 for row in rows)


@pytest.fixture
def peer(bench: Bench) -> Iterator[str]:
    """The stock driver's card, with an address that it answers for."""
    bench.vm.run(["ip", "address", "add", f"{PEER_ADDRESS}/24", "dev", bench.peer])
    yield bench.peer
    bench.vm.run(["ip", "address", "flush", "dev", bench.peer])


def test_scapy_asks_a_peer_and_sniffs_its_answers(bench: Bench, peer: str) -> None:
    program = f"""
import json
from scapy.all import ARP, ICMP, IP, AsyncSniffer, Ether, conf, sendp, sniff, srp
from pyntzc.scapy import NtzcSocket
conf.verb = 0
conf.L2socket = conf.L2listen = NtzcSocket
iface, me = {bench.near!r}, {bench.vm.mac(1)!r}
ask = Ether(src=me, dst="ff:ff:ff:ff:ff:ff") / ARP(
    hwsrc=me, psrc="192.0.2.1", pdst={PEER_ADDRESS!r})
answers, _ = srp(ask, iface=iface, timeout=20, filter="arp")
mac = answers[0][1][ARP].hwsrc
ping = Ether(src=me, dst=mac) / IP(src="192.0.2.1", dst={PEER_ADDRESS!r}) / ICMP(id=7)
with NtzcSocket(iface, filter="icmp or arp") as socket:
    sniffer = AsyncSniffer(opened_socket=NtzcSocket(iface, filter="icmp"), count=3)
    sniffer.start()
    for seq in range(3):
        ping[ICMP].seq = seq
        # the peer asks for our address before it answers
        reply = Ether(src=me, dst=mac) / ARP(
            op=2, hwsrc=me, psrc="192.0.2.1", hwdst=mac, pdst={PEER_ADDRESS!r})
        sendp([reply, ping], socket=socket)
    got = sniff(opened_socket=socket, timeout=30, count=3, lfilter=lambda p: ICMP in p)
    sniffer.join(timeout=30)
print(json.dumps([mac, [p[ICMP].seq for p in got], [p[ICMP].seq for p in sniffer.results]]))
"""
    done = bench.vm.run(["python3", "-c", program], 120, env=ENVIRONMENT)
    mac, first, second = json.loads(done.stdout)
    assert mac == bench.vm.mac(2)
    assert first == second == [0, 1, 2]


def bridge(bench: Bench, *words: str) -> Any:
    """Start the bridge between the cards; return the run once both taps are there."""
    argv: list[str | Path] = [PYTHON / "bin/ntzc", "bridge", "--json", bench.iface, bench.near]
    run = bench.vm.spawn([*argv, *words], env=ENVIRONMENT)
    bench.vm.wait_until(
        lambda: run.returncode is not None or b"bridging" in run.stderr, 60, "the bridge"
    )
    return run


def end(run: Any) -> tuple[Completed, list[dict[str, Any]]]:
    """Interrupt it; return what it said, and its counts."""
    run.signal(signal.SIGINT)
    done = run.wait(60).check()
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_bridge_carries_both_ways_byte_for_byte(bench: Bench) -> None:
    run = bridge(bench)
    stock = bench.vm.guest.modules["stockpeer"].Peer(bench.peer)
    for start in range(0, 1000, 100):
        chunk = tuple((n, 60 + n) for n in range(start, start + 100))
        bench.wire.send_many([frame(*which) for which in chunk])
        assert stock.expect(chunk) == ""
        stock.send(chunk)
        assert bench.wire.recv_many(100, 30) == [frame(*which) for which in chunk]
    stock.close()
    done, (there, back) = end(run)
    assert (there["from"], there["to"]) == (bench.iface, bench.near)
    assert there["forwarded"] >= 1000 and back["forwarded"] >= 1000
    assert not any(way[name] for way in (there, back) for name in ("refused", "lost_ring"))
    assert "Traceback" not in done.stderr


def test_a_bridge_with_a_filter_lets_through_what_it_admits(bench: Bench) -> None:
    run = bridge(bench, "udp port 53")
    tag = bytes.fromhex("81000007")
    wanted = [udp(53, n) for n in range(50)]
    peer = bench.vm.spawn(
        ["tcpdump", "-i", bench.peer, "-Q", "in", "-nn", "-U", "-c", "50", "-w", "/tmp/b.pcap"]
    )
    bench.vm.wait_until(lambda: b"listening" in peer.stderr, 60, "tcpdump")
    for data in wanted:
        bench.wire.send_many([udp(54, 9), data, udp(54, 9, tag)])
    peer.wait(60).check()
    _, (there, _) = end(run)
    assert there["forwarded"] == 50
    assert there["filtered"] >= 100
    seen = bench.vm.read_file("/tmp/b.pcap")
    assert all(data in seen for data in wanted)


def test_a_bridge_onto_itself_is_refused(bench: Bench) -> None:
    for other in (bench.iface, bench.vm.pci(0)):
        done = ntzc(bench, "bridge", bench.iface, other, check=False)
        assert done.returncode == 2
        assert "same card" in done.stderr
    program = f"""
import pyntzc
with pyntzc.open({bench.iface!r}) as tap:
    for use in (lambda: tap.add_target({bench.iface!r}), lambda: tap.add_target("nosuch")):
        try:
            use()
        except pyntzc.NtzcError as error:
            print(type(error).__name__)
"""
    done = bench.vm.run(["python3", "-c", program], 60, env=ENVIRONMENT)
    assert done.stdout.split() == ["InvalidArgumentError", "NoSuchPortError"]


def test_a_fan_out_group_of_mixed_ports_is_refused_by_name(bench: Bench) -> None:
    program = f"""
import pyntzc
with pyntzc.open({bench.iface!r}, fanout=3), pyntzc.open({bench.iface!r}, fanout=3):
    try:
        pyntzc.open({bench.near!r}, fanout=3)
    except pyntzc.InvalidArgumentError as error:
        print(error)
"""
    done = bench.vm.run(["python3", "-c", program], 60, env=ENVIRONMENT)
    assert "fan-out group 3" in done.stdout


def test_a_copy_is_changed_and_sent_while_the_packet_stays(bench: Bench) -> None:
    program = """
with pyntzc.open(IFACE) as tap:
    packet = next(iter(tap))
    before = bytes(packet)
    buffer = tap.copy(packet)
    buffer.data[:6] = b"\\xff" * 6
    tap.submit(buffer)
    tap.drain()
    assert bytes(packet) == before
print(json.dumps(before.hex()))
"""
    sent = frame(5, 100)
    assert python(bench, program, [sent]) == sent.hex()
    assert bench.wire.recv(30) == b"\xff" * 6 + sent[6:]


def test_policy_is_shown_and_set_and_bounds_later_taps(bench: Bench) -> None:
    before = json.loads(ntzc(bench, "port", bench.iface, "--json").stdout)
    try:
        ntzc(bench, "port", bench.iface, "--quota", "100", "--quota-max", "200")
        program = f"""
import pyntzc
for quota in (0, 150, 1000):
    with pyntzc.open({bench.iface!r}, quota=quota) as tap:
        print(tap.quota)
print(*pyntzc.Port.find({bench.iface!r}).policy)
"""
        done = bench.vm.run(["python3", "-c", program], 60, env=ENVIRONMENT)
        assert done.stdout.split() == ["100", "150", "200", before["stack"], "100", "200"]
    finally:
        ntzc(bench, "port", bench.iface, "--quota", "0", "--quota-max", "0")
    after = json.loads(ntzc(bench, "port", bench.iface, "--json").stdout)
    assert after["quota_max"] == 0


def test_who_holds_what_is_shown(bench: Bench) -> None:
    program = f"""
import os, pyntzc, sys
with pyntzc.open({bench.iface!r}, quota=64, filter="udp port 53") as tap:
    kept = []
    while len(kept) < 5:
        kept.append(tap.recv(1)[0])
    print(os.getpid(), tap.tap_id, flush=True)
    sys.stdin.read()
"""
    run = bench.vm.spawn(["python3", "-c", program], env=ENVIRONMENT)
    bench.vm.wait_until(lambda: sum(p.n_taps for p in bench.abi.ports()) == 1, 60, "its tap")
    bench.wire.send_many([udp(53 + n % 2, n) for n in range(10)])
    bench.vm.wait_until(lambda: b"\n" in run.stdout, 60, "its packets")
    pid, tap_id = map(int, run.stdout.split())
    done = ntzc(bench, "stats", "--taps", "--json", bench.iface)
    row = json.loads(done.stdout)
    assert (row["pid"], row["id"], row["quota"], row["flags"]) == (
        pid,
        tap_id,
        64,
        ["FILTER", "PROMISC"],
    )
    assert row["comm"].startswith("python")
    assert (row["stats"]["held"], row["stats"]["filtered"]) == (5, 5)
    assert row["oldest_ns"] > 0
    assert str(pid) in ntzc(bench, "stats", "--taps", bench.iface).stdout
    run.close_stdin()
    run.wait(60).check()
