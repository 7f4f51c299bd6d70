# SPDX-License-Identifier: GPL-2.0-or-later
"""A host on one side of a bridge: datagrams there and back, beside what hoststack.py has."""

from __future__ import annotations

import random
import socket
import threading

from emulation.pace import patience

PORT = 7001
BURST = 32
MAX_LEN = 1472  # in one frame of the usual MTU


class Echo:
    """Sends every datagram back, until closed."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((address, PORT))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(65536)
            if not data:  # from close()
                return
            self._socket.sendto(data, sender)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


def talk(address: str, count: int, timeout_s: float = 20) -> str:
    """Send datagrams of all lengths to an :class:`Echo`; return the first fault, or nothing.

    Few are on their way at once, as nothing holds datagrams back: each must return, in order.
    """
    source = random.Random(count)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        s.settimeout(patience(timeout_s))
        s.connect((address, PORT))
        for start in range(0, count, BURST):
            wanted = [source.randbytes(source.randint(1, MAX_LEN)) for _ in range(BURST)]
            for data in wanted:
                s.send(data)
            for n, data in enumerate(wanted, start):
                try:
                    got = s.recv(65536)
                except TimeoutError:
                    return f"datagram {n} did not return"
                if got != data:
                    return f"datagram {n} is another"
    return ""
