# SPDX-License-Identifier: GPL-2.0-or-later
"""Build the Python client into build/python, if its sources changed since the last time.

The VM's programs import it from there, with the libraries that it needs from the
environment of ``ci/setup --print-venv``.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "build/python"
_SOURCES = (
    "pyproject.toml",
    "setup.py",
    "pyntzc",
    "libntzc",
    "module/include/ntzc.h",
    "module/include/ntzc_ring.h",
)
_SUFFIXES = {".c", ".h", ".py", ".pyi", ".toml", ".typed", ".map"}


def _fingerprint() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for name in _SOURCES:
        top = ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and path.suffix in _SUFFIXES:
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _build() -> None:
    # setuptools leaves its work in the source folder: build from a copy
    copy = ROOT / "build/python-source"
    shutil.rmtree(copy, ignore_errors=True)
    ignore = shutil.ignore_patterns("*.egg-info", "__pycache__")
    for name in (*_SOURCES, "LICENSE"):
        source, target = ROOT / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignore)
        else:
            shutil.copyfile(source, target)
    shutil.rmtree(TARGET, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--root-user-action=ignore"]
    subprocess.run([*command, *options, "--target", TARGET, copy], check=True)
    subprocess.run([sys.executable, "-m", "compileall", "-q", TARGET], check=True)


def main() -> int:
    """Build if need be."""
    stamp = TARGET / ".sources"
    fingerprint = _fingerprint()
    if not stamp.exists() or stamp.read_text() != fingerprint:
        print("building pyntzc in build/python", file=sys.stderr)
        _build()
        stamp.write_text(fingerprint)
    return 0


if __name__ == "__main__":
    sys.exit(main())
