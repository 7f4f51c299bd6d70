# SPDX-License-Identifier: GPL-2.0-or-later
"""A fuzzer of the whole ABI, for the VM: ``make fuzz T=SECONDS [SEED=N]``."""
