# SPDX-License-Identifier: GPL-2.0-or-later
"""The meter's frames and accounts, as compiled into the client."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyntzc._bench.figures import bucket_end_ns
from pyntzc._libntzc import ffi, lib

TAG = 0xC0FFEE01
DST, SRC = bytes.fromhex("02000000aa01"), bytes.fromhex("02000000aa02")

lengths = st.integers(lib.NTZC_METER_MIN_FRAME, 9014)
numbers = st.integers(0, 2**32 - 1)
times_ns = st.integers(0, 2**64 - 1)


def meter(frame_len: int = 60, frames: int = 2**32, tag: int = TAG, **plan: Any) -> Any:
    fields = {"dst": DST, "src": SRC, "frame_len": frame_len, "frames": frames, "tag": tag}
    out = ffi.new("struct ntzc_meter **")
    # a bit a frame is reserved, and not touched
    code = lib.ntzc_meter_create(ffi.new("struct ntzc_meter_plan *", fields | plan), out)
    assert code == 0, code
    return ffi.gc(out[0], lib.ntzc_meter_destroy)


def make(m: Any, frame_len: int, seq: int, sent_ns: int) -> bytes:
    room = ffi.new("unsigned char[]", frame_len)
    lib.ntzc_meter_make(m, seq, sent_ns, room)
    return bytes(ffi.buffer(room))


def account(m: Any, data: bytes, received_ns: int = 2**63, checksum_bad: bool = False) -> None:
    lib.ntzc_meter_account(m, data, len(data), received_ns, checksum_bad)


def result(m: Any) -> tuple[Any, list[int]]:
    out = ffi.new("struct ntzc_meter_result *")
    counts = ffi.new("__u64[]", lib.NTZC_METER_BUCKETS)
    lib.ntzc_meter_result(m, out, counts)
    return out, list(counts)


def counted(m: Any) -> Counter[str]:
    r, _ = result(m)
    names = ("received", "duplicates", "reordered", "corrupt", "stale", "foreign", "backward")
    return Counter({name: n for name in names if (n := getattr(r, name))})


def internet_checksum(data: bytes) -> int:
    """RFC 1071, over data that has its checksum inside: 0 if that is right."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(lengths, numbers, times_ns)
def test_a_frame_is_what_rfc_2544_asks_for_with_checksums_that_are_right(
    frame_len: int, seq: int, sent_ns: int
) -> None:
    data = make(meter(frame_len), frame_len, seq, sent_ns)
    ethernet = dpkt.ethernet.Ethernet(data)
    assert (ethernet.dst, ethernet.src) == (DST, SRC)
    ip = ethernet.data
    assert (ip.src, ip.dst) == (bytes([198, 18, 1, 2]), bytes([198, 19, 1, 2]))
    assert ip.len == frame_len - 14
    assert internet_checksum(data[14:34]) == 0
    udp = ip.data
    assert (udp.sport, udp.dport, udp.ulen) == (49184, 7, frame_len - 34)
    assert udp.sum  # 0 would be none
    pseudo = ip.src + ip.dst + struct.pack("!HH", 17, udp.ulen)
    assert internet_checksum(pseudo + data[34:]) == 0
    assert struct.unpack("!HIIQ", udp.data[:18]) == (0x4E54, TAG, seq, sent_ns)


@given(lengths, numbers, times_ns)
def test_a_frame_that_comes_as_it_went_is_received(frame_len: int, seq: int, sent_ns: int) -> None:
    m = meter(frame_len)
    account(m, make(m, frame_len, seq, sent_ns), received_ns=sent_ns)
    assert counted(m) == Counter(received=1)


@given(st.integers(60, 200), st.data())
def test_one_wrong_bit_anywhere_after_the_ethernet_header_is_never_received(
    frame_len: int, data: st.DataObject
) -> None:
    m = meter(frame_len, frames=1000)
    whole = make(m, frame_len, 7, 1000)
    # time to live and the IPv4 checksum are a router's to change, and the card's to check
    where = data.draw(st.sampled_from([*range(14, 22), 23, *range(26, frame_len)]))
    bit = data.draw(st.integers(0, 7))
    broken = bytearray(whole)
    broken[where] ^= 1 << bit
    account(m, bytes(broken))
    assert counted(m)["received"] == 0
    assert counted(m).total() == 1


