# SPDX-License-Identifier: GPL-2.0-or-later
"""Benchmarks of cards after RFC 2544, for ``ntzc bench``.

``trial`` is what one run of frames is and what became of it; ``rig`` runs it on cards, by
the loops in C (``pyntzc/meter``). ``suite`` has the four tests, which know no card, over
``search`` and ``figures``. ``system`` and ``environment`` say what was measured on, ``report``
what came out.

Frame sizes are those of RFC 2544: bytes with the frame check sequence. Times are integer
nanoseconds, rates integer frames a second.
"""
