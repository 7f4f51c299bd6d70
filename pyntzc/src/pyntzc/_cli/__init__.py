# SPDX-License-Identifier: GPL-2.0-or-later
"""The ``ntzc`` command. Each subcommand is a module here, imported when it is used."""

from __future__ import annotations

import importlib
import sys

import click

import pyntzc
from pyntzc._cli._common import explain

# subcommand -> its line in the overview; the module and its function have the same name
_COMMANDS = {
    "attach": "Move a card from its stock driver to NTZC's.",
    "bench": "Benchmark cards after RFC 2544: throughput, latency, loss, bursts.",
    "bridge": "Join two cards: what one receives, the other sends, without a copy.",
    "capture": "Print the packets that come in through a card, and write them to a file.",
    "detach": "Give a card back to its stock driver.",
    "list": "List the cards that NTZC has.",
    "port": "Show and set what a card's users may do.",
    "send": "Send the packets of a capture file through a card.",
    "stats": "Show a card's counters, where its buffers are, and who holds them.",
}

# exit status by error: what a script can act upon
_STATUS: tuple[tuple[type[pyntzc.NtzcError], int], ...] = (
    (pyntzc.ModuleNotLoadedError, 3),
    (pyntzc.PermissionDeniedError, 4),
    (pyntzc.NoSuchPortError, 5),
    (pyntzc.PortGoneError, 6),
)


class _Commands(click.Group):
    """Subcommands by name, so that one use imports one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"pyntzc._cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done (interrupted counts as done), 1 an error, 2 wrong usage, "
    "3 the module is not loaded, 4 no permission, 5 no such card, 6 the card is gone.",
)
@click.version_option(pyntzc.__version__, prog_name="ntzc")
def _main() -> None:
    """Tap network cards without a copy."""


def main() -> None:
    """Run the command line; the entry point of the script."""
    try:
        _main.main(prog_name="ntzc", standalone_mode=True)
    except pyntzc.NtzcError as error:
        click.echo(f"ntzc: {explain(error)}", err=True)
        sys.exit(next((status for cls, status in _STATUS if isinstance(error, cls)), 1))
    except OSError as error:  # a file that cannot be read or written
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"ntzc: {where}{error.strerror or error}", err=True)
        sys.exit(1)
