# SPDX-License-Identifier: GPL-2.0-or-later
"""What bench/insn.c does to receive, in Python: batches as arrays, one byte of each frame touched.

Usage: batch.py MARKS.so IFACE COUNT BATCH
"""

import ctypes
import os
import sys
import time

import pyntzc

_PAUSE_S = float(os.environ.get("NTZC_PAUSE_MS", "60")) / 1000  # frames gather, as in gather.h


def read(tap: pyntzc.Tap, count: int, size: int) -> int:
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


def main(library: str, interface: str, count: int, size: int) -> None:
    """Receive 4 * count frames; set the marks after two, three and four times *count*."""
    marks = [getattr(ctypes.CDLL(library), f"mark{n}") for n in (1, 2, 3)]
    with pyntzc.open(interface, promisc=True, ring_size=4096, quota=3072) as tap:
        print("ready", flush=True)
        done = 0
        delivered = []
        for mark, end in zip(marks, (2 * count, 3 * count, 4 * count), strict=True):
            done += read(tap, end - done, size)
            delivered.append(tap.stats().received)
            mark()
        # read or not: the kernel may be ahead of us, by another number of frames at each mark
        print("delivered", delivered[1] - delivered[0], delivered[2] - delivered[1])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