def test_what_a_router_changes_is_let_pass() -> None:
    m = meter(100)
    data = bytearray(make(m, 100, 1, 5))
    data[:12] = bytes(range(12))
    data[22] -= 1  # time to live
    data[24] += 1
    account(m, bytes(data))
    assert counted(m) == Counter(received=1)


def test_a_frame_cut_lengthened_or_with_a_bad_checksum_by_the_card_is_corrupt() -> None:
    m = meter(100)
    data = make(m, 100, 1, 5)
    account(m, data[:-1])
    account(m, data + b"\0")
    account(m, data, checksum_bad=True)
    assert counted(m) == Counter(corrupt=3)


def test_a_number_that_was_never_sent_is_corrupt() -> None:
    m = meter(60, frames=5)
    account(m, make(m, 60, 5, 1))
    assert counted(m) == Counter(corrupt=1)


def test_frames_of_another_trial_and_of_others_are_told_apart() -> None:
    m, earlier = meter(60), meter(60, tag=TAG - 1)
    account(m, make(earlier, 60, 0, 1))
    account(m, b"\xff" * 60)
    account(m, b"\xff" * 14)
    account(m, b"")
    assert counted(m) == Counter(stale=1, foreign=3)


@given(st.lists(st.integers(0, 63), max_size=200))
def test_loss_duplicates_and_reordering_are_exact_in_any_order(arrivals: list[int]) -> None:
    m = meter(60, frames=64)
    for seq in arrivals:
        account(m, make(m, 60, seq, 1))
    first = list(dict.fromkeys(arrivals))  # each number's first arrival
    reordered = sum(seq < max(first[:i], default=-1) for i, seq in enumerate(first))
    expected = {
        "received": len(first),
        "duplicates": len(arrivals) - len(first),
        "reordered": reordered,
    }
    assert counted(m) == Counter({name: n for name, n in expected.items() if n})


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=64))
def test_latencies_are_counted_by_bucket_with_the_ends_exact(latencies: list[int]) -> None:
    m = meter(60, frames=64)
    for seq, latency_ns in enumerate(latencies):
        account(m, make(m, 60, seq, 1000), received_ns=1000 + latency_ns)
    r, counts = result(m)
    assert (r.latency_min_ns, r.latency_max_ns) == (min(latencies), max(latencies))
    expected = Counter(lib.ntzc_meter_bucket(latency_ns) for latency_ns in latencies)
    assert {bucket: n for bucket, n in enumerate(counts) if n} == expected


@given(st.lists(st.sampled_from([999, 1000, 1001]), min_size=1, max_size=30))
def test_a_frame_before_its_time_is_told_and_not_timed(arrivals_ns: list[int]) -> None:
    m = meter(60, frames=64)
    for seq, received_ns in enumerate(arrivals_ns):
        account(m, make(m, 60, seq, 1000), received_ns)
    r, counts = result(m)
    timed = [received_ns - 1000 for received_ns in arrivals_ns if received_ns >= 1000]
    assert r.backward == len(arrivals_ns) - len(timed)
    assert sum(counts) == len(timed)
    assert r.latency_min_ns == min(timed, default=0)


@given(times_ns)
def test_a_bucket_ends_less_than_a_hundredth_above_what_it_counts(latency_ns: int) -> None:
    bucket = lib.ntzc_meter_bucket(latency_ns)
    assert 0 <= bucket < lib.NTZC_METER_BUCKETS
    end = bucket_end_ns(bucket)
    assert latency_ns <= end
    assert (end - latency_ns) * 128 <= latency_ns
    assert lib.ntzc_meter_bucket(end) == bucket
    if end < 2**64 - 1:
        assert lib.ntzc_meter_bucket(end + 1) == bucket + 1


@pytest.mark.parametrize(
    "plan",
    [
        {"frame_len": 59},
        {"frame_len": lib.NTZC_METER_MAX_FRAME + 1},
        {"frames": 0},
        {"frames": 2**32 + 1},
        {"rate_fps": 10**9 + 1},
        {"reserved": 1},
    ],
)
def test_a_plan_that_cannot_be_is_refused(plan: dict[str, int]) -> None:
    with pytest.raises(AssertionError, match="-22"):
        meter(**plan)
