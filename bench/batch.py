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


def main(library: str, interface: str, count: int, size: int) -> None:
    """Receive 4 * count frames; set the marks after two, three and four times *count*."""
    marks = ctypes.CDLL(library)
    with pyntzc.open(interface, promisc=True, ring_size=4096, quota=3072) as tap:
        print("ready", flush=True)
        done = 0
        delivered = []
        for mark, end in enumerate((2 * count, 3 * count, 4 * count), 1):
            while done < end:
                batch = tap.recv(size, 0)
                n = len(batch)
                if n:
                    with batch:
                        heads = batch.bytes(1)  # reads a byte of each, as the C client does
                    done += n
                if n < size:
                    time.sleep(_PAUSE_S)
            delivered.append(tap.stats().received)
            getattr(marks, f"mark{mark}")()
        # read or not: the kernel may be ahead of us, by another number of frames at each mark
        print("delivered", delivered[1] - delivered[0], delivered[2] - delivered[1], heads.shape)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
