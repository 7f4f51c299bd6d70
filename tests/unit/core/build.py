# SPDX-License-Identifier: GPL-2.0-or-later
"""Compile the module's own sources for user space, as a Python extension.

Every object is kept under ``build/unit`` by the hash of all that went into it, so that a
second run compiles nothing and a mutant compiles one file.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import cffi

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "module"
SHIM = Path(__file__).resolve().parent / "shim"
BUILD = ROOT / "build" / "unit"
NAME = "_ntzc_core"

# all but what makes a module of it, and what is all about the host: shim/host.c is in place of that
CORE_SOURCES = tuple(
    sorted(
        path.name
        for path in MODULE.glob("*.c")
        if path.name not in ("main.c", "stack.c", "sysfs.c")
    )
)
_SHIM = "shim services bpf card check user packet host"
SHIM_SOURCES = tuple(f"{name}.c" for name in _SHIM.split())
# Headers that user space has too, with the same meaning; all others are stood in for.
SHARED_HEADERS = (
    "linux/types.h",
    "linux/ioctl.h",
    "linux/if_ether.h",
    "linux/bpf.h",
    "linux/filter.h",
)

WARNINGS = "-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers".split()
WARNINGS += ["-Wno-sign-compare"]  # as the kernel builds its own
# not alignment: a walk through a list computes, and never uses, an entry around its head
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize=alignment", "-fno-omit-frame-pointer"]

# The structures of ntzc.h that Python fills in or reads; sizes and offsets are the compiler's.
ABI = """
struct ntzc_desc {
    uint32_t handle; uint32_t offset; uint64_t timestamp; uint32_t len; uint32_t hash;
    uint16_t orig_len; uint16_t vlan_tci; uint16_t flags; uint8_t queue; uint8_t hash_type; ...;
};
struct ntzc_attach {
    char name[16]; uint32_t ifindex; uint32_t flags; uint64_t queues; uint32_t ring_size;
    uint32_t quota; uint32_t desc_size; uint32_t port_id; uint32_t buf_size; uint32_t n_bufs;
    uint32_t headroom; uint32_t frame_max; uint64_t rx_bytes; uint32_t fanout; uint32_t clock;
    uint32_t busy_poll_us; uint32_t n_queues; uint32_t rings_bytes; uint32_t release_offset;
    uint32_t release_size; uint32_t tap_id; uint64_t reserved[4]; ...;
};
struct ntzc_filter {
    uint32_t kind; uint32_t len; uint64_t insns; int32_t fd; uint32_t flags;
    uint64_t reserved[2]; ...;
};
struct sock_filter { uint16_t code; uint8_t jt; uint8_t jf; uint32_t k; };
struct ntzc_ring { uint32_t prod; uint32_t cons; uint32_t flags; ...; };
struct ntzc_rx_rings { struct ntzc_ring rx; struct ntzc_ring release; ...; };
struct ntzc_tx_rings { struct ntzc_ring tx; struct ntzc_ring free; ...; };
struct ntzc_tx_buf { uint32_t handle; uint32_t offset; };
struct ntzc_tx_setup {
    uint32_t n_bufs; uint32_t buf_size; uint32_t headroom; uint32_t flags; uint64_t tx_bytes;
    uint32_t rings_bytes; uint32_t ring_size; uint32_t free_offset; uint64_t reserved[2]; ...;
};
struct ntzc_tx_target {
    char name[16]; uint32_t ifindex; uint32_t flags; uint32_t target; uint32_t port_id;
    uint32_t frame_max; uint64_t reserved[2]; ...;
};
struct ntzc_tx_batch { uint64_t descs; uint32_t count; uint32_t flags; uint64_t reserved; ...; };
struct ntzc_port_policy {
    uint32_t id; uint32_t set; uint32_t stack; uint32_t quota; uint32_t quota_max; ...;
};
struct ntzc_tap_stats {
    uint64_t received; uint64_t received_bytes; uint64_t lost_ring; uint64_t lost_quota;
    uint64_t lost_pool; uint64_t released; uint64_t waiting; uint64_t held; uint64_t tx_reserved;
    uint64_t tx_submitted; uint64_t tx_forwarded; uint64_t tx_completed; uint64_t tx_failed;
    uint64_t tx_in_flight; uint64_t tx_free; uint64_t filtered; uint64_t missed;
    uint64_t bad_release; uint64_t bad_submit; ...;
};
struct ntzc_tap_info {
    uint32_t port_id; uint32_t tap_id; uint32_t pid; uint32_t uid; uint32_t flags;
    uint32_t fanout; uint64_t queues; uint32_t ring_size; uint32_t quota; uint64_t oldest_ns;
    char comm[16]; struct ntzc_tap_stats stats; ...;
};
struct ntzc_port_stats {
    uint32_t id; uint64_t pool_size; uint64_t pool_free; uint64_t pool_card; uint64_t pool_held;
    uint64_t pool_in_flight; uint64_t rx_frames; uint64_t rx_bytes; uint64_t rx_unclaimed;
    uint64_t rx_no_buffer; uint64_t rx_missed; uint64_t rx_errors; uint64_t tx_frames;
    uint64_t tx_bytes; uint64_t tx_failed; uint64_t tx_in_flight; uint64_t resets; ...;
};
struct ntzc_port_info {
    uint32_t id; uint32_t ifindex; uint32_t n_queues; uint32_t max_queues; uint32_t buf_size;
    uint32_t n_bufs; uint32_t headroom; uint32_t frame_max; uint32_t flags; uint32_t n_taps;
    uint64_t pool_bytes; ...;
};
"""
ABI += "".join(
    f"#define NTZC_IOC_{name} ...\n"
    for name in (
        "QUERY PORT_INFO PORT_STATS PORT_CONFIG PORT_POLICY TAP_INFO ATTACH TAP_STATS FILTER "
        "TX_SETUP TX_RESERVE TX_SUBMIT TX_DRAIN TX_TARGET KICK"
    ).split()
)


def _includes(text: str) -> set[str]:
    return set(re.findall(r"^#include <((?:linux|net)/[\w./-]+)>", text, re.MULTILINE))


def _digest(*parts: bytes | str) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode() if isinstance(part, str) else part)
        total.update(b"\0")
    return total.hexdigest()[:20]


def _write(path: Path, data: bytes | str) -> None:
    """Write a file so that a concurrent reader sees the whole of it or none."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(data.encode() if isinstance(data, str) else data)
    part.replace(path)


