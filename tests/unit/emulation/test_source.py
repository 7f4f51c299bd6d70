# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels built from fragments: nothing that a fragment asks for is left out unsaid."""

from __future__ import annotations

from emulation import kernels, source

CONFIG = """\
CONFIG_KASAN=y
CONFIG_NR_CPUS=8
# CONFIG_VT is not set
CONFIG_IGB=m
"""


def test_what_a_kernel_does_not_take_is_named() -> None:
    wanted = "CONFIG_KASAN=y\nCONFIG_KCSAN=y\nCONFIG_NR_CPUS=4\nCONFIG_IGB=m\n"
    assert source.refused(wanted, CONFIG) == ["CONFIG_KCSAN=y", "CONFIG_NR_CPUS=4"]


def test_what_is_to_be_off_may_be_absent_or_not_set() -> None:
    assert source.refused("CONFIG_VT=n\nCONFIG_FOO=n\n", CONFIG) == []
    assert source.refused("CONFIG_KASAN=n\n", CONFIG) == ["CONFIG_KASAN=n"]


def test_a_later_fragment_overrides_an_earlier_one() -> None:
    assert source.refused("CONFIG_KASAN=n\nCONFIG_KASAN=y\n", CONFIG) == []


def test_each_set_of_fragments_is_a_kernel_of_its_own() -> None:
    built = [entry["fragments"] for entry in kernels.known().values() if "fragments" in entry]
    assert len({source.fragments_digest(names) for names in built}) == len(built) > 0
