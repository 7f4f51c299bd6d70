# SPDX-License-Identifier: GPL-2.0-or-later
"""read(), write(), ioctl() and what comes by other ways to the same: guest/calls.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Bench


@pytest.fixture
def calls(bench: Bench) -> Any:
    """guest/calls.py, in the guest."""
    return bench.vm.guest.modules["calls"]


def test_a_bad_address_after_any_number_of_bytes_loses_and_doubles_nothing(
    bench: Bench, calls: Any
) -> None:
    """Hostile case 24: read, write, reserve and submit."""
    calls.faults(bench.near, bench.peer)


def test_of_a_batch_all_before_the_first_bad_handle_go(bench: Bench, calls: Any) -> None:
    """Hostile cases 25, 26 and 30."""
    calls.partial_batches(bench.near, bench.peer)


def test_pieces_of_any_size_are_scattered_and_gathered(bench: Bench, calls: Any) -> None:
    """Hostile cases 23 and 31."""
    calls.vectors(bench.near, bench.peer)


def test_a_signal_ends_a_call_that_waits_and_loses_nothing(bench: Bench, calls: Any) -> None:
    """Hostile case 33: EINTR."""
    calls.interrupted(bench.near, bench.peer)


def test_a_process_that_is_stopped_while_it_waits_misses_nothing(bench: Bench, calls: Any) -> None:
    """Hostile case 33: SIGSTOP."""
    calls.stopped(bench.near, bench.peer)


def test_a_file_that_must_not_wait_says_what_it_would_wait_for(bench: Bench, calls: Any) -> None:
    """Hostile case 34."""
    calls.not_blocking(bench.near, bench.peer)


@pytest.fixture
def hung(bench: Bench) -> Iterator[None]:
    """Card 0 cannot read memory; all is as ever afterwards."""
    bench.vm.run(["setpci", "-s", bench.vm.pci(0), "COMMAND=0:4"])
    yield
    bench.vm.run(["setpci", "-s", bench.vm.pci(0), "COMMAND=4:4"])
    bench.vm.run(["ip", "link", "set", bench.iface, "down"])
    bench.vm.run(["ip", "link", "set", bench.iface, "up"])
    bench.vm.wait_carrier(0)
    bench.wire.drain()


def test_what_is_in_flight_is_not_the_programs_and_a_full_ring_says_so(
    bench: Bench, calls: Any, hung: None
) -> None:
    """Hostile cases 28, 34 and 73: a card that cannot read memory keeps all in flight."""
    calls.full_ring(bench.iface)


def test_who_waits_for_a_card_that_hangs_is_ended_by_a_signal_or_its_reset(
    bench: Bench, calls: Any, hung: None
) -> None:
    """Hostile cases 33 and 73: TX_SUBMIT with the card's ring full, and TX_DRAIN."""
    calls.waiting_to_send(bench.iface)


def test_copies_of_a_descriptor_are_one_tap(bench: Bench, calls: Any) -> None:
    """Hostile case 35: dup() and SCM_RIGHTS."""
    calls.shared_files(bench.near, bench.peer)


def test_a_read_by_io_uring_ends_with_a_frame_or_a_cancel(bench: Bench, calls: Any) -> None:
    """Hostile case 36."""
    calls.by_io_uring(bench.near, bench.peer)


def test_neither_splice_nor_sendfile_moves_anything(bench: Bench, calls: Any) -> None:
    """Hostile case 32: from the tap and to it, by pipe, file and socket."""
    calls.spliced(bench.near, bench.peer)


def test_a_reserved_byte_that_is_not_zero_is_refused_by_every_command(
    bench: Bench, calls: Any
) -> None:
    """Hostile case 38."""
    calls.reserved_fields(bench.near, bench.iface)


def test_every_command_survives_bad_and_read_only_pointers(bench: Bench, calls: Any) -> None:
    """Hostile case 40."""
    calls.bad_pointers(bench.near, bench.iface)


def test_counts_that_are_senseless_or_overflow_are_refused(bench: Bench, calls: Any) -> None:
    """Hostile case 42."""
    calls.senseless_counts(bench.near)


def test_no_command_returns_what_was_in_memory_before(bench: Bench, calls: Any) -> None:
    """Hostile case 44."""
    calls.nothing_left_over(bench.near, bench.iface)
    calls.descriptors_say_all(bench.near, bench.peer)


STATES = {
    "fresh": "query=0 filter=0 attach=ENODEV stats=ENOTCONN read=ENOTCONN write=ENOTCONN"
    " setup=ENOTCONN reserve=ENOTCONN submit=ENOTCONN drain=ENOTCONN target=ENOTCONN"
    " kick=ENOTCONN info=0 portstats=0 config=EINVAL policy=0 tapinfo=ENOENT"
    " rx=ENOTCONN tx=ENOTCONN rxrings=ENOTCONN txrings=ENOTCONN poll=8",
    "attached": "query=0 filter=0 attach=EBUSY stats=0 read=EAGAIN write=ESTALE"
    " setup=EINVAL reserve=ENOTCONN submit=ESTALE drain=0 target=EINVAL"
    " kick=0 info=0 portstats=0 config=EINVAL policy=0 tapinfo=0"
    " rx=0 tx=ENOTCONN rxrings=0 txrings=ENOTCONN poll=4",
    "equipped": "query=0 filter=0 attach=EBUSY stats=0 read=EAGAIN write=ESTALE"
    " setup=EBUSY reserve=ENOBUFS submit=ESTALE drain=0 target=EINVAL"
    " kick=0 info=0 portstats=0 config=EINVAL policy=0 tapinfo=0"
    " rx=0 tx=0 rxrings=0 txrings=0 poll=4",
    "down": "query=0 filter=0 attach=EBUSY stats=0 read=EAGAIN write=ESTALE"
    " setup=EBUSY reserve=ENOBUFS submit=ENETDOWN drain=0 target=EINVAL"
    " kick=0 info=0 portstats=0 config=EINVAL policy=0 tapinfo=0"
    " rx=0 tx=0 rxrings=0 txrings=0 poll=0",
    "gone": "query=0 filter=0 attach=ENODEV stats=0 read=ENODEV write=ESTALE"
    " setup=EBUSY reserve=ENODEV submit=ENODEV drain=0 target=ENODEV"
    " kick=0 info=ENOENT portstats=ENODEV config=ENODEV policy=ENODEV tapinfo=ENODEV"
    " rx=0 tx=0 rxrings=0 txrings=0 poll=24",
}


def test_every_call_says_what_it_should_in_every_state(bench: Bench, calls: Any) -> None:
    """Hostile case 43."""
    states = calls.States(bench.near, bench.iface)
    said = {"fresh": states.say()}
    states.attach()
    said["attached"] = states.say()
    states.setup_tx()
    said["equipped"] = states.say()
    states.reserve()
    bench.vm.run(["ip", "link", "set", bench.near, "down"])
    said["down"] = states.say()
    card = bench.vm.pci(1).encode()
    bench.vm.write_file("/sys/bus/pci/drivers/ntzc_igb/unbind", card)
    try:
        said["gone"] = states.say()
        states.close()
    finally:
        bench.vm.write_file("/sys/bus/pci/drivers/ntzc_igb/bind", card)
        bench.load()
    for state, words in STATES.items():
        assert said[state] == words