def _run(command: list[str], output: Path) -> None:
    if output.exists():
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(f"{output.stem}.{os.getpid()}{output.suffix}")
    done = subprocess.run([*command, "-o", str(part)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    part.replace(output)


def _binding() -> str:
    """C source of the extension: cffi's, over api.h and the ABI."""
    api = re.sub(r"/\*.*?\*/", "", (SHIM / "api.h").read_text(), flags=re.DOTALL)
    ffi = cffi.FFI()
    ffi.cdef(ABI)
    ffi.cdef(re.sub(r"^#.*$", "", api, flags=re.MULTILINE))
    ffi.set_source(NAME, '#include <linux/filter.h>\n#include "ntzc.h"\n#include "api.h"\n')
    path = BUILD / f"{NAME}.{os.getpid()}.c"
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):  # it announces itself
        ffi.emit_c_code(str(path))
    text = path.read_text()
    path.unlink()
    return text


def build(replace: Mapping[str, str] | None = None, *, sanitize: bool = False) -> Path:
    """Compile and link; return the extension's path.

    ``replace`` gives other text for files of ``module/``, by path relative to it.
    """
    files = {
        str(path.relative_to(MODULE)): path.read_text() for path in sorted(MODULE.rglob("*.[ch]"))
    }
    unknown = set(replace or {}) - set(files)
    if unknown:
        raise ValueError(f"not in module/: {unknown}")
    files.update(replace or {})
    headers = {name: text for name, text in files.items() if name.endswith(".h")}
    stand_ins = set[str]().union(*map(_includes, files.values())) - set(SHARED_HEADERS)
    shim = {path.name: path.read_text() for path in sorted(SHIM.glob("*.[ch]"))}

    # -O1: the fastest to compile that still inlines; what is optimised away hides no bug here
    flags = ["-std=gnu11", "-O1", "-g", "-fPIC", *WARNINGS, *(SANITIZE if sanitize else [])]
    common = _digest(
        repr(flags),
        repr(sorted(headers.items())),
        repr(sorted(stand_ins)),
        repr([(name, text) for name, text in shim.items() if name.endswith(".h")]),
    )
    tree = BUILD / common
    for name in stand_ins:
        _write(tree / "kernel" / name, "")
    for name, text in headers.items():
        _write(tree / "module" / name, text)
    search = [tree / "kernel", tree / "module", tree / "module" / "include", SHIM]
    command = ["gcc", *flags, *(f"-I{path}" for path in search)]

    def compile_one(name: str, text: str, extra: list[str]) -> Path:
        stem = f"{Path(name).stem}-{_digest(common, text)}"
        source = tree / f"{stem}.c"
        # errors and sanitisers name the true file
        _write(source, f'#line 1 "{name}"\n{text}')
        _run([*command, *extra, "-c", str(source)], tree / f"{stem}.o")
        return tree / f"{stem}.o"

    kernel = ["-include", "kernel.h"]
    jobs = [(name, files[name], kernel) for name in CORE_SOURCES]
    jobs += [(name, shim[name], kernel) for name in SHIM_SOURCES]
    python = [f"-I{sysconfig.get_path('include')}", "-Wno-error", "-include", "stdbool.h"]
    jobs.append((f"{NAME}.c", _binding(), [*python, "-w"]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda job: compile_one(*job), jobs))
    linked = _digest(*map(str, objects))
    output = BUILD / linked / f"{NAME}{sysconfig.get_config_var('EXT_SUFFIX')}"
    _run(["gcc", "-shared", *(SANITIZE if sanitize else []), *map(str, objects)], output)
    return output


def load(path: Path) -> ModuleType:
    """Import an extension that :func:`build` made."""
    spec = importlib.util.spec_from_file_location(NAME, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    return module
