# SPDX-License-Identifier: GPL-2.0-or-later
"""The guide's examples, as far as they can be checked where there is no card."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pyntzc

GUIDE = Path(__file__).parents[3] / "docs/python.md"
NAMES = {"tap": pyntzc.Tap, "batch": pyntzc.Batch, "packet": pyntzc.Packet, "port": pyntzc.Port}
NAMES["buffer"] = pyntzc.TxBuffer


def examples() -> Iterator[str]:
    for block in re.findall(r"(?:^(?: {4}.*)?\n)+", GUIDE.read_text(), re.MULTILINE):
        if block.strip():
            yield "\n".join(line[4:] for line in block.splitlines())


@pytest.mark.parametrize("example", [*examples()])
def test_an_example_is_python_and_names_only_what_there_is(example: str) -> None:
    for node in ast.walk(ast.parse(example)):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        name = node.value.id
        if name == "pyntzc":
            assert node.attr in pyntzc.__all__
        elif name in NAMES and not (name == "tap" and "port.taps()" in example):
            assert node.attr in dir(NAMES[name]) or node.attr in ALSO, node.attr


ALSO = {"queue", "timestamp_ns"}
"""Attributes of instances, which the class does not show."""


def test_there_are_examples() -> None:
    assert len([*examples()]) >= 9
