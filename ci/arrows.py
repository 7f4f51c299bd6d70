# SPDX-License-Identifier: GPL-2.0-or-later
"""Check that dependencies run one way, as docs/architecture.md draws them.

driver -> module's driver-facing header -> ABI header; pyntzc -> libntzc -> ABI header.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# folder -> headers of this project that its C files may include, beside their own
_INCLUDES = {
    "module": {"ntzc.h", "m_buf.h", "ntzc_driver.h"},
    "driver": {"ntzc.h", "m_buf.h", "ntzc_driver.h"},
    "libntzc": {"ntzc.h", "ntzc_ring.h", "libntzc.h"},
    "pyntzc": {"ntzc.h", "libntzc.h"},
    "bench": {"ntzc.h", "libntzc.h", "marker.h"},
}

# folder -> what its C files may not say
_WORDS = {
    "module": r"linux/pci|\bpci_|\bigb|8257[56]",
    "libntzc": r"ntzc_driver|m_buf",
}

# Python package -> packages of this project that it may import, beside itself
_IMPORTS = {
    "pyntzc": set[str](),
    "emulation": {"ci"},
    "ci": {"emulation"},
    "bench": {"emulation", "pyntzc"},
}
_OURS = set(_IMPORTS) | {"tests"}


def _c_faults(folder: str) -> Iterator[str]:
    files = [p for p in (ROOT / folder).rglob("*") if p.suffix in {".c", ".h"}]
    own = {path.name for path in files}
    word = re.compile(_WORDS.get(folder, r"(?!)"))
    for path in files:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            where = f"{path.relative_to(ROOT)}:{number}"
            include = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
            if include and '"' in line:
                name = Path(include[1]).name
                if name not in own | _INCLUDES[folder]:
                    yield f"{where}: {folder}/ may not include {name}"
            if word.search(line):
                yield f"{where}: {folder}/ may not name {word.search(line)[0]}"  # type: ignore[index]


def _python_faults(package: str) -> Iterator[str]:
    allowed = _IMPORTS[package] | {package}
    for path in (ROOT / package).rglob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r"\s*(?:from|import)\s+(\w+)", line)
            if found and found[1] in _OURS - allowed:
                where = f"{path.relative_to(ROOT)}:{number}"
                yield f"{where}: {package} may not import {found[1]}"
            if package == "pyntzc" and re.search(r"\bioctl\(|import fcntl", line):
                yield f"{path.relative_to(ROOT)}:{number}: pyntzc makes no ioctl of its own"


def faults() -> list[str]:
    """Return a line for each dependency that runs the wrong way."""
    found = [fault for folder in _INCLUDES for fault in _c_faults(folder)]
    return found + [fault for package in _IMPORTS for fault in _python_faults(package)]


if __name__ == "__main__":
    lines = faults()
    print("\n".join(lines) or "arrows: all run one way")
    sys.exit(bool(lines))
