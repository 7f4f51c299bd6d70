# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzz a kernel in a VM for some time: ``python -m tests.fuzz KERNEL --seconds T --seed N``.

With ``--calls N`` it goes on after that until so many calls were made, and fails if they cannot be.
Frames come over both wires meanwhile, most of them hostile. At the end the log must be clean,
the pools whole, and the modules must unload. What was kept is written to build/fuzz/; a
program that broke the machine is the last recipe in the console's log, and can be tried again
with ``--replay RECIPE --corpus FILE``.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from emulation import kernels
from emulation.errors import VMDied, VMError
from emulation.vm import VM
from tests.fuzz import build
from tests.integration import aftermath
from tests.integration.frames import flow_frame
from tests.integration.hostileframes import FRAMES

CORPUS = build.HERE / "corpus.txt"
KEPT = build.ROOT / "build/fuzz"
_BURST = 64
# Leaves the processors to the calls: at 20 ms, four fifths of a debug kernel's time went to
# frames, and a sixth as many calls were made.
_PAUSE_S = 0.3
_SLOWEST = 20  # calls in a second, below which it is given up


def hostile(seed: int, count: int) -> list[bytes]:
    """Return frames made by the grammar of hostile ones."""
    frames: list[bytes] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(FRAMES)
    def collect(frame: bytes) -> None:
        frames.append(frame)

    collect()
    return frames


@contextlib.contextmanager
def traffic(vm: VM, seed: int) -> Iterator[None]:
    """Send frames to both cards, and take what they send, while the block lasts."""
    ends = threading.Event()
    choose = random.Random(seed)
    frames = hostile(seed, 500) + [flow_frame(n % 64, n) for n in range(1000)]

    def feed() -> None:
        while not ends.wait(_PAUSE_S):
            for wire in vm.wires:
                assert wire
                wire.drain()
                with contextlib.suppress(VMError):  # a card that is full, or is set up anew
                    wire.send_many(choose.choices(frames, k=_BURST), timeout_s=1)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


class Output:
    """What the fuzzer says: shown, and kept.

    Attributes:
        kept: the programs that went a new way, by number.
        guided: by which ways they went; None until it is known.
        calls: how many were made.
        killed: how many processes were killed at what they did.
        died: how many ended before, by a fault of their own.
        errors: the last lines of its standard error.

    """

    def __init__(self) -> None:
        self.kept: dict[int, str] = {}
        self.guided: bool | None = None
        self.calls = self.killed = self.died = 0
        self.errors: deque[str] = deque(maxlen=20)
        self._partial = ""

    def take(self, stream: str, data: bytes) -> None:
        """Take a piece of output."""
        if stream == "stderr":
            self.errors.append(data.decode(errors="replace"))
            return
        *lines, self._partial = (self._partial + data.decode(errors="replace")).split("\n")
        for line in lines:
            if kept := re.fullmatch(r"kept (\d+) (.*)", line):
                self.kept[int(kept[1])] = kept[2]
            elif line in ("guided", "unguided"):
                self.guided = line == "guided"
            else:
                counts = re.search(r": (\d+) calls, .* (\d+) killed, (\d+) died$", line)
                if counts:
                    self.calls, self.killed, self.died = map(int, counts.groups())
                print(f"fuzz: {line}", flush=True)

    def assert_worth(self, guided: bool, calls: int) -> None:
        """Check that it has tried enough, and as it was asked to: nothing found says little."""
        assert self.guided or not guided, "this kernel has no KCOV: --unguided goes on without"
        assert self.calls >= max(calls, 1), f"{self.calls} calls were made"
        assert self.died <= self.killed, f"{self.died} processes died, {self.killed} were killed"

    def save(self, path: Path) -> None:
        """Write the corpus, as the fuzzer reads it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{self.kept[index]}\n" for index in sorted(self.kept)))


def fuzz(vm: VM, words: Sequence[str], seed: int, most_s: float, output: Output) -> None:
    """Run the fuzzer with these words beside the cards; check all that must hold.

    Args:
        vm: the machine.
        words: the fuzzer's own.
        seed: of the frames that come meanwhile.
        most_s: how long it may take.
        output: takes what it says.

    Raises:
        CommandFailed: the fuzzer found something amiss.
        LogFault: the kernel did.
        VMDied: the machine is gone.
    """
    cards = [vm.interface(0), vm.interface(1)]
    for card, name in enumerate(cards):
        vm.run(["sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1"])
        vm.run(["ip", "link", "set", name, "up"])
        vm.wait_carrier(card)
    command = [str(build.program()), *words, *cards]
    with traffic(vm, seed):
        process = vm.spawn(command, on_output=output.take)
        done = process.wait(most_s)
    done.check()
    vm.assert_log_clean()
    aftermath.assert_none(vm)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kernel")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--calls", type=int, default=0, help="at least so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="programs to start with")
    parser.add_argument("--unguided", action="store_true", help="where there is no KCOV")
    parser.add_argument("--replay", metavar="RECIPE", help="run this one again and again")
    return parser


def main() -> int:
    """Fuzz; return 1 if anything was found."""
    args = _parser().parse_args()
    kernel = kernels.fetch(args.kernel)
    built = build.instrumented(kernel)
    words = ["-s", str(args.seed), "-t", str(args.seconds), "-w", str(args.workers)]
    words += ["-n", str(args.calls)]
    most_s = 2 * args.seconds + args.calls / _SLOWEST + 600
    output = Output()
    if args.corpus.exists():
        words += ["-c", str(args.corpus)]
        output.kept.update(
            enumerate(line for line in args.corpus.read_text().splitlines() if line[:1] != "#")
        )
    if args.replay:
        words += ["-r", args.replay]
    print(f"fuzz: seed {args.seed}, {args.seconds:g} s, {kernel.release}", flush=True)
    with VM(kernel, cards=2, parallel=True) as vm:
        vm.load_modules(built)
        try:
            fuzz(vm, words, args.seed, most_s, output)
            if not args.replay:
                output.assert_worth(not args.unguided, args.calls)
        except (VMError, AssertionError) as error:
            output.save(KEPT / f"corpus-{args.seed}.txt")
            print(f"fuzz: FAILED: {error}\n{''.join(output.errors)}")
            if not isinstance(error, VMDied):
                print("\n".join(vm.kernel_log()[-60:]))
            print(f"fuzz: the last recipes, over {KEPT}/corpus-{args.seed}.txt:")
            print("\n".join(re.findall(r"fuzz: \S+\+\w+", vm.console.read_text())[-12:]))
            return 1
    output.save(KEPT / f"corpus-{args.seed}.txt")
    print(
        f"fuzz: nothing found in {output.calls} calls; "
        f"{len(output.kept)} programs in {KEPT}/corpus-{args.seed}.txt"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
