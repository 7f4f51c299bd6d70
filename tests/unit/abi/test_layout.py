# SPDX-License-Identifier: GPL-2.0-or-later
"""The ABI header by itself: sizes, offsets and numbers that must never change.

Compiled as C and as C++, for 64 and for 32 bits (case 99): one table holds for all.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HEADER = ROOT / "module" / "include" / "ntzc.h"

# struct: its size, and its fields in order with size; offsets follow, for nothing is padded
LAYOUT: dict[str, tuple[int, str]] = {
    "ntzc_desc": (
        32,
        "handle:4 offset:4 timestamp:8 len:4 hash:4 orig_len:2 vlan_tci:2 flags:2 queue:1"
        " hash_type:1",
    ),
    "ntzc_query": (32, "abi_version:4 desc_size:4 features:8 reserved:16"),
    "ntzc_port_info": (
        144,
        "id:4 ifindex:4 name:16 bus:32 n_queues:4 max_queues:4 buf_size:4 n_bufs:4 headroom:4"
        " frame_max:4 numa_node:4 flags:4 n_taps:4 reserved0:4 pool_bytes:8 mac:8 reserved:32",
    ),
    "ntzc_port_config": (32, "id:4 buf_size:4 n_bufs:4 flags:4 reserved:16"),
    "ntzc_port_policy": (
        48,
        "id:4 set:4 stack:4 quota:4 quota_max:4 reserved0:4 reserved:24",
    ),
    "ntzc_attach": (
        136,
        "name:16 ifindex:4 flags:4 queues:8 ring_size:4 quota:4 desc_size:4 port_id:4 buf_size:4"
        " n_bufs:4 headroom:4 frame_max:4 rx_bytes:8 fanout:4 clock:4 busy_poll_us:4 n_queues:4"
        " rings_bytes:4 release_offset:4 release_size:4 tap_id:4 reserved:32",
    ),
    "ntzc_filter": (40, "kind:4 len:4 insns:8 fd:4 flags:4 reserved:16"),
    "ntzc_ring": (192, "prod:4 reserved0:60 cons:4 reserved1:60 flags:4 reserved2:60"),
    "ntzc_rx_rings": (384, "rx:192 release:192"),
    "ntzc_tx_buf": (8, "handle:4 offset:4"),
    "ntzc_tx_rings": (384, "tx:192 free:192"),
    "ntzc_tx_setup": (
        56,
        "n_bufs:4 buf_size:4 headroom:4 flags:4 tx_bytes:8 rings_bytes:4 ring_size:4"
        " free_offset:4 reserved0:4 reserved:16",
    ),
    "ntzc_tx_target": (
        56,
        "name:16 ifindex:4 flags:4 target:4 port_id:4 frame_max:4 reserved0:4 reserved:16",
    ),
    "ntzc_tx_batch": (24, "descs:8 count:4 flags:4 reserved:8"),
    "ntzc_tap_stats": (
        192,
        "received:8 received_bytes:8 lost_ring:8 lost_quota:8 lost_pool:8 released:8 waiting:8"
        " held:8 tx_reserved:8 tx_submitted:8 tx_forwarded:8 tx_completed:8 tx_failed:8"
        " tx_in_flight:8 tx_free:8 filtered:8 missed:8 bad_release:8 bad_submit:8 reserved:40",
    ),
    "ntzc_tap_info": (
        288,
        "port_id:4 tap_id:4 pid:4 uid:4 flags:4 fanout:4 queues:8 ring_size:4 quota:4"
        " oldest_ns:8 comm:16 stats:192 reserved:32",
    ),
    "ntzc_port_stats": (
        192,
        "id:4 flags:4 pool_size:8 pool_free:8 pool_card:8 pool_held:8 pool_in_flight:8"
        " rx_frames:8 rx_bytes:8 rx_unclaimed:8 rx_no_buffer:8 rx_missed:8 rx_errors:8"
        " tx_frames:8 tx_bytes:8 tx_failed:8 tx_in_flight:8 resets:8 stack_rx:8 stack_tx:8"
        " stack_dropped:8 reserved:32",
    ),
}

# size << 16 | magic << 8 | number, with the direction in the top two bits
COMMANDS = {
    "NTZC_IOC_QUERY": 0x8020B500,
    "NTZC_IOC_PORT_INFO": 0xC090B501,
    "NTZC_IOC_PORT_STATS": 0xC0C0B502,
    "NTZC_IOC_PORT_CONFIG": 0x4020B503,
    "NTZC_IOC_PORT_POLICY": 0xC030B504,
    "NTZC_IOC_TAP_INFO": 0xC120B505,
    "NTZC_IOC_ATTACH": 0xC088B510,
    "NTZC_IOC_TAP_STATS": 0x80C0B511,
    "NTZC_IOC_FILTER": 0x4028B512,
    "NTZC_IOC_TX_SETUP": 0xC038B520,
    "NTZC_IOC_TX_RESERVE": 0x4018B521,
    "NTZC_IOC_TX_SUBMIT": 0x4018B522,
    "NTZC_IOC_TX_DRAIN": 0x0000B523,
    "NTZC_IOC_TX_TARGET": 0xC038B524,
    "NTZC_IOC_KICK": 0x0000B530,
}

VALUES = {
    "NTZC_ABI_VERSION": 1,
    "NTZC_NAME_LEN": 16,
    "NTZC_BUS_LEN": 32,
    "NTZC_MAX_QUEUES": 64,
    "NTZC_MAX_TAPS": 64,
    "NTZC_MAX_RING": 65536,
    "NTZC_MIN_FRAME": 14,
    "NTZC_PAD_FRAME": 60,
    "NTZC_MAX_TARGETS": 8,
    "NTZC_MAX_BUSY_POLL_US": 10000,
    "NTZC_HANDLE_TX": 0x80000000,
    "NTZC_MMAP_RX": 0,
    "NTZC_MMAP_TX": 0x1000000000,
    "NTZC_MMAP_RX_RINGS": 0x2000000000,
    "NTZC_MMAP_RX_RINGS_STEP": 0x1000000,
    "NTZC_MMAP_TX_RINGS": 0x3000000000,
    "NTZC_RX_VLAN": 1,
    "NTZC_RX_L3_OK": 2,
    "NTZC_RX_L4_OK": 4,
    "NTZC_RX_L3_BAD": 8,
    "NTZC_RX_L4_BAD": 16,
    "NTZC_RX_HOST": 32,
    "NTZC_TX_VLAN": 1,
    "NTZC_HASH_NONE": 0,
    "NTZC_HASH_IPV4": 1,
    "NTZC_HASH_TCP_IPV4": 2,
    "NTZC_HASH_UDP_IPV4": 3,
    "NTZC_HASH_IPV6": 4,
    "NTZC_HASH_TCP_IPV6": 5,
    "NTZC_HASH_UDP_IPV6": 6,
    "NTZC_CLOCK_REALTIME": 0,
    "NTZC_CLOCK_MONOTONIC": 1,
    "NTZC_CLOCK_TAI": 2,
    "NTZC_ATTACH_PROMISC": 1,
    "NTZC_ATTACH_HOST": 2,
    "NTZC_PORT_UP": 1,
    "NTZC_PORT_CARRIER": 2,
    "NTZC_POLICY_STACK": 1,
    "NTZC_POLICY_QUOTA": 2,
    "NTZC_POLICY_QUOTA_MAX": 4,
    "NTZC_STACK_OFF": 0,
    "NTZC_STACK_COPY": 1,
    "NTZC_FILTER_NONE": 0,
    "NTZC_FILTER_CLASSIC": 1,
    "NTZC_FILTER_EBPF": 2,
    "NTZC_RING_NEED_WAKEUP": 1,
    "NTZC_RING_ENTRIES": 4096,
    "NTZC_TX_RINGS": 1,
    "NTZC_TAP_FILTER": 1,
    "NTZC_TAP_PROMISC": 2,
    "NTZC_TAP_HOST": 4,
    "NTZC_FEATURE_RX": 0x1,
    "NTZC_FEATURE_TX": 0x2,
    "NTZC_FEATURE_FORWARD": 0x4,
    "NTZC_FEATURE_RINGS": 0x8,
    "NTZC_FEATURE_FILTER": 0x10,
    "NTZC_FEATURE_FANOUT": 0x20,
    "NTZC_FEATURE_TARGETS": 0x40,
    "NTZC_FEATURE_STACK": 0x80,
    "NTZC_FEATURE_BUSY_POLL": 0x100,
}

CACHE_LINE = 64  # of all machines that matter

# what must hold whatever the numbers are
PROPERTIES = [
    # a side that writes its index takes the other's line from nobody
    *(
        f"offsetof(struct {rings}, {ring}) % {CACHE_LINE} == 0"
        for rings, ring in (
            ("ntzc_rx_rings", "rx"),
            ("ntzc_rx_rings", "release"),
            ("ntzc_tx_rings", "tx"),
            ("ntzc_tx_rings", "free"),
        )
    ),
    *(f"offsetof(struct ntzc_ring, {field}) % {CACHE_LINE} == 0" for field in ("cons", "flags")),
    f"sizeof(struct ntzc_ring) % {CACHE_LINE} == 0",
    # the head lies before the first entries, which begin a page and share no line
    "sizeof(struct ntzc_rx_rings) <= NTZC_RING_ENTRIES",
    "sizeof(struct ntzc_tx_rings) <= NTZC_RING_ENTRIES",
    f"{CACHE_LINE} % sizeof(struct ntzc_desc) == 0",
    # mappings do not reach into one another: of rings, of queues, and of memory
    "NTZC_RING_ENTRIES + NTZC_MAX_RING * (sizeof(struct ntzc_desc) + sizeof(__u32))"
    " <= NTZC_MMAP_RX_RINGS_STEP",
    "NTZC_MMAP_RX_RINGS + NTZC_MAX_QUEUES * NTZC_MMAP_RX_RINGS_STEP <= NTZC_MMAP_TX_RINGS",
    "NTZC_MMAP_RX + 0xffffffffull < NTZC_MMAP_TX",
    "NTZC_MMAP_TX + 0xffffffffull < NTZC_MMAP_RX_RINGS",
    # a queue, and the host's beside them, has a number that ntzc_desc can hold
    "NTZC_MAX_QUEUES <= 255 && NTZC_MAX_TARGETS <= 256",
    "NTZC_MAX_QUEUES <= 8 * sizeof(((struct ntzc_attach *)0)->queues)",
    "(NTZC_MAX_RING & (NTZC_MAX_RING - 1)) == 0",
]

COMPILERS = {
    "C": ["gcc", "-std=c99", "-x", "c"],
    "C11": ["gcc", "-std=c11", "-x", "c"],
    "C for 32 bits": ["gcc", "-m32", "-std=gnu11", "-x", "c"],
    "C++": ["g++", "-std=c++11", "-x", "c++"],
    "C++ for 32 bits": ["g++", "-m32", "-std=c++11", "-x", "c++"],
}
WARNINGS = ["-Wall", "-Wextra", "-Wpadded", "-Werror", "-Wno-long-long"]


def _fields(struct: str) -> list[tuple[str, int, int]]:
    """Name, offset and size of each field of the table."""
    at, out = 0, []
    for entry in LAYOUT[struct][1].split():
        name, size = entry.split(":")
        out.append((name, at, int(size)))
        at += int(size)
    return out


def _compile(compiler: str, source: str) -> str:
    """Return what the compiler said."""
    done = subprocess.run(
        [*COMPILERS[compiler], *WARNINGS, "-fsyntax-only", f"-I{HEADER.parent}", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


def _assertions() -> str:
    claims = []
    for struct, (size, _) in LAYOUT.items():
        claims.append(f"sizeof(struct {struct}) == {size}")
        for name, offset, length in _fields(struct):
            claims.append(f"offsetof(struct {struct}, {name}) == {offset}")
            claims.append(f"sizeof(((struct {struct} *)0)->{name}) == {length}")
    claims += [f"{name} == {value}ull" for name, value in {**COMMANDS, **VALUES}.items()]
    claims += PROPERTIES
    # a negative size is an error in every dialect
    return "".join(
        f"extern char claim_{i}[({claim}) ? 1 : -1];\n" for i, claim in enumerate(claims)
    )


def test_the_table_adds_up() -> None:
    for struct, (size, _) in LAYOUT.items():
        _, offset, length = _fields(struct)[-1]
        assert offset + length == size, struct


def test_the_tables_name_every_structure_command_and_number() -> None:
    text = HEADER.read_text()
    assert set(re.findall(r"^struct (\w+) {", text, re.MULTILINE)) == set(LAYOUT)
    numbers = set(re.findall(r"^#define (NTZC_\w+)[ \t]+\S", text, re.MULTILINE))
    assert numbers - {"NTZC_DEVICE", "NTZC_IOC_MAGIC"} == {*COMMANDS, *VALUES}


@pytest.mark.parametrize("header", ["ntzc.h", "ntzc_ring.h"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_header_stands_alone_without_padding_or_warning(compiler: str, header: str) -> None:
    assert _compile(compiler, f'#include "{header}"\n' * 2) == ""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_layout_and_numbers_are_the_same_everywhere(compiler: str) -> None:
    """Hostile case 99: for 32 and for 64 bits."""
    assert _compile(compiler, '#include "ntzc.h"\n#include <stddef.h>\n' + _assertions()) == ""


def test_a_changed_layout_would_be_noticed() -> None:
    """The check itself works: move one field, and the compiler objects."""
    text = HEADER.read_text().replace("__u16 orig_len;\n", "__u32 orig_len;\n", 1)
    source = text + "\n#include <stddef.h>\n" + _assertions()
    assert "claim_" in _compile("C", source)


def test_indices_that_share_a_cache_line_would_be_noticed() -> None:
    text = HEADER.read_text().replace(
        "reserved0[15];\n\t__u32 cons", "reserved0[14];\n\t__u32 cons"
    )
    assert text != HEADER.read_text()
    claims = [f"extern char claim_{i}[({claim}) ? 1 : -1];" for i, claim in enumerate(PROPERTIES)]
    found = _compile("C", text + "\n#include <stddef.h>\n" + "\n".join(claims))
    assert "claim_" in found
