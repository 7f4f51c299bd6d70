# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc bench`` whole, on emulated cards: its accounts are right, whatever its rates are.

A machine of its own with four of NTZC's cards, joined by cables 0 to 1 and 2 to 3. What is
tested is a cable, a far end that sends back, and a bridge that loses exactly the frames that
its filter names. No rate is compared with anything: on emulated cards it means nothing.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from emulation import kernels, modules
from emulation.vm import VM

from . import aftermath
from .conftest import HERE, REPOSITORY
from .test_libntzc import SAMPLES

LABEL = "emulation: rates mean nothing for hardware"
MAX_RATE = "4000"


@dataclass(repr=False)
class Lab:
    """The machine.

    Attributes:
        vm: the machine.
        abi: tests/integration/guest/abi.py, in the guest.
        command: tests/integration/guest/benchcli.py, there, too.
        cards: the interfaces; each is joined to its neighbour.

    """

    vm: VM
    abi: Any
    command: Any
    cards: list[str]

    def bench(self, *words: str, status: int = 0) -> tuple[str, str]:
        """Run it; return what it printed, and its errors."""
        ended, out, err = self.command.run("bench", *words)
        assert ended == status, out + err
        assert "Traceback" not in err
        return out, err

    def measure(self, *words: str) -> tuple[str, dict[str, Any]]:
        """Run it with short trials; return what it printed, and its JSON."""
        # waited for only where frames are missing; a bridge may get no processor for a while
        settle = f"{round(2000 * self.vm.kernel.pace)}ms"
        short = f"--trial 250ms --settle {settle} --burst 200ms --resolution 10".split()
        out, _ = self.bench(*words, *short, "--json", "/tmp/bench.json")
        report: dict[str, Any] = json.loads(self.vm.read_file("/tmp/bench.json"))
        assert_sound(report)
        return out, report

    def n_taps(self) -> int:
        return sum(p.n_taps for p in self.abi.ports())

    def beside(self, *words: str, taps: int) -> Any:
        """Start another ``ntzc``; return it once it has its taps."""
        before = self.n_taps()
        run = self.command.Beside(*words)
        self.vm.wait_until(
            lambda: not run.alive() or self.n_taps() == before + taps, 60, "its taps"
        )
        assert run.alive(), run.wait()
        return run

    @staticmethod
    def end(run: Any) -> str:
        """Interrupt it; return its errors."""
        run.interrupt()
        status, err = run.wait()
        assert status == 0, err
        return str(err)


@pytest.fixture(scope="module")
def lab(kernel: str) -> Iterator[Lab]:
    built = modules.build(kernels.fetch(kernel))
    path = [REPOSITORY / "build/python", HERE, HERE / "guest"]
    with VM(kernel, cards=4, cross=[(0, 1), (2, 3)], pythonpath=path) as vm:
        vm.load_modules(built)
        cards = [vm.interface(card) for card in range(4)]
        for name in cards:
            vm.run(["ip", "link", "set", name, "up"])
        for card in range(4):
            vm.wait_carrier(card)
        command = vm.python(timeout_s=400)  # a whole run of it is one call
        lab = Lab(vm, vm.guest.modules["abi"], command.modules["benchcli"], cards)
        yield lab
        vm.wait_until(lambda: lab.n_taps() == 0, 30, "the taps' end")
        command.close()
        aftermath.assert_none(vm)


def trials(report: dict[str, Any]) -> list[dict[str, Any]]:
    runs = [run for result in report["results"] for run in result.get("runs", [])]
    runs += [result["search"] for result in report["results"] if "search" in result]
    return [*report["warm_ups"], *(trial for run in runs for trial in run["trials"])]


