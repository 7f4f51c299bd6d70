# SPDX-License-Identifier: GPL-2.0-or-later
"""A plain packet socket in the guest, on a card that the kernel's own driver has."""

from __future__ import annotations

import select
import socket

import frames

from emulation.pace import patience


class Peer:
    """Sends and receives frames of frames.py on *name*."""

    def __init__(self, name: str) -> None:
        self._socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW, socket.htons(frames.ETHERTYPE)
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind((name, frames.ETHERTYPE))

    def send(self, wanted: tuple[tuple[int, int], ...]) -> None:
        for which in wanted:
            self._socket.send(frames.frame(*which))

    def expect(self, wanted: tuple[tuple[int, int], ...], timeout_s: float = 10) -> str:
        """Receive these frames (number, length in bytes) in order; return the first fault."""
        for which in wanted:
            if not select.select([self._socket], [], [], patience(timeout_s))[0]:
                return f"frame {which} did not come"
            if self._socket.recv(65536) != frames.frame(*which):
                return f"not frame {which}"
        return ""

    def close(self) -> None:
        self._socket.close()
