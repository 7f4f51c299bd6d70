# SPDX-License-Identifier: GPL-2.0-or-later
"""Batches as arrays: right, read-only, and never over memory that was given back."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import pyntzc
from pyntzc._libntzc import ffi
from tests.unit.python.fake import FakeCard
from tests.unit.python.test_holding import choose

FRAMES = [bytes([n]) * (60 + n) for n in range(8)]


@pytest.fixture
def tap(card: FakeCard) -> Iterator[pyntzc.Tap]:
    for number, frame in enumerate(FRAMES):
        card.deliver(frame, hash=number, queue=number % 2, vlan_tci=100 + number, flags=1)
    with pyntzc.open("card") as opened:
        yield opened


@pytest.fixture
def batch(tap: pyntzc.Tap) -> pyntzc.Batch:
    return tap.recv(timeout_s=0)


def test_descriptors_are_those_of_the_header(batch: pyntzc.Batch) -> None:
    kind = ffi.typeof("struct ntzc_desc")
    descs = batch.descs
    assert descs.dtype.names == tuple(name for name, _ in kind.fields)
    for name, field in kind.fields:
        assert descs.dtype.fields
        dtype, offset = descs.dtype.fields[name][:2]
        assert (dtype.kind, dtype.itemsize) == ("u", ffi.sizeof(field.type))
        assert offset == field.offset
    assert descs.dtype.itemsize == ffi.sizeof(kind)
    assert len(descs) == len(batch) == len(FRAMES)
    assert descs["len"].tolist() == [*map(len, FRAMES)]
    assert descs["hash"].tolist() == [*range(8)]
    assert descs["vlan_tci"].tolist() == [*range(100, 108)]


def test_data_and_pool_show_the_frames_in_place(card: FakeCard, batch: pyntzc.Batch) -> None:
    pool = batch.pool
    assert pool.nbytes == len(card.rx)
    for index, frame in enumerate(FRAMES):
        desc = batch.descs[index]
        assert pool[desc["offset"] : desc["offset"] + desc["len"]].tobytes() == frame
        assert batch.data(index).tobytes() == frame
        assert np.shares_memory(pool, batch.data(index))


def test_an_index_that_is_not_in_the_batch_is_told(batch: pyntzc.Batch) -> None:
    for index in (8, -9):
        with pytest.raises(IndexError):
            batch.data(index)


@given(width=st.integers(0, 80))
def test_bytes_are_the_first_of_each_frame_and_zeros_after_it(width: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        card = FakeCard()
        card.install(patch)
        for frame in FRAMES:
            card.deliver(frame)
        with pyntzc.open("card") as tap, tap.recv(timeout_s=0) as batch:
            rows = batch.bytes(width)
            assert rows.shape == (8, width)
            assert [row.tobytes() for row in rows] == [
                frame[:width].ljust(width, b"\0") for frame in FRAMES
            ]


def test_arrays_cannot_be_written_to(batch: pyntzc.Batch) -> None:
    for array in (batch.descs, batch.pool, batch.data(0)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    batch.bytes(4)[0, 0] = 1  # a copy


def test_no_packet_object_is_made_and_each_side_is_called_once(
    card: FakeCard, tap: pyntzc.Tap
) -> None:
    with tap.recv(8, 0) as batch:
        assert batch.descs["len"].sum() == sum(map(len, FRAMES))
        assert batch.bytes(14).any()
        assert batch._made == 0
    assert tap.stats().released == 8
    assert card.calls == {"peek": 1, "release": 1}


def test_use_after_release_raises_and_release_may_be_repeated(
    card: FakeCard, batch: pyntzc.Batch
) -> None:
    batch.descs  # noqa: B018 - the second time it is at hand
    batch[0]
    with batch:
        pass
    batch.release()
    assert batch.released
    assert len(batch) == 8
    uses = (
        lambda: batch.descs,
        lambda: batch.pool,
        lambda: batch.data(0),
        lambda: batch.bytes(4),
        lambda: batch[0],
        lambda: memoryview(batch),
    )
    for use in uses:
        with pytest.raises(pyntzc.ReleasedError):
            use()
    assert not card.held


def test_descriptors_and_bytes_may_be_kept_and_hold_nothing(
    card: FakeCard, batch: pyntzc.Batch
) -> None:
    descs, rows = batch.descs, batch.bytes(4)
    batch.release()
    assert not card.held
    assert descs["len"][3] == 63
    assert rows[3].tolist() == [3, 3, 3, 3]


def test_an_array_over_memory_puts_off_the_release(card: FakeCard, batch: pyntzc.Batch) -> None:
    view = batch.data(2)[10:20]
    batch.release()
    assert batch.released
    assert len(card.held) == 8
    assert view.tobytes() == FRAMES[2][10:20]


def test_with_the_last_array_all_goes_back(tap: pyntzc.Tap, batch: pyntzc.Batch) -> None:
    first, second = batch.pool, batch.data(1)
    batch.release()
    del first
    assert tap.stats().held == 8
    del second
    assert tap.stats().held == 0


def test_a_packet_that_is_released_stays_while_an_array_shows_it(
    tap: pyntzc.Tap, batch: pyntzc.Batch
) -> None:
    before, view = batch[0], batch.data(0)
    after, other = batch[1], batch.data(1)
    before.release()
    after.release()
    assert tap.stats().held == 8
    assert (view.tobytes(), other.tobytes()) == (FRAMES[0], FRAMES[1])
    del view
    assert tap.stats().held == 8
    del other
    assert tap.stats().held == 6
    assert batch[2].data == FRAMES[2]


def test_closing_keeps_what_arrays_show(tap: pyntzc.Tap, batch: pyntzc.Batch) -> None:
    view = batch.data(5)
    other = batch[6], batch.data(6)
    tap.close()
    assert view.tobytes() == FRAMES[5]
    assert other[1].tobytes() == FRAMES[6]
    assert batch.released
    with pytest.raises(pyntzc.ClosedError):
        batch.descs  # noqa: B018 - the access is the test


def test_copies_of_many_batches_are_each_their_own(card: FakeCard) -> None:
    kept = []
    with pyntzc.open("card") as tap:
        for number in range(300):  # more than one block of rows
            card.deliver(bytes([number % 256]) * 600, hash=number)
            with tap.recv(1, 0) as batch:
                kept.append((number, batch.descs, batch.bytes(500)))
            del batch  # and the next one is where it was
    for number, descs, rows in kept:
        assert descs["hash"].tolist() == [number]
        assert rows.tolist() == [[number % 256] * 500]
        rows[:] = 0xFF  # seen by nobody else


def test_an_empty_batch_has_empty_arrays(card: FakeCard) -> None:
    with pyntzc.open("card") as tap, tap.recv(timeout_s=0) as batch:
        assert len(batch.descs) == 0
        assert batch.descs["len"].sum() == 0
        assert batch.bytes(14).shape == (0, 14)


def test_a_negative_count_of_bytes_is_refused(batch: pyntzc.Batch) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        batch.bytes(-1)


class Program(RuleBasedStateMachine):
    """Arrays and packets kept, released and dropped in any order, while memory is recycled."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.card = FakeCard(n_bufs=16, quota=16)
        self.card.install(self.patch)
        self.tap = pyntzc.open("card")
        self.count = 0
        self.batches: list[pyntzc.Batch] = []
        self.packets: list[pyntzc.Packet] = []
        self.arrays: list[tuple[np.ndarray, bytes]] = []

    @rule(count=st.integers(1, 6))
    def arrive(self, count: int) -> None:
        for _ in range(count):
            self.count += 1
            self.card.deliver(self.count.to_bytes(4, "big") * 15, hash=self.count)

    @rule(count=st.integers(1, 8))
    def receive(self, count: int) -> None:
        self.batches.append(self.tap.recv(count, 0))

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        batches = [batch for batch in self.batches if len(batch) and not batch.released]
        if batches:
            batch = choose(data, batches)
            index = data.draw(st.integers(0, len(batch) - 1))
            if batch._made and batch[index].released:
                with pytest.raises(pyntzc.ReleasedError):
                    batch.data(index)
                return
            frame = int(batch.descs["hash"][index]).to_bytes(4, "big") * 15
            self.arrays.append((batch.data(index), frame))

    @rule(data=st.data(), width=st.sampled_from([1, 14, 5000, 20_000]))
    def copy(self, data: st.DataObject, width: int) -> None:
        """What is copied stays as it is, whatever is copied or written later."""
        batches = [batch for batch in self.batches if not batch.released]
        if batches:
            batch = choose(data, batches)
            self.arrays.append((batch.descs, batch.descs.tobytes()))
            if batch._made and any(packet.released for packet in batch):
                with pytest.raises(pyntzc.ReleasedError):
                    batch.bytes(width)
                return
            rows = batch.bytes(width)
            rows[:] = len(self.arrays) % 256  # its own: no other array shows that
            self.arrays.append((rows, rows.tobytes()))

    @rule(data=st.data())
    def pick(self, data: st.DataObject) -> None:
        batches = [batch for batch in self.batches if len(batch) and not batch.released]
        if batches:
            batch = choose(data, batches)
            self.packets.append(batch[data.draw(st.integers(0, len(batch) - 1))])

    @rule(data=st.data())
    def release_packet(self, data: st.DataObject) -> None:
        if self.packets:
            choose(data, self.packets).release()

    @rule(data=st.data())
    def release_batch(self, data: st.DataObject) -> None:
        if self.batches:
            choose(data, self.batches).release()

    @rule(data=st.data(), kind=st.sampled_from(["batches", "packets", "arrays"]))
    def drop(self, data: st.DataObject, kind: str) -> None:
        things = getattr(self, kind)
        if things:
            del things[data.draw(st.integers(0, len(things) - 1))]

    @invariant()
    def arrays_show_their_own_bytes(self) -> None:
        self.card.check()
        assert all(array.tobytes() == frame for array, frame in self.arrays)

    @rule()
    def drop_all(self) -> None:
        self.batches.clear()
        self.packets.clear()
        self.arrays.clear()
        assert self.tap.stats().held == 0

    def teardown(self) -> None:
        self.tap.close()
        self.arrays_show_their_own_bytes()
        self.batches.clear()
        self.packets.clear()
        self.arrays.clear()
        del self.tap
        assert self.card.destroyed
        self.card.close()
        self.card.check()
        self.patch.undo()


TestProgram = Program.TestCase


class Bomb:
    """Garbage that acts when Python's collector comes."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.me, self.act = self, act

    def __del__(self) -> None:
        self.act()


@pytest.mark.parametrize("way", ["release", "close"])
def test_bytes_of_a_batch_that_ends_meanwhile_are_not_read(card: FakeCard, way: str) -> None:
    for frame in FRAMES:
        card.deliver(frame)
    tap = pyntzc.open("card")
    batch = tap.recv()
    gc.collect()
    usual = gc.get_threshold()
    gc.disable()
    gc.set_threshold(1)
    Bomb(batch.release if way == "release" else tap.close)
    try:
        gc.enable()
        rows = batch.bytes(14)  # makes a tuple, so the collector comes
    except pyntzc.NtzcError as error:
        wanted = pyntzc.ReleasedError if way == "release" else pyntzc.ClosedError
        assert type(error) is wanted
    else:
        raise AssertionError(rows.tobytes())
    finally:
        gc.set_threshold(*usual)
        tap.close()
