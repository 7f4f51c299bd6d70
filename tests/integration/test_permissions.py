# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may open, attach, send and administrate; the table in docs/security.md: guest/rights.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Bench

NAMESPACE = "elsewhere"


@pytest.fixture
def rights(bench: Bench) -> Any:
    """guest/rights.py, in the guest."""
    return bench.vm.guest.modules["rights"]


def test_opening_needs_the_node_and_the_capability_in_the_first_namespace(rights: Any) -> None:
    """Hostile cases 93 and 94."""
    rights.who_may_open()


def test_a_tap_works_after_its_process_gave_up_all_rights(bench: Bench, rights: Any) -> None:
    """Hostile case 93: capabilities dropped after open."""
    rights.rights_dropped(bench.near, bench.peer)


def test_a_file_that_was_passed_has_the_rights_that_it_was_opened_with(
    bench: Bench, rights: Any
) -> None:
    """Hostile cases 35, 93 and 94: to nobody, and to the root of a user namespace."""
    rights.file_passed(bench.near, bench.peer)


def test_interfaces_of_other_network_namespaces_are_not_there(bench: Bench, rights: Any) -> None:
    """Hostile case 95."""
    rights.in_another_network_namespace(bench.near, bench.iface)


def test_a_cards_files_are_everybodys_to_read_and_the_administrators_to_write(
    bench: Bench, rights: Any
) -> None:
    """Hostile cases 93 and 94."""
    rights.in_sysfs(bench.near)


@pytest.fixture
def namespace(bench: Bench) -> Iterator[str]:
    """A network namespace that a test may end; the card is up at home afterwards."""
    bench.vm.run(["ip", "netns", "add", NAMESPACE])
    yield NAMESPACE
    if NAMESPACE in bench.vm.run(["ip", "netns", "list"]).stdout:
        bench.vm.run(["ip", "netns", "delete", NAMESPACE])
    names = "/sys/class/net"
    bench.vm.wait_until(lambda: bench.near in bench.vm.listdir(names), 30, "the card at home")
    bench.load()


def test_a_tap_follows_its_interface_through_namespaces(
    bench: Bench, rights: Any, namespace: str
) -> None:
    """Hostile case 95: moved away, and back because its namespace was deleted."""
    tap = bench.abi.Tap().attach(bench.near).map()
    rights.held_across_namespaces(tap, bench.peer, 1)
    bench.vm.run(["ip", "link", "set", bench.near, "netns", namespace])
    bench.vm.run(["ip", "-n", namespace, "link", "set", bench.near, "up"])
    other = bench.abi.Tap()
    with pytest.raises(OSError, match="No such device"):
        other.attach(bench.near)
    other.close()

    def has_link() -> bool:
        shown = bench.vm.run(["ip", "-n", namespace, "link", "show", bench.near]).stdout
        return "LOWER_UP" in shown

    bench.vm.wait_until(has_link, 30, "a link")
    rights.held_across_namespaces(tap, bench.peer, 2)
    bench.vm.run(["ip", "netns", "delete", namespace])
    names = "/sys/class/net"
    bench.vm.wait_until(lambda: bench.near in bench.vm.listdir(names), 30, "the card at home")
    bench.load()
    rights.held_across_namespaces(tap, bench.peer, 3)
    tap.close()
