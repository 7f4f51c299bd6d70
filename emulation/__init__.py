# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels, modules and virtual machines with 82576 cards, for tests, demos and benches.

This package knows artifacts and commands, never pyntzc: what runs inside the machine is
its caller's affair. The entry points are :class:`emulation.vm.VM` and ``python -m
emulation``. Nothing is imported here, because :mod:`emulation.apt` and
:mod:`emulation.kernels` must run on a bare Python, before the virtual environment exists.
"""
