# SPDX-License-Identifier: GPL-2.0-or-later
"""The core against its model, in any order of events."""

from __future__ import annotations

from tests.unit.core.model import CoreMachine

TestCore = CoreMachine.TestCase
