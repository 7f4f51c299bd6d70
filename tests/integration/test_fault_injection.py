# SPDX-License-Identifier: GPL-2.0-or-later
"""No allocation or copy that fails, in any call, loses anything."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import guestc
from .conftest import Bench
from .frames import frame

# what a failed allocation or copy may look like
EXPECTED = {errno.ENOMEM, errno.EFAULT}
# how many calls guest/failnth.c tries
CALLS = 30

pytestmark = pytest.mark.injection


@pytest.fixture(scope="module")
def program() -> Path:
    """guest/failnth.c, built."""
    return guestc.build("failnth")


@pytest.fixture
def failing(bench: Bench) -> Bench:
    """The machine, with all allocations and copies of who asks for it made to fail."""
    debug = "/sys/kernel/debug"
    for name in ("failslab", "fail_page_alloc"):
        # by default only those that may not wait
        bench.vm.write_file(f"{debug}/{name}/ignore-gfp-wait", b"N")
        # a kernel's log is for faults of ours
        bench.vm.write_file(f"{debug}/{name}/verbose", b"0")
    bench.vm.write_file(f"{debug}/fail_page_alloc/min-order", b"0")
    bench.vm.write_file(f"{debug}/fail_usercopy/verbose", b"0")
    return bench


@contextlib.contextmanager
def frames_coming(bench: Bench) -> Iterator[None]:
    ends = threading.Event()

    def feed() -> None:
        n = 0
        while not ends.wait(0.02):
            bench.wire.send_many(frame(n + i) for i in range(8))
            n += 8

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


@pytest.mark.timeout(1200)
def test_every_call_survives_every_failed_allocation_and_copy(
    failing: Bench, program: Path
) -> None:
    """Hostile case 80; that nothing is lost is looked at as after every test."""
    with frames_coming(failing):
        done = failing.vm.run([program, failing.iface, failing.near], timeout_s=1000)
    # the kernel's own code for filters tells, now and then, that it got no memory
    failing.vm.assert_log_clean(allow=[r"Call Trace:", r"RIP: 0033:"])
    tries: dict[str, list[tuple[int, bool]]] = {}
    for line in done.stdout.splitlines():
        name, _, code, failed = line.split("|")
        tries.setdefault(name, []).append((int(code), failed == "1"))
    assert len(tries) == CALLS
    for name, results in tries.items():
        for n, (error, injected) in enumerate(results, 1):
            assert error == 0 or (injected and error in EXPECTED), f"{name}, {n}: {error}"
        assert results[-1] == (0, False), f"{name} never got through"
    some = "open,ATTACH,TX_SETUP,TX_SETUP rings,TX_SETUP after TX_TARGET,mmap transmit rings"
    for name in (*some.split(","), "FILTER classic", "read", "write", "TX_RESERVE"):
        assert any(error for error, _ in tries[name]), f"nothing of {name} was made to fail"
    failing.assert_whole()
