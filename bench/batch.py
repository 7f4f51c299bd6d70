# SPDX-License-Identifier: GPL-2.0-or-later
"""What bench/insn.c does, in Python: batches as arrays, one byte of each frame touched.

Usage: batch.py MARKS.so IFACE COUNT BATCH rx|tx|forward LEN
"""

from __future__ import annotations

import ctypes
import os
import sys
import time

import pyntzc

_PAUSE_S = float(os.environ.get("NTZC_PAUSE_MS", "60")) / 1000  # frames gather, as in gather.h
_HEADER = bytes.fromhex("02000000000000000000000088b5")


def receive(tap: pyntzc.Tap, count: int, size: int) -> int:
    """Read *count* frames, or a batch more; return how many."""
    done = 0
    while True:
        for batch in tap.batches(size, 0):
            batch.bytes(1)  # reads a byte of each, as the C client does
            n = len(batch)
            batch.release()  # a "with" would cost some more
            done += n
            if done >= count:
                return done
            if n < size:
                time.sleep(_PAUSE_S)
        time.sleep(_PAUSE_S)


def forward(tap: pyntzc.Tap, count: int, size: int) -> int:
    """Send *count* frames on, or a batch more, through the card that they came by."""
    done = 0
    while True:
        for batch in tap.batches(size, 0):
            n = len(batch)
            sent = 0
            while sent < n:
                sent += tap.forward(batch)
            done += n
            if done >= count:
                return done
            if n < size:
                time.sleep(_PAUSE_S)
        time.sleep(_PAUSE_S)


def send(tap: pyntzc.Tap, count: int, size: int, len_bytes: int) -> int:
    """Send *count* frames, or a batch more, by copies of one."""
    frames = [_HEADER.ljust(len_bytes, b"\0")] * size
    done = 0
    while done < count:
        done += tap.send(frames)
    return done


def main(library: str, interface: str, count: int, size: int, what: str, len_bytes: int) -> None:
    """Deal with 4 * count frames; set the marks after two, three and four times *count*."""
    marks = [getattr(ctypes.CDLL(library), f"mark{n}") for n in (1, 2, 3)]
    with pyntzc.open(
        interface, promisc=True, ring_size=4096, quota=3072, tx_buffers=4096 * (what == "tx")
    ) as tap:
        print("ready", flush=True)
        done = 0
        delivered = []
        for mark, end in zip(marks, (2 * count, 3 * count, 4 * count), strict=True):
            if what == "tx":
                done += send(tap, end - done, size, len_bytes)
            else:
                done += (receive if what == "rx" else forward)(tap, end - done, size)
            delivered.append(tap.stats().received)
            mark()
        # read or not: the kernel may be ahead of us, by another number of frames at each mark
        print("delivered", delivered[1] - delivered[0], delivered[2] - delivered[1])


if __name__ == "__main__":
    library, interface, count, size, what, len_bytes = sys.argv[1:]
    main(library, interface, int(count), int(size), what, int(len_bytes))
