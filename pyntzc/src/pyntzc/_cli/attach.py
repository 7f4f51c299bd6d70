# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc attach``."""

from __future__ import annotations

import click

from pyntzc._cards import STOCK_DRIVERS, Cards
from pyntzc._cli._common import note


@click.command("attach")
@click.argument("card", metavar="PCI|IFACE")
@click.option(
    "-f", "--force", is_flag=True, help="Even if it carries an address or the default route."
)
def command(card: str, force: bool) -> None:
    """Move a card from its stock driver to NTZC's.

    The card is named by its PCI address or its interface. If anything fails, all is put
    back as it was.
    """
    cards = Cards()
    address = cards.find(card)
    driver = cards.driver(address)
    if driver in STOCK_DRIVERS:
        note(f"{address} is NTZC's already: {' '.join(cards.interfaces(address))}")
        return
    cards.attach(address, force=force)
    for interface in cards.interfaces(address):
        click.echo(interface)
    note(f"{address} moved from {driver or 'no driver'} to {cards.driver(address)}")
