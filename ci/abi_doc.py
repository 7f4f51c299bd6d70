# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/abi.md, made from the comments of the ABI header. ``python -m ci.abi_doc`` writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "module/include/ntzc.h"
DOC = ROOT / "docs/abi.md"

_INTRO = """<!-- made from module/include/ntzc.h by ci/abi_doc.py: change that, not this -->
# The ABI of /dev/ntzc

"""


def _clean(comment: str) -> str:
    """Return a comment's text without its frame."""
    lines = [re.sub(r"^\s*\*? ?", "", line, count=1) for line in comment.splitlines()]
    return "\n".join(lines).strip()


def _preamble(text: str) -> str:
    comments = re.findall(r"/\*\n(.*?)\*/", text, re.S)
    title, _, body = _clean(comments[0]).partition("\n")
    return f"{title}\n\n```text\n{body.strip()}\n```\n"


def _fields(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (name, text) for each ``@name: text`` with its continuation lines."""
    name, words = "", list[str]()
    for line in lines:
        found = re.match(r"@(\w+): (.*)", line)
        if found:
            if name:
                yield name, " ".join(words)
            name, words = found[1], [found[2]]
        elif name:
            words.append(line.strip())
    if name:
        yield name, " ".join(words)


def _struct(name: str, comment: str, body: str) -> str:
    brief, _, rest = comment.partition("\n")
    head = rest.partition("\n\n")
    members = re.finditer(r"^\t((?:struct )?\w+)\s+(\w+)(\[\w+\])?;", body, re.M)
    types = {found[2]: found[1] + (found[3] or "") for found in members}
    out = [f"## struct {name}", "", brief.partition(" - ")[2].capitalize() + ".", ""]
    out += ["| field | type | meaning |", "|---|---|---|"]
    for field, meaning in _fields(head[0].splitlines()):
        out.append(f"| `{field}` | `{types[field]}` | {meaning.replace('|', chr(92) + '|')} |")
    if head[2]:
        out += ["", head[2].strip()]
    return "\n".join(out) + "\n"


def _structs(text: str) -> Iterator[str]:
    pattern = r"/\*\*\n \* struct (\w+)(.*?)\*/\nstruct \w+ \{\n(.*?)\};"
    for found in re.finditer(pattern, text, re.S):
        yield _struct(found[1], _clean(f" * x{found[2]}"), found[3])


def _constants(text: str) -> str:
    rows = ["## Constants", "", "| name | value | meaning |", "|---|---|---|"]
    pattern = r"^#define\s+(NTZC_(?!IOC_)\w+)\t+(\S+|\".*?\")(?:\t+/\* (.*?) \*/)?$"
    for found in re.finditer(pattern, text, re.M):
        meaning = found[3] or ""
        above = re.search(rf"/\*\* {found[1]} - (.*?) \*/", text)
        rows.append(f"| `{found[1]}` | `{found[2]}` | {meaning or (above[1] if above else '')} |")
    return "\n".join(rows) + "\n"


def _commands(text: str) -> str:
    rows = ["## Commands", "", "| ioctl | number | direction | argument |", "|---|---|---|---|"]
    direction = {"_IO": "none", "_IOR": "out", "_IOW": "in", "_IOWR": "in and out"}
    pattern = r"^#define (NTZC_IOC_\w+)\t+(_IO\w*)\(NTZC_IOC_MAGIC, (\w+)(?:, (struct \w+))?\)"
    for found in re.finditer(pattern, text, re.M):
        rows.append(f"| `{found[1]}` | {found[3]} | {direction[found[2]]} | {found[4] or ''} |")
    return "\n".join(rows) + "\n"


def render() -> str:
    """Return the document."""
    text = HEADER.read_text()
    parts = [_preamble(text), _commands(text), *_structs(text), _constants(text)]
    return _INTRO + "\n".join(parts)


def is_current() -> bool:
    """Return whether the file is what the header makes."""
    return DOC.exists() and DOC.read_text() == render()


if __name__ == "__main__":
    DOC.parent.mkdir(exist_ok=True)
    DOC.write_text(render())
