# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: ``python -m emulation kernels|modules|shell|run``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulation import kernels, modules
from emulation.cache import REPOSITORY
from emulation.errors import VMError
from emulation.kernels import KernelError
from emulation.modules import BuildError
from emulation.toolchain import ToolchainError

if TYPE_CHECKING:
    from emulation.vm import VM

_DEFAULT_KERNEL = "6.12"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emulation", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    sub = commands.add_parser("kernels", help="list the kernels, or fetch them into the cache")
    sub.add_argument("action", choices=["list", "fetch"])
    sub.add_argument("name", nargs="?", default="all", help="default: all that are tested")
    sub.add_argument("--update", action="store_true", help="look for a newer version")

    sub = commands.add_parser("modules", help="build the modules and print their paths")
    sub.add_argument("kernel")
    sub.add_argument("make_args", nargs="*", metavar="W=1", help="passed on to make")

    shell = commands.add_parser("shell", help="a shell in a machine with everything loaded")
    run = commands.add_parser(
        "run",
        help="run one command in such a machine",
        usage="%(prog)s [OPTION...] [KERNEL] -- COMMAND...",
    )
    for sub in (shell, run):
        sub.add_argument("kernel", nargs="?", default=_DEFAULT_KERNEL)
        sub.add_argument("--cards", type=int, default=2, help="82576 cards (default: 2)")
        sub.add_argument("--cpus", type=int, help="processors (default: by the kernel)")
        sub.add_argument("--memory", default="2G", help="default: 2G")
        sub.add_argument("--cross", action="store_true", help="join cards 0 and 1 by a cable")
        sub.add_argument("--append", default="", help="more words for the kernel")
        sub.add_argument("--no-modules", action="store_true", help="do not load NTZC")
        sub.add_argument("--stock-igb", action="store_true", help="let the stock driver load")
    return parser


def _kernels(args: argparse.Namespace) -> int:
    names = kernels.tested() if args.name == "all" else [args.name]
    if args.action == "list":
        print("\n".join(kernels.known()))
        return 0
    for name in names:
        kernel = kernels.fetch(name, update=args.update)
        print(f"{kernel.name}: {kernel.release} ({kernel.version}) in {kernel.root}")
    return 0


def _modules(args: argparse.Namespace) -> int:
    for path in modules.build(kernels.fetch(args.kernel), make_args=args.make_args):
        print(path)
    return 0


def _machine(args: argparse.Namespace) -> int:
    from emulation.vm import VM  # noqa: PLC0415 - needs the virtual environment

    kernel = kernels.fetch(args.kernel)
    own = [] if args.no_modules else modules.build(kernel)
    print(f"emulation: booting {kernel.release}", file=sys.stderr)
    with VM(
        kernel,
        cards=args.cards,
        cpus=args.cpus,
        parallel=True,
        memory=args.memory,
        append=args.append,
        stock_igb=args.stock_igb,
        cross=[(0, 1)] if args.cross else [],
        taps=True,
    ) as vm:
        vm.load_modules(own)
        if args.command == "run":
            return _command(vm, args.argv)
        if own:
            _bring_up(vm)
        return _shell(vm)


def _bring_up(vm: VM) -> None:
    """Have the cards ready for whoever sits down, and say what they are called."""
    names = [vm.interface(card) for card in range(vm.n_cards)]
    for name in names:
        vm.run(["ip", "link", "set", name, "up"])
    print(f"emulation: cards {', '.join(names)} are up; `ntzc list` shows them", file=sys.stderr)


def _shell(vm: VM) -> int:
    from emulation.terminal import interact  # noqa: PLC0415 - likewise

    built = f"{REPOSITORY}/build/python/bin:{REPOSITORY}/build/lib"
    env = {"PYTHONPATH": f"{REPOSITORY}/build/python", "PS1": r"\h:\w\$ "} | _environment()
    words = ["sh", "-c", 'PATH="$1:$PATH" exec bash --norc -i', "sh", built]
    return interact(vm, words, env)


def _command(vm: VM, argv: Sequence[str]) -> int:
    streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}

    def show(stream: str, data: bytes) -> None:
        streams[stream].write(data)
        streams[stream].flush()

    process = vm.spawn(argv, env=_environment(), on_output=show)
    process.close_stdin()
    return process.wait(None).returncode


def _environment() -> dict[str, str]:
    """Return what of the person's environment holds in the guest too."""
    return {name: os.environ[name] for name in ("TERM", "PYTHONPATH") if name in os.environ}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    end = words.index("--") if "--" in words else len(words)
    parser = _parser()
    args = parser.parse_args(words[:end])
    args.argv = words[end + 1 :]
    if (args.command == "run") != bool(args.argv):
        parser.error("a command after -- is for run, and only for run")
    command = {"kernels": _kernels, "modules": _modules}.get(args.command, _machine)
    try:
        return command(args)
    except (KernelError, ToolchainError, BuildError, VMError, OSError) as error:
        print(f"emulation: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
