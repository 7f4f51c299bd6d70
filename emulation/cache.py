# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache outside the checkout: where it lies, and how several processes share it.

What is fetched or built once for every clone lives in ``${XDG_CACHE_HOME:-~/.cache}/ntzc``.
A finished entry appears by one rename, under a lock, so that a reader sees all of it or
none of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def cache_dir() -> Path:
    """Return NTZC's cache directory, made if it was missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "ntzc"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache's lock called *name*; other processes asking for it wait."""
    path = cache_dir() / "locks" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a scratch directory that becomes *target* when the block ends well.

    An exception leaves *target* as it was. The caller holds the lock that guards *target*.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # of a run that was killed: nobody else is at it, and a kernel's sources are large
    for left in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield scratch
        if target.exists():
            shutil.rmtree(target)
        scratch.chmod(0o755)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