def assert_sound(report: dict[str, Any]) -> None:
    """Check all that must hold of any report, whatever was measured."""
    assert report["format"] == "ntzc-bench"
    assert report["environment"]["label"] == LABEL
    assert len(report["environment"]["reasons"]) >= 2
    assert report["system"]["cpu"]
    assert report["system"]["mitigations"]
    for port in report["ports"].values():
        assert port["driver"]["driver"] == "ntzc_igb"
        assert port["rings"]["current hardware settings: RX"] == "1024"
        assert port["pci"]["device"] == "0x10c9"
        assert port["coalescing"]
    for trial in trials(report):
        load = trial["load"]
        assert 0 < trial["sent"] <= load["frames"], trial
        assert trial["lost"] == trial["sent"] - trial["received"] >= 0, trial
        assert not trial["corrupt"] and not trial["backward"], trial
        assert trial["latency"]["frames"] == trial["received"], trial
        times = [trial["latency"][f"{n}_ns"] for n in ("min", "median", "p99", "p999", "max")]
        assert times == sorted(times), trial
        if load["rate_fps"]:
            assert trial["achieved_fps"] <= load["rate_fps"], trial
        assert 0 < trial["send_ns"] <= trial["cpu"]["wall_ns"], trial
        assert trial["cpu"]["send_ns"] > 0 and trial["cpu"]["receive_ns"] > 0, trial
        assert not trial["causes"]["tx_failed"], trial
    for result in report["results"]:
        if result["test"] == "throughput":
            for run in result["runs"]:
                good = [t["achieved_fps"] for t in run["trials"] if t["spotless"]]
                assert run["value"] <= max(good, default=0), run
                assert bool(run["value"]) == bool(good), run


def test_the_whole_suite_runs_over_a_cable_and_its_report_is_complete(lab: Lab) -> None:
    text, report = lab.measure(
        *lab.cards[:2], "--sizes", "64,1518,9018", "--repeat", "2", "--max-rate", MAX_RATE
    )
    assert report["complete"]
    done = {(result["test"], result["frame_size_bytes"]) for result in report["results"]}
    tests = ("throughput", "latency", "loss", "back-to-back")
    assert done == {(test, size) for test in tests for size in (64, 1518)}
    assert [entry["frame_size_bytes"] for entry in report["skipped"]] == [9018]
    assert report["wiring"]["path"] == "one way"
    for result in report["results"]:
        assert len(result["runs"]) == 2 or "skipped" in result
    assert text.count(LABEL) == 2
    for words in ("26.1", "26.2", "26.3", "26.4", "9018 bytes: not tested", "software"):
        assert words in text


def test_a_bridge_that_drops_every_eighth_frame_is_seen_to_lose_just_those(lab: Lab) -> None:
    """The number of a frame is at 48; its low bits say which the bridge's filter refuses."""
    bridge = lab.beside("bridge", *lab.cards[1:3], "ether[51] & 7 != 7", taps=2)
    _, report = lab.measure(
        lab.cards[0], lab.cards[3], "--sizes", "64", "--repeat", "1", "--max-rate", "2000",
        "--tests", "throughput,loss,latency", "--step", "25",
    )  # fmt: skip
    lab.end(bridge)
    by_test = {result["test"]: result for result in report["results"]}
    assert by_test["throughput"]["runs"][0]["value"] == 0
    assert "no rate" in by_test["latency"]["skipped"]
    for trial in trials(report):
        # frames 7, 15, 23 and so on
        assert trial["lost"] == trial["sent"] // 8, trial
        assert not any(trial["causes"].values()), trial
    rows = by_test["loss"]["summary"]["rates"]
    assert [row["rate_fps"] for row in rows] == [2000, 1500, 1000, 500]


def test_a_bridge_that_drops_nothing_is_seen_to_lose_nothing(lab: Lab) -> None:
    bridge = lab.vm.spawn([SAMPLES / "bridge", *lab.cards[1:3]])
    lab.vm.wait_until(lambda: lab.n_taps() == 2, 30, "its taps")
    _, report = lab.measure(
        lab.cards[0], lab.cards[3], "--sizes", "1518", "--repeat", "1", "--max-rate", "500",
        "--tests", "throughput,latency", "--tx-cpu", "0", "--rx-cpu", "1", "--busy-poll", "50",
    )  # fmt: skip
    bridge.signal(signal.SIGINT)
    bridge.wait(60).check()
    throughput, latency = report["results"]
    assert throughput["summary"]["rate_fps"]["median"] > 0
    assert latency["summary"]["latency"]["frames"]["median"] > 0


