# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc port``."""

from __future__ import annotations

import json

import click

from pyntzc import Device
from pyntzc._cli._common import print_table

_FRAMES = click.IntRange(min=0, max=(1 << 32) - 1)


@click.command("port")
@click.argument("iface")
@click.option(
    "--stack",
    type=click.Choice(["off", "copy"]),
    help="Whether the host's network stack gets a copy of each packet, and can send.",
)
@click.option(
    "--quota",
    type=_FRAMES,
    metavar="N",
    help="Packets that a tap may hold, per queue, unless it asks for another number; "
    "0 lets the pool's size decide.",
)
@click.option(
    "--quota-max",
    type=_FRAMES,
    metavar="N",
    help="The most that a tap gets, whatever it asks for; 0 for no limit.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    iface: str, stack: str | None, quota: int | None, quota_max: int | None, as_json: bool
) -> None:
    """Show what the users of the card IFACE may do, and change it.

    What is set stays until the card goes. Quotas concern taps that are opened later.
    """
    with Device() as device:
        port = device.find(iface)
        if stack is None and quota is None and quota_max is None:
            policy = device.policy(port)
        else:
            policy = device.set_policy(port, stack=stack, quota=quota, quota_max=quota_max)
    name = port.name or port.bus
    if as_json:
        click.echo(json.dumps({"interface": name, "bus": port.bus} | policy._asdict()))
    else:
        print_table((name, ""), [(key, str(value)) for key, value in policy._asdict().items()])
