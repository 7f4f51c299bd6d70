# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: ``python -m emulation kernels|modules|shell|run``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from emulation import kernels, modules
from emulation.kernels import KernelError
from emulation.modules import BuildError


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    args = _parser().parse_args(argv)
    command = {"kernels": _kernels, "modules": _modules}[args.command]
    try:
        return command(args)
    except (KernelError, BuildError) as error:
        print(f"emulation: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
