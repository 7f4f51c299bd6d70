# SPDX-License-Identifier: GPL-2.0-or-later
"""The tap: waiting, ending, sending, and what happens across threads and forks."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable

import pytest

import pyntzc
from tests.unit.python.fake import FakeCard

FRAME = bytes(range(60))
SOON_S = 10.0


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)  # one that hangs keeps no process
    thread.start()
    return thread, errors


def until_it_looked(card: FakeCard) -> None:
    """Wait until a thread has found nothing, and a moment longer, in which it falls asleep."""
    deadline = time.monotonic() + SOON_S
    while "peek" not in card.calls:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(0.01)


def test_it_tells_what_it_is_attached_to(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        assert (tap.queues, tap.ring_size, tap.quota) == ((0, 1), 64, 32)
        assert (tap.buf_size, tap.frame_max, tap.port_id) == (2048, 1518, 7)
        assert repr(tap) == "<pyntzc.Tap on card>"
    assert tap.closed
    assert repr(tap) == "<pyntzc.Tap on card, closed>"


def test_recv_waits_no_longer_than_it_is_told(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        start = time.monotonic()
        assert len(tap.recv(timeout_s=0)) == 0
        assert len(tap.recv(timeout_s=0.05)) == 0
        assert 0.05 <= time.monotonic() - start < SOON_S


def test_recv_ends_when_a_packet_comes(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        got: list[bytes] = []
        thread, errors = in_thread(lambda: got.append(bytes(tap.recv(timeout_s=SOON_S)[0])))
        until_it_looked(card)
        card.deliver(FRAME)
        thread.join(SOON_S)
        assert not thread.is_alive()
        assert not errors
        assert got == [FRAME]


def test_close_ends_a_recv_that_waits_in_another_thread(card: FakeCard) -> None:
    tap = pyntzc.open("card")
    thread, errors = in_thread(tap.recv)
    until_it_looked(card)
    tap.close()
    thread.join(SOON_S)
    assert not thread.is_alive()
    assert [type(error) for error in errors] == [pyntzc.ClosedError]


def test_a_card_that_goes_is_told_by_its_own_error(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        card.gone = True
        card.wake()
        with pytest.raises(pyntzc.PortGoneError) as caught:
            tap.recv()
        assert caught.value.errno == errno.ENODEV
        assert isinstance(caught.value, OSError)


def test_batches_end_when_nothing_comes(card: FakeCard) -> None:
    for _ in range(5):
        card.deliver(FRAME)
    with pyntzc.open("card") as tap:
        batches = tap.batches(2, timeout_s=0)
        assert [len(batch) for batch in batches] == [2, 2, 1]
        card.deliver(FRAME)
        assert list(batches) == []  # an iterator that ended stays so


def test_batches_wait_for_what_comes_and_end_with_the_tap(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        threading.Timer(0.01, card.deliver, (FRAME,)).start()
        batches = tap.batches(timeout_s=SOON_S)
        assert next(batches)[0].data == FRAME
        tap.close()
        with pytest.raises(pyntzc.ClosedError):
            next(batches)


def test_what_batches_raise_comes_through_and_ends_them(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        for bad in (0, -1, 65537):
            with pytest.raises(ValueError, match="room for 1 to 65536"):
                tap.batches(bad)
        batches = tap.batches()
        card.gone = True
        card.wake()
        with pytest.raises(pyntzc.PortGoneError):
            next(batches)
        assert list(batches) == []


def test_an_iterator_that_its_own_tap_keeps_is_collected(card: FakeCard) -> None:
    tap = pyntzc.open("card")
    tap.loop = tap.batches()  # type: ignore[attr-defined]
    tap.close()
    gone = weakref.ref(tap)
    del tap
    gc.collect()
    assert gone() is None


def test_a_batch_of_64_costs_one_call_to_get_and_one_to_give_back() -> None:
    patch = pytest.MonkeyPatch()
    card = FakeCard(n_bufs=300, quota=300)
    card.install(patch)
    for _ in range(256):
        card.deliver(FRAME)
    with pyntzc.open("card") as tap:
        for _ in range(4):
            with tap.recv(64, 0) as batch:
                assert len(batch) == 64
        assert card.calls == {"peek": 4, "release": 4}
    patch.undo()


def test_asyncio_gets_batches_as_they_come(card: FakeCard) -> None:
    async def main() -> list[int]:
        sizes: list[int] = []
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, card.deliver, FRAME)
        with pyntzc.open("card") as tap:
            async for batch in tap:
                sizes.append(len(batch))
                if len(sizes) == 2:
                    break
                loop.call_later(0.01, card.deliver, FRAME)
        return sizes

    assert asyncio.run(asyncio.wait_for(main(), SOON_S)) == [1, 1]


def test_asyncio_hears_of_the_end(card: FakeCard) -> None:
    async def main() -> None:
        tap = pyntzc.open("card")
        asyncio.get_running_loop().call_later(0.01, tap.close)
        await tap.arecv()

    with pytest.raises(pyntzc.ClosedError):
        asyncio.run(asyncio.wait_for(main(), SOON_S))


def test_send_copies_frames_in_order(card: FakeCard) -> None:
    frames = [bytes([n]) * (60 + n) for n in range(20)]
    with pyntzc.open("card") as tap:
        assert tap.send(frames) == 20
        assert tap.send(bytearray(FRAME), vlan=pyntzc.Vlan.of(7)) == 1
        assert tap.send(memoryview(FRAME)) == 1
        assert tap.send([]) == 0
        tap.drain(0)
    assert card.sent == [*frames, FRAME, FRAME]
    assert card.sent_tci[-2:] == [7, None]
    assert not card.tx_held


@pytest.mark.parametrize("length", [0, 13, 1519])
def test_send_refuses_a_length_that_no_frame_has_and_sends_nothing(
    card: FakeCard, length: int
) -> None:
    with pyntzc.open("card") as tap:
        with pytest.raises(ValueError, match=f"not {length}"):
            tap.send([FRAME, bytes(length)])
        assert not card.sent


def test_send_tells_how_many_went_when_the_ring_is_full(card: FakeCard) -> None:
    card.ring_room = 5
    with pyntzc.open("card") as tap:
        assert tap.send([FRAME] * 20, timeout_s=0.01) == 5
        with pytest.raises(pyntzc.RingFullError):
            tap.send(FRAME, timeout_s=0)
        assert not card.tx_held
        card.tx_free.clear()
        with pytest.raises(pyntzc.NoBufferError):
            tap.send(FRAME, timeout_s=0)


def test_drain_is_late_with_an_error(card: FakeCard) -> None:
    card.in_flight = 1
    with pyntzc.open("card") as tap:
        with pytest.raises(pyntzc.TimedOutError):
            tap.drain(0.01)
        with pytest.raises(TimeoutError):
            tap.drain(0)


def test_a_buffer_is_filled_in_place_and_submitted(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        one, two = tap.reserve(2)
        view = one.data
        assert one.data is view
        view[: len(FRAME)] = FRAME
        one.length = len(FRAME)
        one.vlan = pyntzc.Vlan.of(9)
        two.write(FRAME[::-1])
        assert tap.submit([one, two]) == 2
        assert one.released
        with pytest.raises(ValueError, match="released memoryview"):
            view[0] = 1
        with pytest.raises(pyntzc.ReleasedError):
            one.data  # noqa: B018 - the access is the test
        with pytest.raises(pyntzc.ReleasedError):
            tap.submit(one)
        one.release()
    assert card.sent == [FRAME, FRAME[::-1]]
    assert card.sent_tci == [9, None]


def test_a_slice_of_a_buffer_stops_its_submission_and_nothing_is_lost(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        one, two = tap.reserve(2)
        one.write(FRAME)
        two.write(FRAME)
        part = two.data[14:]
        with pytest.raises(pyntzc.ViewInUseError):
            tap.submit([one, two])
        assert not card.sent
        part[:4] = b"abcd"
        part.release()
        assert tap.submit([one, two]) == 2
    assert card.sent[1][14:18] == b"abcd"


def test_a_buffer_needs_a_length_that_it_has_room_for(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        buffer = tap.reserve()[0]
        with pytest.raises(ValueError, match="set the buffer's length"):
            tap.submit(buffer)
        for length in (0, 13, len(buffer) + 1):
            with pytest.raises(ValueError, match=f"not {length}"):
                buffer.length = length
        buffer.length = len(buffer)


def test_buffers_that_are_not_sent_go_back(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        with tap.reserve()[0] as buffer:
            buffer.data[0] = 1
        assert not card.tx_held
        assert buffer.released
        buffers = tap.reserve(8)
        assert len(buffers) == 8
        with pytest.raises(pyntzc.NoBufferError):
            tap.reserve(1, timeout_s=0)
        del buffers
        tap.stats()
        assert not card.tx_held


def test_what_the_ring_did_not_take_stays_reserved(card: FakeCard) -> None:
    card.ring_room = 1
    with pyntzc.open("card") as tap:
        buffers = tap.reserve(3)
        for buffer in buffers:
            buffer.write(FRAME)
        assert tap.submit(buffers, timeout_s=0) == 1
        assert [buffer.released for buffer in buffers] == [True, False, False]
        card.ring_room = 10
        assert tap.submit(buffers[1:]) == 2


def test_forward_hands_a_packet_over(card: FakeCard) -> None:
    card.deliver(FRAME)
    with pyntzc.open("card") as tap:
        packet = tap.recv()[0]
        view = packet.data
        with pytest.raises(pyntzc.ViewInUseError):
            tap.forward(packet)
        assert view == FRAME
        view.release()
        assert tap.forward(packet) == 1
        assert card.sent == [FRAME]
        assert packet.released
        packet.release()
        with pytest.raises(pyntzc.ReleasedError):
            tap.forward(packet)


def test_a_forked_child_leaves_the_parents_packets_alone(card: FakeCard) -> None:
    card.deliver(FRAME)
    card.deliver(FRAME)
    tap = pyntzc.open("card")
    packet, other = tap.recv()
    view = other.data
    calls = dict(card.calls)
    child = os.fork()
    if not child:
        status = 1
        try:
            for use in (tap.recv, lambda: packet.data, tap.stats):
                with pytest.raises(pyntzc.ClosedError):
                    use()
            packet.release()
            assert bytes(view) == bytes(60)  # the parent may recycle it at any time
            assert card.calls == calls | {"detach": 1}
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert packet.data == FRAME
    view.release()
    tap.close()


def test_a_tap_that_is_dropped_warns_and_closes(card: FakeCard) -> None:
    tap = pyntzc.open("card")
    with pytest.warns(ResourceWarning, match="unclosed"):
        del tap
    assert card.destroyed


def test_queues_are_checked() -> None:
    for queues in ([], [64], [-1]):
        with pytest.raises(ValueError, match="queue"):
            pyntzc.open("card", queues=queues)


def test_buffers_that_were_dropped_can_be_had_again_at_once(card: FakeCard) -> None:
    with pyntzc.open("card") as tap:
        dropped = tap.reserve(8)
        del dropped[4:]
        again = tap.reserve(8, 0)
        assert len(again) == 4
        with pytest.raises(pyntzc.NoBufferError):
            tap.reserve(1, 0)


def test_a_call_that_a_signal_ended_is_made_again(card: FakeCard) -> None:
    card.interruptions = 3
    card.deliver(FRAME)
    with pyntzc.open("card") as tap:
        assert len(tap.recv(timeout_s=SOON_S)) == 1
        card.interruptions = 1
        assert len(tap.recv(timeout_s=0)) == 0


def test_a_close_in_the_middle_of_a_send_leaves_nothing_to_write_to(card: FakeCard) -> None:
    tap = pyntzc.open("card")
    batch = tap._reserve(2, None)
    batch._put([FRAME, FRAME], 0, -1)
    with pytest.raises(IndexError):
        batch._put([FRAME, FRAME], 1, -1)
    tap.close()
    with pytest.raises(pyntzc.ClosedError):
        batch._put([FRAME, FRAME], 0, -1)


def test_a_packet_that_is_not_held_keeps_no_other_from_going_back(card: FakeCard) -> None:
    for _ in range(3):
        card.deliver(FRAME)
    with pyntzc.open("card") as tap:
        packets = list(tap.packets(0))
        # as if an exception had come right after the kernel took it
        card.held.discard(packets[1]._handle)
        del packets
        tap.stats()
        assert not card.held
        assert len({*card.faults}) == 1
    card.faults.clear()


def test_what_fails_inside_the_fake_card_ends_the_test(card: FakeCard) -> None:
    def fail() -> None:
        pytest.fail("as by a timeout")

    card.on_forward = fail
    with pyntzc.open("card") as tap, pytest.raises(pyntzc.NtzcOSError) as caught:
        tap.send(FRAME)
    assert caught.value.errno == errno.EIO
    assert card.faults == ["Failed: as by a timeout"]
    card.faults.clear()
