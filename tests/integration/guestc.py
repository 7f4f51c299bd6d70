# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs for the guest that are written in C: tests/integration/guest/*.c."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent

_FLAGS = "-std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -pthread"


@functools.cache
def build(name: str, *more: str | Path) -> Path:
    """Build guest/*name*.c; return the program.

    Args:
        name: of the program.
        more: words for the compiler, and files to link with.
    """
    target = REPOSITORY / "build/guest" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    includes = [f"-I{REPOSITORY / path}" for path in ("libntzc/include", "module/include")]
    compiler = os.environ.get("CC", "cc").split()
    source = HERE / "guest" / f"{name}.c"
    # two runs may share the folder, and one's guest be starting what the other builds
    fresh = target.with_suffix(f".{os.getpid()}")
    command = [*compiler, *_FLAGS.split(), *includes, "-o", fresh, source, *more]
    subprocess.run(command, check=True)
    fresh.replace(target)
    return target
