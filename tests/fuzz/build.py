# SPDX-License-Identifier: GPL-2.0-or-later
"""The fuzzer, and the modules that tell it where they went."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from emulation import modules
from emulation.kernels import Kernel

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def program() -> Path:
    """Build the fuzzer for the guest, which has the host's libraries."""
    target = ROOT / "build/guest/fuzz"
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = "-std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -pthread".split()
    # what its calls return is the kernel's business
    flags += ["-Wno-unused-result", f"-I{ROOT / 'module/include'}"]
    sources = sorted(HERE.glob("*.c"))
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, *flags, "-o", target, *sources], check=True)
    return target


def instrumented(kernel: Kernel) -> list[Path]:
    """Build the modules so that KCOV sees them, where the kernel has it; else as ever."""
    config = kernel.headers / "include/config/auto.conf"
    if "CONFIG_KCOV=y" not in config.read_text().splitlines():
        return modules.build(kernel)
    return modules.build(kernel, make_args=["KCOV_INSTRUMENT=y"], variant="kcov")
