# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests of ``ntzc bench`` on a model of a device whose limits are known, and its figures."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyntzc import Port, PortFlag
from pyntzc._bench import suite
from pyntzc._bench.figures import (
    NS_PER_S,
    bucket_end_ns,
    l1_bits,
    latency,
    line_rate_fps,
    spread,
)
from pyntzc._bench.report import Report
from pyntzc._bench.rig import check_ready, speed_mbit_s
from pyntzc._bench.search import Attempt, search
from pyntzc._bench.suite import Settings
from pyntzc._bench.system import Environment, System
from pyntzc._bench.trial import Cpu, Load, Trial
from pyntzc._errors import InterfaceDownError, NtzcError
from pyntzc._libntzc import lib

SHORT = Settings(trial_ns=NS_PER_S, burst_ns=NS_PER_S, repeats=2)


@dataclass
class Device:
    """A device that forwards *capacity_fps*, stores *buffer* frames, and loses what is beyond.

    The generator before it makes *generator_fps* at most; the line carries *line_fps*.
    """

    capacity_fps: int
    line_fps: int = 1_488_095
    generator_fps: int = 10**9
    buffer: int = 0
    loads: list[Load] = field(default_factory=list)

    def top_rate_fps(self, size_bytes: int) -> int:
        return self.line_fps

    def run(self, load: Load) -> Trial:
        self.loads.append(load)
        rate = min(load.rate_fps or self.line_fps, self.line_fps, self.generator_fps)
        sent = load.frames
        if load.limit_ns:
            sent = min(sent, max(rate * load.limit_ns // NS_PER_S, 1))
        send_ns = sent * NS_PER_S // rate
        carried = sent
        if rate > self.capacity_fps:
            carried = min(sent, sent * self.capacity_fps // rate + self.buffer)
        return trial(load, sent, carried, send_ns)


def trial(load: Load, sent: int, received: int, send_ns: int) -> Trial:
    return Trial(
        load=load,
        sent=sent,
        received=received,
        duplicates=0,
        reordered=0,
        corrupt=0,
        stale=0,
        foreign=0,
        backward=0,
        send_ns=send_ns,
        late_max_ns=0,
        first_rx_ns=1,
        last_rx_ns=send_ns,
        latency=latency([0, received], 1, 1),
        cpu=Cpu(send_ns, send_ns // 2, 0, 0),
        causes={},
    )


# --- the search ---

loads = st.integers(1, 10**7)


@given(loads, st.integers(0, 10**7), st.integers(1, 10**5))
def test_a_search_ends_within_its_resolution_below_the_true_limit(
    top: int, limit: int, resolution: int
) -> None:
    tried: list[int] = []

    def attempt(load: int) -> Attempt:
        tried.append(load)
        return Attempt(load > limit, load)

    found = search(top, lambda _: resolution, attempt)
    if limit >= top:
        assert (found.load, found.limit, tried) == (top, "top", [top])
        return
    assert found.limit == "loss"
    assert limit - resolution < found.load <= limit
    assert found.load == 0 or found.load in tried
    assert len(tried) <= 2 + math.ceil(math.log2(top))
    assert all(1 <= load <= top for load in tried)


@given(loads, st.integers(0, 10**7), loads, st.integers(1, 1000))
def test_a_search_never_finds_more_than_was_offered_and_carried(
    top: int, limit: int, generator: int, resolution: int
) -> None:
    def attempt(load: int) -> Attempt:
        reached = min(load, generator)
        return Attempt(reached > limit, reached)

    found = search(top, lambda _: resolution, attempt)
    true = min(top, limit, generator)
    assert true - resolution < found.load <= true
    if found.limit == "generator":
        assert found.load == generator <= limit
    if found.limit == "top":
        assert found.load == top


@given(st.integers(1, 10**6), st.integers(1, 100), st.data())
def test_a_search_ends_with_a_device_that_cannot_make_up_its_mind(
    top: int, resolution: int, data: st.DataObject
) -> None:
    passed = [0]

    def attempt(load: int) -> Attempt:
        outcome = Attempt(data.draw(st.booleans()), data.draw(st.integers(1, load)))
        if not outcome.lost:
            passed.append(outcome.reached)
        return outcome

    found = search(top, lambda _: resolution, attempt)
    assert 0 <= found.load <= max(passed)


# --- the tests of the RFC, on the model ---


@given(st.integers(2000, 2_000_000))
def test_throughput_is_the_devices_within_the_resolution(capacity_fps: int) -> None:
    device = Device(capacity_fps)
    result = suite.throughput(device, 64, SHORT)
    true = min(capacity_fps, device.line_fps)
    resolution = SHORT.resolution(device.line_fps)
    for run in result.runs:
        assert true - resolution <= run.value <= true
        assert run.limit == ("top" if capacity_fps >= device.line_fps else "loss")
        assert any(t.spotless and t.achieved_fps == run.value for t in run.trials)
    summary = result.summary()
    assert summary["rate_fps"]["median"] == result.value.median
    bits = summary["l1_gbit_s"]["median"] * 1e9
    assert bits == pytest.approx(result.value.median * l1_bits(64), rel=1e-4, abs=1e3)


@given(st.integers(1000, 100_000), st.integers(1000, 100_000))
def test_a_generator_that_is_too_slow_is_named_as_the_limit(
    capacity_fps: int, generator_fps: int
) -> None:
    device = Device(capacity_fps, generator_fps=generator_fps)
    (run, _) = suite.throughput(device, 64, SHORT).runs
    if generator_fps <= capacity_fps:
        assert run.limit == "generator"
        assert run.value == pytest.approx(generator_fps, rel=0.001)
    else:
        assert run.limit == "loss"
        assert run.value <= capacity_fps


@given(st.integers(1000, 1_000_000), st.integers(1, 5000))
def test_the_longest_burst_is_what_the_buffer_holds_beyond_what_is_forwarded(
    capacity_fps: int, buffer: int
) -> None:
    device = Device(capacity_fps, buffer=buffer)
    (run, _) = suite.back_to_back(device, 64, SHORT).runs
    longest = run.value
    assert device.run(Load(64, longest, 0)).spotless
    beyond = longest + SHORT.resolution(longest) + 2
    if beyond < device.line_fps:
        assert longest >= min(buffer, device.line_fps)
        assert not device.run(Load(64, beyond, 0)).spotless
        assert run.limit == "loss"


def test_the_loss_test_goes_down_until_two_rates_have_none() -> None:
    device = Device(1_000_000, line_fps=1_000_000 * 10 // 7)  # 70 % of the line
    result = suite.loss(device, 64, SHORT)
    rates = [t.load.rate_fps * 100 // device.line_fps for t in result.runs[0].trials]
    assert [round(rate, -1) for rate in rates] == [100, 90, 80, 70, 60]
    lost = [row.lost_ppm.median for row in result.loss_rows()]
    assert lost == pytest.approx([300_000, 222_222, 125_000, 0, 0], abs=20)
    assert result.runs[0].value == pytest.approx(device.line_fps * 0.7, rel=0.001)


def test_a_device_that_always_loses_has_no_throughput_and_no_latency() -> None:
    device = Device(0)
    assert {run.value for run in suite.throughput(device, 64, SHORT).runs} == {0}
    assert "no rate" in suite.latency(device, 64, SHORT).skipped
    assert {run.value for run in suite.loss(device, 64, SHORT).runs} == {0}


def test_latency_is_timed_at_the_throughput() -> None:
    device = Device(500_000)
    result = suite.latency(device, 64, SHORT, rate_fps=400_000)
    assert [load.rate_fps for load in device.loads] == [400_000] * SHORT.repeats
    assert result.summary()["latency"]["median_ns"]["median"] == 1
    # without one that is known, it is searched for first
    found = suite.latency(device, 64, SHORT)
    assert found.search
    assert found.as_json()["search"]["trials"] == [t.as_json() for t in found.search.trials]
    assert device.loads[-1].rate_fps == pytest.approx(500_000, abs=1500)


# --- figures ---


def test_line_rates_are_those_of_the_standard() -> None:
    """Frames a second at 1 Gbit/s, as RFC 2544's appendix B has for slower media."""
    sizes = {64: 1_488_095, 128: 844_594, 256: 452_898, 512: 234_962, 1024: 119_731}
    sizes |= {1280: 96_153, 1518: 81_274, 9018: 13_830}
    assert {size: line_rate_fps(size, 1000) for size in sizes} == sizes
    assert line_rate_fps(64, 10) == 14_880  # that table's


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300))
def test_percentiles_are_those_of_the_sorted_latencies_within_a_bucket(values: list[int]) -> None:
    counts = [0] * lib.NTZC_METER_BUCKETS
    for value in values:
        counts[lib.ntzc_meter_bucket(value)] += 1
    got = latency(counts, min(values), max(values))
    ordered = sorted(values)
    assert (got.frames, got.min_ns, got.max_ns) == (len(values), ordered[0], ordered[-1])
    for permille, found in ((500, got.median_ns), (990, got.p99_ns), (999, got.p999_ns)):
        exact = ordered[math.ceil(len(values) * permille / 1000) - 1]
        assert exact <= found <= bucket_end_ns(lib.ntzc_meter_bucket(exact))
    assert got.min_ns <= got.median_ns <= got.p99_ns <= got.p999_ns <= got.max_ns


def test_no_latency_is_told_as_none() -> None:
    assert set(latency([0] * 10, 0, 0)) == {0}


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_a_spread_holds_what_was_measured(values: list[int]) -> None:
    got = spread(values)
    assert (got.minimum, got.maximum, got.trials) == (min(values), max(values), len(values))
    assert got.median in values
    assert sum(v < got.median for v in values) <= len(values) / 2
    assert sum(v > got.median for v in values) <= len(values) / 2


@given(st.integers(1, 10**6), st.integers(1, 10**10), st.integers(1, 2 * 10**10))
def test_no_trial_claims_more_than_was_asked_for(rate: int, trial_ns: int, took_ns: int) -> None:
    load = Load.lasting(64, rate, trial_ns)
    done = trial(load, load.frames, load.frames, took_ns)
    assert done.achieved_fps <= rate
    assert done.achieved_fps * took_ns <= load.frames * NS_PER_S


# --- the system ---


def port(flags: PortFlag = PortFlag.UP | PortFlag.CARRIER) -> Port:
    return Port(
        id=1,
        ifindex=2,
        name="eth1",
        bus="0000:01:00.0",
        queues=1,
        max_queues=8,
        buf_size=2048,
        buffers=3072,
        headroom=128,
        frame_max=1518,
        numa_node=-1,
        flags=flags,
        n_taps=0,
        memory_bytes=0,
        mac="02:00:00:00:00:01",
    )


def machine(root: Path, *, subsystem: str, vendor: str, flags: str) -> System:
    files = {
        "sys/bus/pci/devices/0000:01:00.0/subsystem_vendor": subsystem,
        "sys/class/dmi/id/sys_vendor": vendor,
        "proc/cpuinfo": f"processor\t: 0\nmodel name\t: A Processor\nflags\t\t: fpu {flags}\n",
        "proc/meminfo": "MemTotal:        2048 kB\n",
        "sys/devices/system/cpu/vulnerabilities/meltdown": "Not affected",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return System(root, lambda option, name: ETHTOOL.get(option))


ETHTOOL = {
    "-c": "Coalesce parameters for eth1:\nAdaptive RX: off  TX: on\nCQE mode RX: n/a  TX: n/a\n"
    "stats-block-usecs: n/a\n\nrx-usecs: 50\nrx-frames: n/a\n",
    "-i": "driver: ntzc_igb\nfirmware-version: 1.4, 0x8000\nbus-info: 0000:01:00.0\n",
    "-g": "Ring parameters for eth1:\nPre-set maximums:\nRX:\t\t4096\nTX:\t\t4096\n"
    "Current hardware settings:\nRX:\t\t1024\nRX Mini:\tn/a\nTX:\t\t512\n",
}


@pytest.mark.parametrize(
    ("subsystem", "vendor", "flags", "kind"),
    [
        ("0x1af4", "QEMU", "hypervisor", "emulation"),
        ("0x1af4", "Dell Inc.", "", "emulation"),
        ("0x8086", "QEMU", "hypervisor", "emulation"),
        ("0x8086", "VMware, Inc.", "hypervisor", "virtual machine"),
        ("0x8086", "Dell Inc.", "", "hardware"),
    ],
)
def test_emulation_is_told_from_hardware(
    tmp_path: Path, subsystem: str, vendor: str, flags: str, kind: str
) -> None:
    system = machine(tmp_path, subsystem=subsystem, vendor=vendor, flags=flags)
    environment = system.environment([port()])
    assert environment.kind == kind
    assert bool(environment.reasons) == (kind != "hardware")
    if kind == "emulation":
        assert environment.label == "emulation: rates mean nothing for hardware"


def test_a_system_is_described_and_what_is_unknown_is_null(tmp_path: Path) -> None:
    system = machine(tmp_path, subsystem="0x8086", vendor="Dell Inc.", flags="")
    about = system.describe()
    assert about["cpu"] == "A Processor"
    assert about["memory_kib"] == 2048
    assert about["mitigations"] == {"meltdown": "Not affected"}
    assert about["governor"] is None
    card = system.describe_port(port())
    assert card["driver"]["firmware-version"] == "1.4, 0x8000"
    assert card["rings"]["current hardware settings: RX"] == "1024"
    assert card["rings"]["pre-set maximums: RX"] == "4096"
    assert card["coalescing"] == {"Adaptive RX": "off", "Adaptive TX": "on", "rx-usecs": "50"}
    assert card["pause"] is None
    json.dumps(about | card)


def test_a_card_that_is_down_or_has_no_link_is_refused() -> None:
    with pytest.raises(InterfaceDownError, match="ip link set dev eth1 up"):
        check_ready(port(flags=PortFlag(0)))
    with pytest.raises(NtzcError, match="no link"):
        check_ready(port(flags=PortFlag.UP))
    check_ready(port())


@pytest.mark.parametrize("text", ["-1\n", "0\n", "", None])
def test_a_speed_that_is_not_known_is_not_made_up(tmp_path: Path, text: str | None) -> None:
    (tmp_path / "eth1").mkdir()
    if text is not None:
        (tmp_path / "eth1/speed").write_text(text)
    with pytest.raises(NtzcError, match="speed"):
        speed_mbit_s(port(), tmp_path)


# --- the report ---


def report(device: Device) -> Report:
    done = Report(
        environment=Environment("emulation", ("because",)),
        system={},
        ports={},
        settings=SHORT,
        wiring={},
        asked={},
    )
    done.results = [test(device, 64, SHORT) for test in suite.TESTS.values()]
    return done


def test_a_report_has_a_table_for_each_test_and_goes_into_json() -> None:
    done = report(Device(700_000, buffer=100))
    tables = list(done.tables())
    assert len(tables) == len(suite.TESTS)
    for table in tables:
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
    written = json.loads(json.dumps(done.as_json()))
    assert [result["test"] for result in written["results"]] == list(suite.TESTS)
    assert written["environment"]["label"].startswith("emulation")
    assert not written["complete"]
    assert any("did not come to their end" in line for line in done.remarks())


def test_a_report_says_what_was_skipped_and_what_should_not_be() -> None:
    done = report(Device(0))
    done.skipped[9018] = "too long"
    done.results[0].runs[0].trials[0].__dict__["duplicates"] = 3
    text = "\n".join(done.remarks())
    assert "9018 bytes: not tested: too long" in text
    assert "no latency: no rate" in text
    assert "3 duplicates" in text
