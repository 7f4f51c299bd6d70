# SPDX-License-Identifier: GPL-2.0-or-later
"""Counting what the guest executes, instruction by instruction.

Counts are free of noise from the host, and the same on every machine. A program in the
guest sets marks (``marker.h``, or the library that :func:`emulation.insn.counter.build`
makes); between two marks, every instruction of every virtual processor is counted by its
address, and told apart on the host into user, kernel and module, and into functions.

What a count cannot show: caches, TLBs, the cost of an MMIO access (one instruction; its
number is told apart), or the work of a DMA engine. A block that an exception leaves early
is counted whole.
"""
