# SPDX-License-Identifier: GPL-2.0-or-later
"""``ntzc detach``."""

from __future__ import annotations

import click

from pyntzc import NtzcError, Port
from pyntzc._cards import CardInUseError, Cards
from pyntzc._cli._common import note


def _only_card(cards: Cards) -> str:
    found = cards.of_ntzc()
    if len(found) != 1:
        raise NtzcError(
            f"name the card: NTZC has {', '.join(found)}" if found else "NTZC has no card"
        )
    return found[0]


def _taps(address: str) -> int:
    try:
        return Port.find(address).n_taps
    except NtzcError:  # the module is not there to ask: then nobody taps
        return 0


@click.command("detach")
@click.argument("card", metavar="[PCI|IFACE]", required=False)
@click.option("-f", "--force", is_flag=True, help="Even if it is in use; open taps lose it.")
@click.option("--driver", metavar="NAME", help="To this driver instead of the stock one.")
def command(card: str | None, force: bool, driver: str | None) -> None:
    """Give a card back to its stock driver.

    The card is named by its PCI address or its interface; if NTZC has only one, that one is
    meant. If anything fails, all is put back as it was.
    """
    cards = Cards()
    address = cards.find(card) if card is not None else _only_card(cards)
    if not force and (taps := _taps(address)):
        raise CardInUseError(f"{address}: {taps} taps are open; --force takes it from them")
    cards.detach(address, force=force, driver=driver)
    for interface in cards.interfaces(address):
        click.echo(interface)
    note(f"{address} moved to {cards.driver(address)}")
