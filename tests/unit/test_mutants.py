# SPDX-License-Identifier: GPL-2.0-or-later
"""``make mutants`` takes long and is run rarely: what it breaks must still be there."""

from __future__ import annotations

import pytest

from tests.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda mutant: mutant.name)
def test_a_breakage_names_what_to_break_and_who_must_notice(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert not name or f"def {name}(" in (ROOT / "tests" / path).read_text()
        assert (ROOT / "tests" / path).exists()
