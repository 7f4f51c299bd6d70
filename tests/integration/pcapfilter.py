# SPDX-License-Identifier: GPL-2.0-or-later
"""libpcap's filters on the host: compiled for our taps, and judged by tcpdump itself."""

from __future__ import annotations

import functools
import io
import struct
import subprocess
from collections.abc import Sequence

import dpkt

ETHERNET = "EN10MB"


class Nonsense(ValueError):  # noqa: N818 - what the expression is
    """An expression that libpcap does not compile."""


def _tcpdump(*argv: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["tcpdump", *argv], input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise Nonsense(done.stderr.decode())
    return done.stdout


@functools.cache
def compiled(expression: str) -> bytes:
    """Return the program, as an array of struct sock_filter.

    Raises:
        Nonsense: it has no meaning, or no frame can ever match.
    """
    count, *lines = _tcpdump("-ddd", "-y", ETHERNET, expression).decode().splitlines()
    assert int(count) == len(lines)
    return b"".join(struct.pack("=HBBI", *map(int, line.split())) for line in lines)


def pcap(frames: Sequence[bytes]) -> bytes:
    """Return a capture file of these frames; each one's time is its number."""
    file = io.BytesIO()
    writer = dpkt.pcap.Writer(file, linktype=dpkt.pcap.DLT_EN10MB)
    for number, frame in enumerate(frames):
        writer.writepkt(frame, ts=number)
    return file.getvalue()


def verdict(expression: str, capture: bytes) -> list[int]:
    """Return the numbers of the frames of a capture file that tcpdump admits."""
    admitted = _tcpdump("-r", "-", "-w", "-", expression, stdin=capture)
    return [int(ts) for ts, _ in dpkt.pcap.Reader(io.BytesIO(admitted))]
