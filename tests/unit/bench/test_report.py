# SPDX-License-Identifier: GPL-2.0-or-later
"""What the report makes of records."""

from __future__ import annotations

from typing import Any

import pytest

from bench.goals import standing
from bench.report import claims, overview, render

Record = dict[str, Any]


def record(system: str, direction: str, frame_len: int, total: float, **more: Any) -> Record:
    """A record with a cost, all else being usual."""
    counts = ("user", "kernel", "driver", "core")
    rest = (
        "syscalls",
        "interrupts",
        "atomics",
        "copied_bytes",
        "mmio",
        "mmio_reads",
        "mmio_reads_hot",
    )
    usual: Record = {f"insn_{part}": total / 4 for part in counts} | dict.fromkeys(rest, 0.5)
    usual |= {"system": system, "direction": direction, "frame_len": frame_len, "batch": 64}
    usual |= {"taps": 1, "insn_total": total, "mmio_writes": 0.25, "packets": 8192}
    usual |= {"insn_copying": 0.5}
    usual |= {"repeat": 0.004, "steady": True, "attempts": 1, "kernel": "9.9", "driver": "d"}
    usual |= {"sitting": "2001-01-01T00:00:00+00:00", "revision": "0123456789ab"}
    return usual | {"setup": "as <usual>", "command": f"run {system}"} | more


RECORDS = [
    record("ntzc-rings", "rx", 60, 150.0),
    record("ntzc-rings", "rx", 60, 130.0, batch=256),
    record("ntzc-rings", "rx", 60, 400.0, taps=5),
    record("ntzc-rings", "tx", 60, 300.0),
    record("ntzc-python", "rx", 60, 500.0),
    record("dpdk", "rx", 60, 75.0),
    record("af-xdp-zc", "rx", 60, 450.0, steady=False, repeat=-0.2),
    record("pcap-inject", "tx", 60, 3600.0),
    record("python-scapy", "rx", 60, 50000.0),
]


def test_a_peer_is_compared_with_ours_of_its_kind() -> None:
    rows = {row["system"]: row for row in overview(RECORDS, "rx")}
    assert rows["af-xdp-zc"]["cells"][0]["ratio"] == pytest.approx(3)
    assert rows["dpdk"]["cells"][0]["ratio"] == pytest.approx(0.5)
    assert rows["python-scapy"]["cells"][0]["ratio"] == pytest.approx(100)
    assert rows["python-scapy"]["base"] == "ntzc-python"


def test_the_cheapest_comes_first_whosever_it_is() -> None:
    assert overview(RECORDS, "rx")[0]["system"] == "dpdk"


def test_what_was_not_measured_has_no_cell() -> None:
    rows = {row["system"]: row for row in overview(RECORDS, "rx")}
    assert rows["dpdk"]["cells"][1] is None


def test_claims_are_ratios_measured_and_rates_projected() -> None:
    found = claims(RECORDS)
    assert found["sent"][60]["ratio"] == pytest.approx(12)
    assert found["received"] == {60: 150.0}
    assert found["needed_ipc"][60] == pytest.approx(0.05)
    by_ipc = {each["ipc"]: each["mpps"] for each in found["projected"]}
    assert by_ipc[1.0] == [pytest.approx(20)]


def test_the_page_says_what_is_steady_what_is_projected_and_what_is_absent() -> None:
    check = {"pause_ms": 60, "rounds": 2000, "len_bytes": 1000, "syscalls": 2000}
    check |= {"copied_bytes": 2000000, "user_atomics": 2000}
    results = {"when": "now", "moderation_us": 8000, "ring": 4096, "gathered": 2048}
    results |= {"gathered_jumbo": 512, "steady": 0.01, "check": check, "records": RECORDS}
    skipped = {"system": "af-xdp-zc", "direction": "rx", "frame_len": 9014, "why": "too <long>"}
    page = render(results | {"skipped": [skipped]})
    assert "450*" in page
    assert "projection, not a measurement" in page
    assert "netmap" in page
    assert "too &lt;long&gt;" in page
    assert "as &lt;usual&gt;" in page
    assert page.count("<svg") == 2  # of batches, and of readers


def test_goals_are_judged_by_what_was_measured() -> None:
    rows = {row["what"]: row for row in standing(RECORDS)}
    assert rows["receive through rings, instructions"]["verdict"] == "holds"
    assert rows["transmit through rings"]["verdict"] == "missed"
    assert rows["each further tap"]["value"] == "62.5"
    more = [*RECORDS, record("ntzc-rings", "rx", 60, 900.0, taps=16)]
    assert {row["what"]: row["value"] for row in standing(more)}["each further tap"] == "50"
    assert rows["DPDK over ours, receive"]["verdict"] == "missed"
    assert rows["forward by reference"]["verdict"] == "not measured"
    better = [*RECORDS, record("dpdk", "rx", 60, 300.0)]
    assert {row["what"]: row["verdict"] for row in standing(better)}[
        "DPDK over ours, receive"
    ] == "goal reached"


def test_growth_is_that_of_the_hot_path_and_of_copying_and_not_of_waiting() -> None:
    more = [
        record("ntzc-rings", "rx", 1514, 900.0, insn_user=37.5, insn_driver=37.5, insn_core=39.25),
        record("ntzc-rings-loaded", "rx", 60, 150.0, insn_core=48.75),
    ]
    rows = {row["what"]: row for row in standing([*RECORDS, *more])}
    longer = rows["1,514 bytes instead of 60, hot path: more"]
    assert (longer["value"], longer["verdict"]) == ("1.55 %", "holds")
    loaded = rows["pool x 4, 2,000 held, 32 taps idle, hot path: more"]
    assert (loaded["value"], loaded["verdict"]) == ("10 %", "missed")
    more[0]["insn_copying"] = 12.0  # the frame's length, in instructions
    rows = {row["what"]: row for row in standing([*RECORDS, *more])}
    assert rows["1,514 bytes instead of 60, hot path: more"]["verdict"] == "missed"
