# SPDX-License-Identifier: GPL-2.0-or-later
"""The messages between the host and the agent in the guest, over one virtio-serial port.

A message is a JSON object and a payload of bytes, each preceded by its length. Both sides
use this file; the guest's side of it must stay light to import.

Host to guest (``op``): ``spawn`` ``input`` ``resize`` ``signal`` ``call`` ``poweroff``.
Guest to host (``event``): ``ready`` ``started`` ``output`` ``exit`` ``result`` ``error``.
"""

from __future__ import annotations

import json
import struct
from typing import Any

PORT = "ntzc.agent"
"""The port's name."""

_LENGTHS = struct.Struct("!II")

Message = tuple[dict[str, Any], bytes]


def encode(head: dict[str, Any], payload: bytes = b"") -> bytes:
    """Return the message as it goes over the wire."""
    text = json.dumps(head).encode()
    return _LENGTHS.pack(len(text), len(payload)) + text + payload


class Decoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Add *data*; return the messages that it completes."""
        self._buffer += data
        messages: list[Message] = []
        while len(self._buffer) >= _LENGTHS.size:
            head_len, payload_len = _LENGTHS.unpack_from(self._buffer)
            middle = _LENGTHS.size + head_len
            end = middle + payload_len
            if len(self._buffer) < end:
                break
            head = json.loads(bytes(self._buffer[_LENGTHS.size : middle]))
            messages.append((head, bytes(self._buffer[middle:end])))
            del self._buffer[:end]
        return messages
