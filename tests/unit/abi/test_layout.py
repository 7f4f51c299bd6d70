# SPDX-License-Identifier: GPL-2.0-or-later
"""The ABI header by itself: sizes, offsets and numbers that must never change.

Compiled as C and as C++, for 64 and for 32 bits (case 99): one table holds for all.
"""

from __future__ import annotations

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
    "ntzc_attach": (
        104,
        "name:16 ifindex:4 flags:4 queues:8 ring_size:4 quota:4 desc_size:4 port_id:4 buf_size:4"
        " n_bufs:4 headroom:4 frame_max:4 rx_bytes:8 reserved:32",
    ),
    "ntzc_tx_setup": (40, "n_bufs:4 buf_size:4 headroom:4 flags:4 tx_bytes:8 reserved:16"),
    "ntzc_tx_batch": (24, "descs:8 count:4 flags:4 reserved:8"),
    "ntzc_tap_stats": (
        192,
        "received:8 received_bytes:8 lost_ring:8 lost_quota:8 lost_pool:8 released:8 waiting:8"
        " held:8 tx_reserved:8 tx_submitted:8 tx_forwarded:8 tx_completed:8 tx_failed:8"
        " tx_in_flight:8 tx_free:8 reserved:72",
    ),
    "ntzc_port_stats": (
        192,
        "id:4 flags:4 pool_size:8 pool_free:8 pool_card:8 pool_held:8 pool_in_flight:8"
        " rx_frames:8 rx_bytes:8 rx_unclaimed:8 rx_no_buffer:8 rx_missed:8 rx_errors:8"
        " tx_frames:8 tx_bytes:8 tx_failed:8 tx_in_flight:8 resets:8 reserved:56",
    ),
}

# size << 16 | magic << 8 | number, with the direction in the top two bits
COMMANDS = {
    "NTZC_IOC_QUERY": 0x8020B500,
    "NTZC_IOC_PORT_INFO": 0xC090B501,
    "NTZC_IOC_PORT_STATS": 0xC0C0B502,
    "NTZC_IOC_PORT_CONFIG": 0x4020B503,
    "NTZC_IOC_ATTACH": 0xC068B510,
    "NTZC_IOC_TAP_STATS": 0x80C0B511,
    "NTZC_IOC_TX_SETUP": 0xC028B520,
    "NTZC_IOC_TX_RESERVE": 0x4018B521,
    "NTZC_IOC_TX_SUBMIT": 0x4018B522,
    "NTZC_IOC_TX_DRAIN": 0x0000B523,
}

VALUES = {
    "NTZC_ABI_VERSION": 1,
    "NTZC_HANDLE_TX": 0x80000000,
    "NTZC_MMAP_RX": 0,
    "NTZC_MMAP_TX": 0x1000000000,
    "NTZC_RX_VLAN": 1,
    "NTZC_RX_L3_OK": 2,
    "NTZC_RX_L4_OK": 4,
    "NTZC_RX_L3_BAD": 8,
    "NTZC_RX_L4_BAD": 16,
    "NTZC_TX_VLAN": 1,
    "NTZC_ATTACH_PROMISC": 1,
    "NTZC_PORT_UP": 1,
    "NTZC_PORT_CARRIER": 2,
    "NTZC_FEATURE_RX": 1,
    "NTZC_FEATURE_TX": 2,
    "NTZC_FEATURE_FORWARD": 4,
}

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
    # a negative size is an error in every dialect
    return "".join(
        f"extern char claim_{i}[({claim}) ? 1 : -1];\n" for i, claim in enumerate(claims)
    )


def test_the_table_adds_up() -> None:
    for struct, (size, _) in LAYOUT.items():
        _, offset, length = _fields(struct)[-1]
        assert offset + length == size, struct


def test_the_table_names_every_structure_and_command() -> None:
    text = HEADER.read_text()
    for line in text.splitlines():
        if line.startswith("struct "):
            assert line.split()[1] in LAYOUT
        if line.startswith("#define NTZC_IOC_") and "MAGIC" not in line:
            assert line.split()[1] in COMMANDS


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_header_stands_alone_without_padding_or_warning(compiler: str) -> None:
    assert _compile(compiler, '#include "ntzc.h"\n#include "ntzc.h"\n') == ""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_layout_and_numbers_are_the_same_everywhere(compiler: str) -> None:
    assert _compile(compiler, '#include "ntzc.h"\n#include <stddef.h>\n' + _assertions()) == ""


def test_a_changed_layout_would_be_noticed() -> None:
    """The check itself works: move one field, and the compiler objects."""
    text = HEADER.read_text().replace("__u16 orig_len;\n", "__u32 orig_len;\n", 1)
    source = text + "\n#include <stddef.h>\n" + _assertions()
    assert "claim_" in _compile("C", source)