def test_a_receiver_without_room_loses_and_the_cause_is_told(lab: Lab) -> None:
    """A ring of one: what comes in one poll of the card beyond the first frame is lost.

    All frames find room in the card's ring, where the emulated one counts no losses.
    """
    _, report = lab.measure(
        *lab.cards[:2], "--sizes", "64", "--repeat", "1", "--max-rate", "4000",
        "--tests", "back-to-back", "--ring", "1",
    )  # fmt: skip
    (run,) = report["results"][0]["runs"]
    lossy = [trial for trial in run["trials"] if trial["lost"]]
    assert lossy
    for trial in lossy:
        assert trial["causes"]["lost_ring"] == trial["lost"], trial
    assert run["limit"] == "loss"


def test_one_card_measures_with_a_far_end_that_sends_back(lab: Lab) -> None:
    far = lab.beside("bench", "--reflect", lab.cards[1], taps=1)
    _, report = lab.measure(
        lab.cards[0], "--sizes", "64", "--repeat", "1", "--max-rate", "1000",
        "--tests", "latency",
    )  # fmt: skip
    said = lab.end(far)
    assert report["wiring"]["path"] == "round trip"
    counts = [int(word) for word in said.split() if word.isdecimal()]
    came, returned, dropped = counts[-3:]
    assert came == returned + dropped
    assert came == sum(trial["sent"] for trial in trials(report))
    # what is lost here is lost on its way back
    assert 0 < sum(trial["received"] for trial in trials(report)) <= returned


def test_jumbo_frames_are_measured_where_the_mtu_allows_them(lab: Lab) -> None:
    pair = lab.cards[2:]

    def set_mtu(mtu: int) -> None:
        for name in pair:
            lab.vm.run(["ip", "link", "set", name, "mtu", str(mtu)])
        for card in (2, 3):
            lab.vm.wait_carrier(card)

    set_mtu(9000)
    try:
        _, report = lab.measure(
            *pair, "--sizes", "9018", "--repeat", "1", "--max-rate", "500", "--tests", "loss"
        )
    finally:
        set_mtu(1500)
    assert not report["skipped"]
    assert sum(trial["received"] for trial in trials(report)) > 0


def test_mistakes_are_told_clearly(lab: Lab) -> None:
    first, second = lab.cards[:2]
    quick = ("--tests", "loss", "--sizes", "64", "--trial", "100ms", "--settle", "100ms")

    assert "same card" in lab.bench(first, first, status=2)[1]
    lab.bench(status=2)
    lab.bench("--reflect", first, second, status=2)
    lab.bench(first, second, "--tests", "speed", status=2)
    lab.bench(first, second, "--trial", "soon", status=2)
    lab.bench(first, second, "--tx-cpu", "99", status=2)
    lab.bench(first, "nosuchcard", status=5)

    # the cables are 0 to 1 and 2 to 3
    _, err = lab.bench(first, lab.cards[2], *quick, status=1)
    assert f"is {first} joined to {lab.cards[2]}?" in err

    _, err = lab.bench(first, second, *quick, "--json", "/nowhere/x.json", status=1)
    assert "/nowhere/x.json" in err

    lab.vm.run(["ip", "link", "set", second, "down"])
    try:
        _, err = lab.bench(first, second, *quick, status=1)
    finally:
        lab.vm.run(["ip", "link", "set", second, "up"])
        lab.vm.wait_carrier(1)
    assert f"ip link set dev {second} up" in err


def test_without_the_capability_it_says_so(lab: Lab) -> None:
    status, err = lab.command.without_the_right("bench", *lab.cards[:2])
    assert status == 4, err
    assert err.count("\n") == 1


def test_a_run_that_is_interrupted_reports_what_it_has(lab: Lab) -> None:
    def sent() -> int:
        return int(lab.abi.port_stats(lab.cards[0])["tx_frames"])

    before = sent()
    run = lab.command.Beside(
        "bench", *lab.cards[:2], "--json", "/tmp/cut.json", "--sizes", "64",
        "--max-rate", "1000", "--tests", "loss",
    )  # fmt: skip
    lab.vm.wait_until(lambda: sent() > before + 300, 60, "a trial")
    assert "interrupted" in lab.end(run)
    assert not json.loads(lab.vm.read_file("/tmp/cut.json"))["complete"]
