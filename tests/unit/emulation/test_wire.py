# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's end of a cable, with this test at QEMU's."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.errors import GuestTimeout, VMDied
from emulation.wire import Wire, _parse

FRAMES = [bytes([n]) * (60 + n) for n in range(100)]


def stream(frames: list[bytes]) -> bytes:
    return b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[Wire, socket.socket]]:
    wire = Wire(tmp_path / "w", lambda: VMDied("gone", ""))
    with socket.socket(socket.AF_UNIX) as far:
        far.connect(str(tmp_path / "w"))
        wire.connect()
        yield wire, far
        wire.close()


def drain(far: socket.socket) -> bytes:
    """All that comes until nothing does."""
    far.settimeout(0.2)
    data = b""
    while True:
        try:
            data += far.recv(1 << 16)
        except TimeoutError:
            return data


def test_frames_go_both_ways_as_they_are(ends: tuple[Wire, socket.socket]) -> None:
    wire, far = ends
    assert wire.send_many(FRAMES) == len(FRAMES)
    assert _parse(drain(far)) == (FRAMES, b"")
    far.sendall(stream(FRAMES))
    assert wire.recv_many(len(FRAMES), 10) == FRAMES


def test_a_frame_that_was_begun_is_sent_whole_before_the_next(
    ends: tuple[Wire, socket.socket],
) -> None:
    wire, far = ends
    many = [FRAMES[n % 100] * 10 for n in range(10000)]
    with pytest.raises(GuestTimeout, match="took no frame"):
        wire.send_many(many, 0)
    # what was not begun is not sent
    data = drain(far)
    wire.send_many(FRAMES[:3], 10)
    found, rest = _parse(data + drain(far))
    n = len(found) - 3
    assert 0 < n < len(many)
    assert found == [*many[:n], *FRAMES[:3]]
    assert rest == b""


@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(0, 2000))
def test_frames_are_parsed_however_they_are_cut(frames: list[bytes], cut: int) -> None:
    data = stream(frames)
    first, rest = _parse(data[:cut])
    second, end = _parse(rest + data[cut:])
    assert first + second == frames
    assert end == b""


def test_a_machine_that_is_gone_is_told(ends: tuple[Wire, socket.socket]) -> None:
    wire, far = ends
    far.close()
    wire.machine_lost()
    with pytest.raises(VMDied):
        wire.recv(10)
    with pytest.raises(VMDied):
        wire.send_many(FRAMES * 100)
