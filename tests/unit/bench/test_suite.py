# SPDX-License-Identifier: GPL-2.0-or-later
"""A benchmark that was interrupted goes on where it was left."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from bench import suite
from bench.lab import Record, revision
from bench.systems import Case, System
from emulation import kernels

KERNEL = "9.9"


def record(system: System, case: Case, **more: Any) -> Record:
    fields: dict[str, Any] = {field.name: 1 for field in dataclasses.fields(Record)}
    fields |= {"system": system.name, "kernel": KERNEL, "taps": case.taps, "batch": case.batch}
    fields |= {"direction": case.direction, "frame_len": case.frame_len}
    fields |= {"packets": 2 * case.count, "revision": revision()}
    return Record(**fields | more)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, Case]]:
    """What a run measures, in a machine that is none; its results go to *tmp_path*."""
    cases: list[tuple[str, Case]] = []

    def measure(_: str, wanted: Any, *rest: object) -> Iterator[Record]:
        for system, case in wanted:
            cases.append((system.name, case))
            yield record(system, case)

    monkeypatch.setattr(suite, "measure", measure)
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    monkeypatch.setattr(suite, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(kernels, "fetch", lambda _: SimpleNamespace(release=KERNEL))
    return cases


def run(*words: str) -> str:
    done = CliRunner().invoke(suite.main, [KERNEL, "--only", "ntzc-rings", *words])
    return "" if done.exit_code == 0 else done.output


def keep(*records: Record) -> None:
    found = {"records": [dataclasses.asdict(kept) for kept in records]}
    suite.RESULTS.write_text(json.dumps(found))


def test_what_was_measured_is_kept_and_the_rest_is_measured(
    measured: list[tuple[str, Case]],
) -> None:
    assert run() == ""
    everything = measured.copy()
    records = [Record(**fields) for fields in json.loads(suite.RESULTS.read_text())["records"]]
    assert len(records) == len(everything) > 30
    measured.clear()
    keep(*records[:10])
    assert run("--resume") == ""
    assert measured == everything[10:]
    assert len(json.loads(suite.RESULTS.read_text())["records"]) == len(everything)


def test_a_run_on_another_kernel_is_not_gone_on_with(measured: list[tuple[str, Case]]) -> None:
    system, case = next(suite.full())
    keep(record(system, case, kernel="8.8"))
    assert "the run was on 8.8, not on 9.9" in run("--resume")
    assert measured == []


def test_without_a_run_there_is_none_to_go_on_with(measured: list[tuple[str, Case]]) -> None:
    assert "no run to go on with: results.json" in run("--resume")
    assert measured == []


def test_what_has_changed_since_is_not_added_to(measured: list[tuple[str, Case]]) -> None:
    system, case = next(suite.full())
    keep(record(system, case, revision="another"))
    assert "has changed since that run" in run("--resume")
    assert measured == []


def test_what_was_measured_in_fewer_packets_is_measured_again(
    measured: list[tuple[str, Case]],
) -> None:
    system, case = next(suite.full())
    keep(record(system, case, packets=case.count))
    assert run("--resume") == ""
    assert measured[0] == (system.name, case)
    records = json.loads(suite.RESULTS.read_text())["records"]
    assert len(records) == len(measured)
    assert all(r["packets"] == 2 * Case.count for r in records)
