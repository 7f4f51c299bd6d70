# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/hostile-cases.md names for each case the tests that name the case, and no others."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "docs/hostile-cases.md"
CASES = [*map(str, range(1, 102)), "rings"]

_ROW = re.compile(r"\| (\w+) \| ([^|]+) \| ([^|]+) \|")
_TEST = re.compile(r"`([\w./]+\.py)::(\w+)`")
# "Hostile case 5", "Hostile cases 5, 6 and 7"
_NUMBER = r"(?:\d+|rings)"
_NAMED = re.compile(rf"Hostile cases? ({_NUMBER}(?:(?:, | and ){_NUMBER})*)")


def rows() -> dict[str, tuple[str, str]]:
    """What each case is, and how it is dealt with."""
    found: dict[str, tuple[str, str]] = {}
    for line in TABLE.read_text().splitlines():
        if (match := _ROW.fullmatch(line)) and match[1] in CASES:
            assert match[1] not in found, f"case {match[1]} has two rows"
            found[match[1]] = (match[2].strip(), match[3].strip())
    return found


def cases_of(docstring: str) -> Iterator[str]:
    """The cases that a docstring names."""
    for match in _NAMED.finditer(docstring):
        yield from re.findall(_NUMBER, match[1])


@functools.cache
def named() -> dict[tuple[str, str], set[str]]:
    """All tests, by file and name, and the cases that they name."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                key = str(path.relative_to(ROOT / "tests")), node.name
                found[key] = set(cases_of(ast.get_docstring(node) or ""))
    return found


def test_every_case_has_a_row() -> None:
    assert [*rows()] == CASES


@pytest.mark.parametrize("case", CASES)
def test_a_case_has_the_tests_that_name_it_or_a_reason(case: str) -> None:
    what, how = rows()[case]
    listed = set(_TEST.findall(how))
    naming = {key for key, cases in named().items() if case in cases}
    assert what
    assert listed == naming, "the table against the docstrings"
    assert listed or len(how) > 20, "neither a test nor a reason"


@pytest.mark.parametrize(
    ("text", "cases"),
    [
        ("Hostile case 5.", ["5"]),
        ("Hostile cases 5 and 16.", ["5", "16"]),
        ("Hostile cases 5, 6 and rings, with 9 taps.", ["5", "6", "rings"]),
        ("Hostile case 59: 20 rounds of case 60.", ["59"]),
        ("Case 5.", []),
    ],
)
def test_what_a_docstring_names(text: str, cases: list[str]) -> None:
    assert [*cases_of(text)] == cases
