# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel has noticed by itself, looked up once a machine's modules are gone.

``ci/kernels.toml`` says by ``aids`` what a kernel notices. What it should have and has not is
an error, so that no check goes missing without a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from emulation.vm import VM

_DEBUG = "/sys/kernel/debug"
_SCAN_S = 600
# Younger objects are not looked at: a pointer to them may be in a register still.
_LEAK_AGE_S = 6


def begin(vm: VM) -> None:
    """Have the machine's kernel look for what it does not look for from the boot on."""
    if "kcsan" in vm.kernel.aids:
        vm.write_file(f"{_DEBUG}/kcsan", b"on")


def assert_none(vm: VM) -> None:
    """Unload every driver of the cards, and the core; the kernel must have noticed nothing."""
    lines = vm.read_file("/proc/modules").decode().splitlines()
    loaded = {line.split()[0] for line in lines}
    for name in ("igb", "ntzc_igb", "ntzc"):
        if name in loaded:
            vm.run(["rmmod", name])
    vm.assert_log_clean()
    found = "\n".join(text for aid in vm.kernel.aids if (text := _AIDS[aid](vm)))
    assert not found, found


def _leaks(vm: VM) -> str:
    """Memory that nothing points to; it takes two scans to tell that from a pointer on its way."""
    for _ in range(2):
        vm.run(["sleep", str(_LEAK_AGE_S)])
        vm.run(["sh", "-c", f"echo scan > {_DEBUG}/kmemleak"], _SCAN_S)
    return vm.run(["cat", f"{_DEBUG}/kmemleak"], _SCAN_S).stdout


def _races(vm: VM) -> str:
    """That races were looked for at all; the log has told them."""
    counters = vm.read_file(f"{_DEBUG}/kcsan").decode()
    found = re.search(r"setup_watchpoints: (\d+)", counters)
    return "" if found and int(found[1]) else f"KCSAN has not watched anything:\n{counters}"


def _mappings(vm: VM) -> str:
    """Misuse of the DMA interface, and mappings of a card that has no driver any more."""
    folder = f"{_DEBUG}/dma-api"
    found: list[str] = []
    if vm.read_file(f"{folder}/disabled").strip() != b"N":
        found.append("DMA debugging has given up, for want of memory")
    if errors := int(vm.read_file(f"{folder}/error_count"), 0):
        found.append(f"DMA debugging has counted {errors} errors")
    cards = [vm.pci(i) for i in range(vm.n_cards)]
    dump = vm.read_file(f"{folder}/dump").decode().splitlines()
    found += [f"left mapped: {line}" for line in dump if any(card in line for card in cards)]
    return "\n".join(found)


_AIDS: dict[str, Callable[[VM], str]] = {"kmemleak": _leaks, "dma-api": _mappings, "kcsan": _races}
