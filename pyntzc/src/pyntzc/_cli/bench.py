# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc bench``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pyntzc import NtzcError, Port
from pyntzc._bench import suite
from pyntzc._bench.figures import FCS_BYTES, NS_PER_S
from pyntzc._bench.report import Report
from pyntzc._bench.rig import AbandonedError, CardRig, Wiring, reflect
from pyntzc._bench.suite import Result, Settings
from pyntzc._bench.system import System
from pyntzc._bench.trial import Load, Trial
from pyntzc._cli._common import Stop, note, print_table, progress, stop_on_signals
from pyntzc._options import check_ring_size

_SIZES = "64,128,256,512,1024,1280,1518,9018"
_LEAST_BYTES = 64
_MOST_BYTES = 16384
_UNITS_NS = {"": NS_PER_S, "ms": 1_000_000, "s": NS_PER_S, "m": 60 * NS_PER_S}
_OF_A_REFLECTOR = {"ifaces", "as_reflector", "ring_size", "busy_poll_us"}
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)


class _Duration(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """Such as 60s, 500ms or 2m; becomes nanoseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return *value* in nanoseconds."""
        found = re.fullmatch(r"(\d+)(ms|s|m|)", str(value))
        if not found or not int(found[1]):
            self.fail(f"{value!r} is no time such as 60s, 500ms or 2m", param, ctx)
        return int(found[1]) * _UNITS_NS[found[2]]


def _sizes(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    words = value.split(",")
    if not all(word.isdecimal() and _LEAST_BYTES <= int(word) <= _MOST_BYTES for word in words):
        raise click.BadParameter(
            f"frame sizes are {_LEAST_BYTES} to {_MOST_BYTES} bytes, check sequence included, "
            "with commas between"
        )
    return list(dict.fromkeys(map(int, words)))


def _tests(ctx: click.Context, param: click.Parameter, value: str) -> list[str]:
    words = value.split(",")
    if unknown := [word for word in words if word not in suite.TESTS]:
        raise click.BadParameter(
            f"there is no test {unknown[0]!r}: choose from {','.join(suite.TESTS)}"
        )
    # in the order of the RFC: latency needs what throughput finds
    return [test for test in suite.TESTS if test in words]


def _ring(ctx: click.Context, param: click.Parameter, value: int) -> int:
    try:
        check_ring_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


def _cpu(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    if value is not None and value not in os.sched_getaffinity(0):
        raise click.BadParameter(f"this process may not run on processor {value}")
    return value


def _address(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value and not _MAC.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no Ethernet address such as 02:00:00:00:00:01")
    return value


def _find(names: Sequence[str]) -> tuple[Port, Port]:
    """Return the card that sends and the card that receives."""
    if not 1 <= len(names) <= 2:
        raise click.UsageError(
            "name the card that sends and the card that receives, or one card alone if the far "
            "end runs 'ntzc bench --reflect'"
        )
    ports = [Port.find(name) for name in names]
    if len(ports) == 2 and ports[0].id == ports[1].id:
        raise click.UsageError(
            f"{names[0]} and {names[1]} are the same card: name two, or one alone if the far end "
            "runs 'ntzc bench --reflect'"
        )
    return ports[0], ports[-1]


class _Watched:
    """A rig, with what it does shown on the terminal."""

    def __init__(self, rig: CardRig) -> None:
        self._rig = rig
        self._load: Load | None = None
        self._trials = 0

    def top_rate_fps(self, size_bytes: int) -> int:
        return self._rig.top_rate_fps(size_bytes)

    def run(self, load: Load) -> Trial:
        self._load = load
        self._trials += 1
        return self._rig.run(load)

    def describe(self) -> str:
        """Return what is going on, for people."""
        load = self._load
        if load is None:
            return "beginning"
        rate = f"{load.rate_fps} a second" if load.rate_fps else "as fast as it goes"
        return f"trial {self._trials}: {load.frames} frames of {load.size_bytes} bytes, {rate}"


class _Session:
    """Runs the tests, and keeps the report up to date."""

    def __init__(
        self, rig: CardRig, watched: _Watched, report: Report, save: Callable[[], None]
    ) -> None:
        self._rig = rig
        self._watched = watched
        self._report = report
        self._save = save

    def run(self, sizes: list[int], tests: list[str]) -> None:
        """Run all *tests* for each of *sizes* that the cards take."""
        for size in sizes:
            if size > self._rig.largest_bytes:
                self._report.skipped[size] = (
                    f"the cards' MTU allows {self._rig.largest_bytes} bytes; "
                    f"'ip link set dev NAME mtu {size - FCS_BYTES - 14}' on both raises it"
                )
                continue
            self._warm_up(size)
            for test in tests:
                self._report.results.append(self._test(test, size))
                self._save()
        self._report.complete = True
        self._save()

    def _warm_up(self, size: int) -> None:
        trial = suite.warm_up(self._watched, size)
        self._report.warm_ups.append(trial)
        if trial.received:
            return
        wiring = self._rig.wiring
        if wiring.reflected:
            hint = f"does the far end of {wiring.tx.name} run 'ntzc bench --reflect'?"
        else:
            hint = f"is {wiring.tx.name} joined to {wiring.rx.name}?"
        raise NtzcError(
            f"none of {trial.sent} frames of {size} bytes came in "
            f"({trial.corrupt} came in damaged): {hint}"
        )

    def _test(self, test: str, size: int) -> Result:
        settings = self._report.settings
        if test == "latency":
            return suite.latency(self._watched, size, settings, self._throughput(size))
        return suite.TESTS[test](self._watched, size, settings)

    def _throughput(self, size: int) -> int | None:
        """Return what was found for *size*, if that test was done."""
        for result in self._report.results:
            if result.test == "throughput" and result.size_bytes == size:
                return result.value.median
        return None


def _print(report: Report) -> None:
    label = report.environment.label
    click.secho(f"[{label}]", bold=True)
    for reason in report.environment.reasons:
        click.echo(f"  {reason}")
    for table in report.tables():
        click.echo(f"\n{table.title}")
        print_table(table.columns, table.rows)
    click.echo()
    for line in report.remarks():
        click.echo(line)
    click.secho(f"[{label}]", bold=True)


def _begin(
    wiring: Wiring, settings: Settings, speed_mbit_s: int, sizes: list[int], tests: list[str]
) -> Report:
    system = System()
    fields = {key: value for key, value in vars(wiring).items() if key not in ("tx", "rx")}
    fields |= {
        "path": "round trip" if wiring.reflected else "one way",
        "speed_mbit_s": speed_mbit_s,
        "dst": wiring.dst or wiring.rx.mac,
    }
    return Report(
        environment=system.environment([wiring.tx, wiring.rx]),
        system=system.describe(),
        ports={"tx": system.describe_port(wiring.tx), "rx": system.describe_port(wiring.rx)},
        settings=settings,
        wiring=fields,
        asked={"frame_sizes_bytes": sizes, "tests": tests},
    )


def _saver(report: Report, path: Path | None) -> Callable[[], None]:
    """Return what writes the report to *path*; what cannot be written is told at once."""
    if path is None:
        return lambda: None
    path.touch()
    return lambda: _write(report, path)


def _write(report: Report, path: Path) -> None:
    text = json.dumps(report.as_json(), indent=1) + "\n"
    if not path.is_file():  # a pipe, say
        path.write_text(text)
        return
    # at once: what was saved before is not lost if this cannot be
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def _bench(
    wiring: Wiring,
    settings: Settings,
    sizes: list[int],
    tests: list[str],
    json_path: Path | None,
    stop: Stop,
) -> None:
    alive: list[Callable[[], None]] = []

    def wanted() -> bool:
        for update in alive:
            update()
        return not stop

    with CardRig(wiring, wanted) as rig:
        watched = _Watched(rig)
        report = _begin(wiring, settings, rig.speed_mbit_s, sizes, tests)
        save = _saver(report, json_path)
        note(f"{wiring.tx.name} to {wiring.rx.name}; {report.environment.label}; Ctrl-C ends it")
        try:
            with progress(True, watched.describe) as update:
                alive.append(update)
                _Session(rig, watched, report, save).run(sizes, tests)
        except AbandonedError:
            note("interrupted")
        finally:  # also when a card goes
            if report.results or report.skipped:
                _print(report)
            save()


def _reflect(ifaces: tuple[str, ...], stop: Stop) -> None:
    context = click.get_current_context()
    if len(ifaces) != 1:
        raise click.UsageError("--reflect takes one card")
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if given and option.name not in _OF_A_REFLECTOR:
            raise click.UsageError(f"{option.opts[0]} is for the end that measures")
    port = Port.find(ifaces[0])
    note(f"sending test frames back through {port.name}; Ctrl-C ends it")
    chosen = {name: context.params[name] for name in ("ring_size", "busy_poll_us")}
    done = reflect(port, lambda: not stop, **chosen)
    note(
        f"{done.received} test frames came in, {done.sent} were sent back, "
        f"{done.received - done.sent} could not be"
    )


@click.command("bench")
@click.argument("ifaces", metavar="TX_IFACE [RX_IFACE]", nargs=-1)
@click.option(
    "--sizes",
    default=_SIZES,
    callback=_sizes,
    show_default=True,
    metavar="BYTES,...",
    help="Frame sizes, check sequence included.",
)
@click.option(
    "--tests",
    default=",".join(suite.TESTS),
    callback=_tests,
    show_default=True,
    metavar="NAME,...",
    help="Which tests.",
)
@click.option(
    "--trial",
    "trial_ns",
    type=_Duration(),
    default="60s",
    show_default=True,
    metavar="TIME",
    help="How long a trial lasts.",
)
@click.option(
    "--repeat",
    "repeats",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="How often each test is done.",
)
@click.option(
    "--resolution",
    "resolution_percent",
    type=click.FloatRange(0.0001, 50),
    default=0.1,
    show_default=True,
    metavar="PERCENT",
    help="Of the top rate, or of a burst: where a search ends.",
)
@click.option(
    "--step",
    "step_percent",
    type=click.IntRange(1, 50),
    default=10,
    show_default=True,
    metavar="PERCENT",
    help="Of the top rate: between the rates of the loss test.",
)
@click.option(
    "--burst",
    "burst_ns",
    type=_Duration(),
    default="2s",
    show_default=True,
    metavar="TIME",
    help="The longest burst, at the top rate.",
)
@click.option(
    "--settle",
    "settle_ns",
    type=_Duration(),
    default="2s",
    show_default=True,
    metavar="TIME",
    help="How long to wait for frames that have not come yet.",
)
@click.option(
    "--max-rate",
    "max_rate_fps",
    type=click.IntRange(min=1),
    metavar="PPS",
    help="The top rate; what the line carries if not given.",
)
@click.option(
    "--dst-mac",
    "dst",
    default="",
    callback=_address,
    metavar="MAC",
    help="Where frames go to; the receiving card's address if not given.",
)
@click.option(
    "--ring",
    "ring_size",
    callback=_ring,
    type=int,
    default=0,
    metavar="N",
    help="Packets that may wait in the receiver's ring, per queue.",
)
@click.option(
    "--busy-poll",
    "busy_poll_us",
    type=click.IntRange(0, 10_000),
    default=0,
    metavar="MICROSECONDS",
    help="Poll the card so long before the receiver sleeps.",
)
@click.option(
    "--tx-cpu",
    callback=_cpu,
    type=click.IntRange(min=0),
    metavar="N",
    help="Send on this processor.",
)
@click.option(
    "--rx-cpu",
    callback=_cpu,
    type=click.IntRange(min=0),
    metavar="N",
    help="Receive on this processor.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write everything to FILE as well, every trial included.",
)
@click.option(
    "--reflect",
    "as_reflector",
    is_flag=True,
    help="Be the far end: send every test frame back by reference. Takes --ring, --busy-poll.",
)
def command(
    ifaces: tuple[str, ...],
    sizes: list[int],
    tests: list[str],
    resolution_percent: float,
    json_path: Path | None,
    as_reflector: bool,
    max_rate_fps: int | None,
    **options: Any,
) -> None:
    """Benchmark two cards of this host after RFC 2544: TX_IFACE sends, RX_IFACE receives.

    What is between them is measured with them: a cable, a switch, a bridge. With one card
    alone, the far end has to send every frame back: run 'ntzc bench --reflect IFACE' there.
    Times are such as 60s, 500ms or 2m. docs/benchmarks.md says how to prepare a machine.
    """
    with stop_on_signals() as stop:
        if as_reflector:
            _reflect(ifaces, stop)
            return
        tx, rx = _find(ifaces)
        names = {"trial_ns", "burst_ns", "repeats", "step_percent"}
        settings = Settings(
            resolution_ppm=round(resolution_percent * 10_000),
            **{name: options.pop(name) for name in names},
        )
        wiring = Wiring(tx, rx, max_rate_fps=max_rate_fps or 0, **options)
        _bench(wiring, settings, sizes, tests, json_path, stop)
