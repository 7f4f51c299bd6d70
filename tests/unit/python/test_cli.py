# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line where there is no module: clear words, and a status for scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pyntzc

PACKAGE = Path(pyntzc.__file__).parent

pytestmark = pytest.mark.skipif(Path("/dev/ntzc").exists(), reason="the module is loaded here")


def ntzc(*arguments: str) -> subprocess.CompletedProcess[str]:
    return python("from pyntzc._cli import main; main()", *arguments)


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["capture", "eth0"],
        ["capture", "eth0", "udp", "port", "53"],
        ["stats", "eth0"],
        ["stats", "--taps", "eth0"],
        ["send", "eth0", __file__],
        ["bridge", "eth0", "eth1"],
        ["bench", "eth0", "eth1"],
        ["bench", "--reflect", "eth0"],
        ["port", "eth0"],
        ["port", "eth0", "--stack", "copy"],
    ],
)
def test_without_the_module_it_says_what_to_load(arguments: list[str]) -> None:
    done = ntzc(*arguments)
    assert done.returncode == 3
    assert done.stderr.startswith("ntzc: ")
    assert "modprobe ntzc" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


@pytest.mark.parametrize("arguments", [["attach", "no-such-card"], ["detach", "0000:ff:1f.7"]])
def test_a_card_that_is_not_there_is_told(arguments: list[str]) -> None:
    done = ntzc(*arguments)
    assert done.returncode == 5
    assert arguments[1] in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["capture"],
        ["frobnicate"],
        ["send", "eth0", "/no/such/file"],
        ["capture", "-c", "0", "eth0"],
        ["stats", "-i", "0", "eth0"],
        ["bridge", "eth0"],
        ["bench"],
        ["bench", "eth0", "eth1", "eth2"],
        ["bench", "--reflect", "eth0", "eth1"],
        ["bench", "--reflect", "eth0", "--sizes", "64"],
        ["capture", "eth0", "--json", "-q"],
        ["capture", "eth0", "--json", "-w", "-"],
        ["stats", "-c", "5", "eth0"],
        ["bench", "eth0", "eth1", "--sizes", "63"],
        ["bench", "eth0", "eth1", "--ring", "1000"],
        ["bench", "eth0", "eth1", "--tests", "speed"],
        ["bench", "eth0", "eth1", "--trial", "0s"],
        ["bench", "eth0", "eth1", "--dst-mac", "nobody"],
        ["port", "eth0", "--stack", "some"],
        ["port", "eth0", "--quota", "-1"],
    ],
)
def test_wrong_usage_is_told_as_such(arguments: list[str]) -> None:
    assert ntzc(*arguments).returncode == 2


@pytest.mark.parametrize(
    "name", ["attach", "bridge", "capture", "detach", "list", "port", "send", "stats"]
)
def test_each_command_has_help_that_agrees_with_the_overview(name: str) -> None:
    overview, done = ntzc("--help"), ntzc(name, "--help")
    assert done.returncode == overview.returncode == 0
    assert done.stdout.startswith(f"Usage: ntzc {name} ")
    assert f"  {name} " in overview.stdout


def test_importing_the_package_imports_nothing_heavy() -> None:
    done = python("import sys, pyntzc; print(*sorted(sys.modules))")
    heavy = {"click", "rich", "numpy", "dpkt", "pcapng", "asyncio", "dataclasses", "cffi", "json"}
    heavy |= {"scapy", "pyntzc._libpcap"}
    assert not heavy & set(done.stdout.split())
    assert "pyntzc._tap" in done.stdout
