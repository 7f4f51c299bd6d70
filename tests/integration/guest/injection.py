# SPDX-License-Identifier: GPL-2.0-or-later
"""Allocations and copies of our module alone that fail at random, in the guest."""

from __future__ import annotations

import contextlib
import errno
import random
from pathlib import Path

import abi
from neighbour import Neighbour

DEBUG = Path("/sys/kernel/debug")
KINDS = ("failslab", "fail_page_alloc", "fail_usercopy")
EXPECTED = (errno.ENOMEM, errno.EFAULT, errno.EAGAIN, errno.ENOBUFS)
DEPTH = 32  # callers that are looked at to find our module


def _set(kind: str, **values: int | str) -> None:
    for name, value in values.items():
        (DEBUG / kind / name.replace("_", "-")).write_text(str(value))


def be_silent() -> None:
    """Sleeping allocations of any size can fail, and are not told in the log."""
    for kind in KINDS:
        _set(kind, verbose=0, probability=0, times=-1, space=0)
    _set("failslab", ignore_gfp_wait="N")
    _set("fail_page_alloc", ignore_gfp_wait="N", ignore_gfp_highmem="N", min_order=0)


def start(kind: str, percent: int) -> None:
    """Have that many of each hundred of our module's own requests fail."""
    sections = Path("/sys/module/ntzc/sections")
    begin = int((sections / ".text").read_text(), 16)
    size = int(Path("/sys/module/ntzc/coresize").read_text())
    _set(kind, stacktrace_depth=DEPTH, require_start=hex(begin), require_end=hex(begin + size))
    _set(kind, probability=percent)


def spare(function: str) -> None:
    """Have nothing fail that this function of the kernel asks for, or causes."""
    symbols = Path("/proc/kallsyms").read_text().splitlines()
    places = sorted((int(address, 16), name) for address, _, name, *_ in map(str.split, symbols))
    begin = next(address for address, name in places if name == function)
    end = next(address for address, _ in places if address > begin)
    for kind in KINDS:
        _set(kind, stacktrace_depth=DEPTH, reject_start=hex(begin), reject_end=hex(end))


def stop() -> None:
    for kind in KINDS:
        _set(kind, probability=0, require_start=0, require_end=2**64 - 1)
        _set(kind, reject_start=0, reject_end=0)


def use_taps(name: str, peer: str, rounds: int) -> tuple[int, int]:
    """Do what taps are for, whatever of it fails; return how much failed, and how much worked."""
    neighbour, rng = Neighbour(peer), random.Random(81)
    failed = worked = 0
    for _ in range(rounds):
        with contextlib.ExitStack() as stack:
            try:
                tap = abi.Tap()
                stack.callback(tap.close)
                tap.attach(name, ring_size=64, quota=32).map()
                tap.setup_tx(8, flags=rng.randrange(2))
                worked += 1
            except OSError as error:
                assert error.errno in EXPECTED, error
                failed += 1
                continue
            for _ in range(20):
                try:
                    neighbour.send(1)
                    descs = tap.read(8)
                    if descs:
                        tap.release(*(desc[0] for desc in descs))
                    mine = tap.reserve(2)
                    if rng.randrange(2):
                        tap.submit(*(tap.fill(d, b"\0" * 60) for d in mine))
                    else:
                        tap.release(*(desc[0] for desc in mine))
                    tap.stats()
                    worked += 1
                except OSError as error:
                    assert error.errno in EXPECTED, error
                    failed += 1
    neighbour.close()
    return failed, worked
