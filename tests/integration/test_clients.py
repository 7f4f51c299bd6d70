# SPDX-License-Identifier: GPL-2.0-or-later
"""What users run: the ntzc command, programs on pyntzc, the C library's tools."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from emulation.channel import Completed

from .conftest import REPOSITORY, Bench
from .frames import frame

PYTHON = REPOSITORY / "build/python"
LIB = REPOSITORY / "build/lib"
ENVIRONMENT = {"PYTHONPATH": str(PYTHON)}


def ntzc(bench: Bench, *words: str, check: bool = True) -> Completed:
    return bench.vm.run([PYTHON / "bin/ntzc", *words], 120, check=check, env=ENVIRONMENT)


def with_traffic(bench: Bench, argv: Sequence[str | Path], frames: Sequence[bytes]) -> Completed:
    """Run a program that captures on card 0; send it *frames* once it has its tap."""
    run = bench.vm.spawn(argv, env=ENVIRONMENT)
    bench.vm.wait_until(
        lambda: run.returncode is not None or sum(p.n_taps for p in bench.abi.ports()) == 1,
        60,
        "its tap",
    )
    bench.wire.send_many(frames)
    return run.wait(120).check()


def test_list_and_stats_tell_of_the_cards(bench: Bench) -> None:
    text = ntzc(bench, "list").stdout
    assert bench.iface in text
    assert bench.near in text
    assert bench.peer not in text
    rows = [json.loads(line) for line in ntzc(bench, "list", "--json").stdout.splitlines()]
    assert {row["name"] for row in rows} == {bench.iface, bench.near}
    assert "pool" in ntzc(bench, "stats", bench.iface).stdout.lower()


def test_capture_prints_lines_and_writes_what_tcpdump_and_tshark_read(
    bench: Bench, tmp_path: Path
) -> None:
    frames = [frame(n, 60 + n) for n in range(100)]
    command: list[str | Path] = [
        PYTHON / "bin/ntzc",
        "capture",
        bench.iface,
        "-c",
        "100",
        "-w",
        "/tmp/t.pcapng",
    ]
    done = with_traffic(bench, command, frames)
    assert len(done.stdout.splitlines()) == 100
    assert "lost 0" in done.stderr
    path = tmp_path / "t.pcapng"
    path.write_bytes(bench.vm.read_file("/tmp/t.pcapng"))
    for reader in (["tcpdump", "-nn", "-r"], ["tshark", "-n", "-r"]):
        read = subprocess.run([*reader, path], capture_output=True, text=True, check=True)
        # tcpdump adds a dump in hexadecimal to what it does not know
        assert sum(not line.startswith("\t") for line in read.stdout.splitlines()) == 100
    # and what was captured goes out again, byte for byte
    ntzc(bench, "send", bench.iface, "/tmp/t.pcapng")
    assert bench.wire.recv_many(100, 30) == frames


def test_mistakes_on_the_command_line_are_told_apart(bench: Bench) -> None:
    assert ntzc(bench, "capture", "nosuchcard", check=False).returncode == 5
    assert ntzc(bench, "capture", bench.peer, check=False).returncode == 5
    assert ntzc(bench, "send", bench.iface, "/nonexistent", check=False).returncode in (1, 2)
    done = ntzc(bench, "stats", "nosuchcard", check=False)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr


def test_a_program_of_five_lines_sees_packets_in_place(bench: Bench) -> None:
    """A packet's memory is read-only, a released one raises, the rest of the world goes on."""
    program = f"""
import pyntzc
with pyntzc.open({bench.iface!r}) as tap:
    kept = []
    for packet in tap:
        kept.append(packet)
        if len(kept) == 10: break
    assert all(memoryview(p.data).readonly for p in kept)
    print(*(bytes(p).hex() for p in kept))
    assert tap.stats().held == 10
    first = kept[0]
    first.release(); first.release()
    try:
        first.data
    except pyntzc.ReleasedError:
        print("released")
    assert tap.stats().held == 9
    del kept, packet, first
    tap.send([bytes.fromhex("02000000aa0102000000aa0288b5") + b"x" * 46])
    tap.drain()
"""
    frames = [frame(n) for n in range(10)]
    done = with_traffic(bench, ["python3", "-c", program], frames)
    lines = done.stdout.splitlines()
    assert [bytes.fromhex(word) for word in lines[0].split()] == frames
    assert lines[1] == "released"
    assert bench.wire.recv(10).endswith(b"x" * 46)


def test_the_c_tools_capture_and_send(bench: Bench) -> None:
    done = with_traffic(bench, [LIB / "sniff", "-c", "50", bench.iface], [frame(1)] * 50)
    assert "sniff: 50 frames, " in done.stdout
    bench.vm.run([LIB / "send", "-c", "200", "-s", "100", bench.iface], 60)
    got = bench.wire.recv_many(200, 30)
    assert {len(data) for data in got} == {100}


def test_a_card_moves_to_ntzc_and_back(bench: Bench) -> None:
    name = bench.peer
    address = bench.vm.pci(2)
    driver = f"/sys/bus/pci/devices/{address}/driver/module"
    bench.vm.run(["ip", "address", "add", "192.0.2.77/24", "dev", name])
    refused = ntzc(bench, "attach", name, check=False)
    assert refused.returncode != 0
    assert "address" in refused.stderr
    bench.vm.run(["ip", "address", "flush", "dev", name])
    try:
        ntzc(bench, "attach", name)
        rows = [json.loads(line) for line in ntzc(bench, "list", "--json").stdout.splitlines()]
        assert address in {row["bus"] for row in rows}
        assert "ntzc_igb" in bench.vm.run(["readlink", driver]).stdout
    finally:
        ntzc(bench, "detach", address)
        bench.load_peer()
    assert bench.vm.run(["readlink", driver]).stdout.strip().endswith("/igb")
