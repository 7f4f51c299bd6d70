# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines of a kernel's log are faults."""

from __future__ import annotations

import pytest

from emulation import klog

RULE = "[    1.000000] " + "=" * 66


def race(*frames: str) -> list[str]:
    """A report of KCSAN's with these frames."""
    text = [
        "BUG: KCSAN: data-race in one / another",
        "",
        "read to 0xffff of 4 bytes by task 7 on cpu 1:",
        *frames,
    ]
    return [RULE, *(f"[    1.000000] {line}" for line in text), RULE]


DEEP = race(" pollwake+0x1/0x2", " __wake_up_common+0x1/0x2", " ntzc_chan_publish+0x1/0x2 [ntzc]")
HELPED = race(" memcpy+0x1/0x2", " ntzc_chan_publish+0x1/0x2 [ntzc]")
OURS = race(" ntzc_rx_deliver+0x10/0x200 [ntzc]", " ntzc_igb_poll+0x1/0x2 [ntzc_igb]")
ASKED = race(" __napi_schedule_irqoff+0x116/0x140", " ntzc_igb_irq_queue+0x7e/0x90 [ntzc_igb]")
STATE = race(" napi_complete_done+0x3d/0x300", " ntzc_igb_poll+0x21e/0x2f0 [ntzc_igb]")
TIME = race(" ktime_get_real_fast_ns+0xbb/0x1d0", " ntzc_deliver+0x5b/0x700 [ntzc]")
FOREIGN = race(" tick_nohz_stop+0x10/0x200")


@pytest.mark.parametrize(
    "line",
    [
        "BUG: KASAN: slab-use-after-free in ntzc_tap_end+0x1/0x2 [ntzc]",
        "WARNING: possible circular locking dependency detected",
        "DMA-API: igb 0000:01:00.0: device driver tries to free DMA memory",
        "unreferenced object 0xffff888004c1a000 (size 64):",
    ],
)
def test_what_a_debug_kernel_finds_is_a_fault(line: str) -> None:
    assert klog.faults(["usual", line]) == [line]


@pytest.mark.parametrize(
    "line",
    ["DMA-API: preallocated 65536 debug entries", "DMA-API: debugging enabled by kernel config"],
)
def test_what_dma_debugging_says_of_itself_is_none(line: str) -> None:
    assert klog.faults([line]) == []


@pytest.mark.parametrize(
    "line",
    [
        "DMAR: DRHD: handling fault status reg 2",
        "DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr 0xfff00000 "
        "[fault reason 0x06] PTE Read access is not set",
        "DMAR: [DMA Write] Request device [01:00.0] PASID ffffffff",
    ],
)
def test_memory_that_a_card_may_not_reach_is_a_fault(line: str) -> None:
    assert klog.faults(["usual", line]) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "DMAR: Host address width 39",
        "DMAR: DRHD base: 0x000000fed90000 flags: 0x0",
        "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c222f0686 ecap f00f5e",
        "DMAR: IOMMU enabled",
        "DMAR: No RMRR found",
        "DMAR: dmar0: Using Queued invalidation",
        "DMAR: Intel(R) Virtualization Technology for Directed I/O",
        "DMAR-IR: Enabled IRQ remapping in x2apic mode",
    ],
)
def test_what_the_iommu_says_of_itself_is_none(line: str) -> None:
    assert klog.faults([line]) == []


def test_a_race_is_a_fault_where_our_modules_make_an_access_of_it() -> None:
    for report in (FOREIGN, DEEP, ASKED, STATE, TIME):
        assert klog.faults(report) == []
    assert klog.faults(HELPED)[0] == HELPED[1]
    assert klog.faults([*FOREIGN, *OURS])[0] == OURS[1]


def test_a_race_of_others_hides_no_fault_inside_or_after_it() -> None:
    warning = "[    1.000000] WARNING: CPU: 1 PID: 7"
    assert klog.faults([*FOREIGN[:3], warning, *FOREIGN[3:]])[0] == warning
    assert klog.faults([*FOREIGN, warning]) == [warning]
