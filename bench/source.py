# SPDX-License-Identifier: GPL-2.0-or-later
"""What offers frames to a program that is measured: many, and then time to deal with them.

What is counted should be the work of full batches, however fast the host is. So programs pause
where a batch is not full (bench/gather.h), for long enough that the host can send many.
"""

from __future__ import annotations

import time
from contextlib import suppress

from emulation.channel import Process
from emulation.errors import GuestTimeout
from emulation.vm import VM

GATHERED = 2048  # frames that the host sends at a time: fewer than anybody's ring has
GATHERED_JUMBO = 512  # likewise, of long ones: fewer than anybody's buffer holds
USUAL_LEN = 1514  # longer ones are jumbo
FRAME = bytes.fromhex("02000000aa0102000000aa0288b5")
_PAUSE_MS = 60  # for frames to gather, at least; more on a host that sends slowly
_GATHER = 1.1  # then this many times what sending them takes
_PERIOD = 1.25  # pauses until the host sends again
_MANY = 16  # times as many, so that what waits in sockets hardly matters to the measured speed
_DEADLINE_S = 240  # of a case, on a slow host
_STUCK_S = 0.5  # then the sender looks whether the program still runs


class Source:
    """Offers frames to the cards of a machine.

    Args:
        vm: the machine.
        card: one that drops what is not for it, or has no tap: the host's speed is measured there.

    """

    def __init__(self, vm: VM, card: int) -> None:
        self._vm = vm
        self.pause_ms = self._measure_pause(card)
        """How long frames should gather, in ms: a little more than it takes to send them."""

    def _measure_pause(self, card: int) -> int:
        wire = self._vm.wires[card]
        assert wire
        to_it = bytes.fromhex(self._vm.mac(card).replace(":", "")) + FRAME[6:]
        began = time.monotonic()
        wire.send_many([to_it.ljust(60)] * (_MANY * GATHERED))
        took_ms = 1000 * (time.monotonic() - began) / _MANY
        return max(_PAUSE_MS, round(_GATHER * took_ms))

    @property
    def environment(self) -> dict[str, str]:
        """What tells a program how long to pause."""
        return {"NTZC_PAUSE_MS": str(self.pause_ms)}

    def feed(self, run: Process, card: int, frame_len: int, slowness: int = 1) -> None:
        """Offer a card frames of *frame_len* bytes until the program *run* has ended.

        One that is *slowness* times slower than others has that much longer for them. Raises
        :class:`GuestTimeout`.
        """
        wire = self._vm.wires[card]
        assert wire
        frame = FRAME.ljust(frame_len, b"\x5a")
        gathered = GATHERED if frame_len <= USUAL_LEN else GATHERED_JUMBO
        period_s = _PERIOD * slowness * self.pause_ms / 1000
        deadline = time.monotonic() + _DEADLINE_S
        while run.returncode is None:
            if time.monotonic() > deadline:
                run.kill()
                raise GuestTimeout(f"the program did not end in {_DEADLINE_S:g} s")
            # a card that user space drives takes nothing once its program has ended
            with suppress(GuestTimeout):
                wire.send_many([frame] * gathered, _STUCK_S)
            # all of them are to be read before more come: so marks part like from like
            with suppress(GuestTimeout):
                run.wait(period_s)
            wire.drain()
