# SPDX-License-Identifier: GPL-2.0-or-later
"""One way of ``ntzc bridge``: everything that comes in goes out once, or is counted."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

import pyntzc
from pyntzc._cli import bridge, stats
from pyntzc._libntzc import ffi
from pyntzc._stats import tap_info
from tests.unit.python.fake import FakeCard


@pytest.fixture
def way(card: FakeCard) -> Iterator[bridge._Way]:
    with pyntzc.open("card") as tap:
        yield bridge._Way(tap, tap.add_target("eth9"))


def deliver(card: FakeCard, *lengths: int) -> list[bytes]:
    frames = [bytes([number]) * length for number, length in enumerate(lengths)]
    for frame in frames:
        assert card.deliver(frame)
    return frames


def test_all_goes_to_the_other_card_in_order(card: FakeCard, way: bridge._Way) -> None:
    frames = deliver(card, *range(60, 90))
    way.step()
    assert card.sent == frames
    assert set(card.sent_to) == {1}
    assert (way.forwarded, way.refused, way.blocked) == (30, 0, False)
    assert way.tap.stats().held == 0


def test_a_full_card_holds_it_up_and_loses_nothing(card: FakeCard, way: bridge._Way) -> None:
    frames = deliver(card, *[60] * 10)
    card.ring_room = 4
    way.step()
    assert way.blocked
    way.step()
    assert way.forwarded == 4
    card.ring_room = 100
    way.step()
    assert not way.blocked
    assert card.sent == frames
    assert way.forwarded == 10


def test_a_frame_that_is_too_long_is_counted_and_the_rest_passes(
    card: FakeCard, way: bridge._Way
) -> None:
    frames = deliver(card, 60, 1000, 61, 1001, 62)
    card.send_max = 500
    way.step()
    assert card.sent == [frames[0], frames[2], frames[4]]
    assert (way.forwarded, way.refused, way.blocked) == (3, 2, False)
    assert way.tap.stats().held == 0


def test_while_the_other_interface_is_down_frames_are_counted_and_given_back(
    card: FakeCard, way: bridge._Way
) -> None:
    deliver(card, 60, 60, 60)
    card.down = True
    way.step()
    assert (way.forwarded, way.refused, way.blocked) == (0, 3, False)
    assert way.tap.stats().held == 0
    card.down = False
    deliver(card, 60)
    way.step()
    assert way.forwarded == 1


def test_the_summary_has_every_cause(card: FakeCard, way: bridge._Way) -> None:
    deliver(card, 60)
    way.step()
    assert way.summary() == {
        "from": "card",
        "to": "eth9",
        "forwarded": 1,
        "refused": 0,
        "missed": 0,
        "filtered": 5,
        "lost_ring": 0,
        "lost_quota": 0,
        "lost_pool": 0,
    }
    assert "card -> eth9: 1 forwarded" in way.line()


def test_a_card_is_not_bridged_onto_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    port = SimpleNamespace(id=4)
    monkeypatch.setattr("pyntzc._cli.bridge.Port.find", lambda name: port)
    done = CliRunner().invoke(bridge.command, ["eth1", "0000:01:00.0"])
    assert done.exit_code == 2
    assert "are the same card" in done.output
    assert "ntzc list" in done.output


def test_taps_are_shown_with_losses_by_cause(capsys: pytest.CaptureFixture[str]) -> None:
    info = ffi.new(
        "struct ntzc_tap_info *",
        {"tap_id": 7, "pid": 4242, "comm": b"sniffer", "queues": 5, "quota": 99, "fanout": 3}
        | {"oldest_ns": 1_500_000_000, "flags": 3}
        | {"stats": {"received": 11, "lost_ring": 12, "lost_quota": 13, "lost_pool": 14}},
    )
    tap = tap_info(info)
    port = SimpleNamespace(name="eth1")
    stats._show_taps(port, [tap], as_json=False)  # type: ignore[arg-type]
    head, row = capsys.readouterr().out.splitlines()
    cells = dict(zip(head.split(), row.replace("0,2 group 3", "0,2").split(), strict=False))
    assert cells | {"TAP": "7", "PID": "4242", "COMMAND": "sniffer", "RING-FULL": "12"} == cells
    assert (cells["QUOTA-USED"], cells["POOL-EMPTY"], cells["OLDEST"]) == ("13", "14", "1.500")
    stats._show_taps(port, [tap], as_json=True)  # type: ignore[arg-type]
    assert '"flags": ["FILTER", "PROMISC"]' in capsys.readouterr().out


def test_the_policy_is_read_and_set_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int, int]] = []

    def policy(device: object, terms: Any) -> int:
        terms = ffi.cast("struct ntzc_port_policy *", terms)
        asked.append((terms.set, terms.stack, terms.quota, terms.quota_max))
        terms.stack, terms.quota, terms.quota_max = 1, 64, 128
        return refusal

    refusal = 0
    fake = SimpleNamespace(
        ntzc_port_policy=policy,
        NTZC_POLICY_STACK=1,
        NTZC_POLICY_QUOTA=2,
        NTZC_POLICY_QUOTA_MAX=4,
    )
    monkeypatch.setattr("pyntzc._port.lib", fake)
    device = object.__new__(pyntzc.Device)
    device._prepare(fake)
    port = pyntzc.Port(**dict.fromkeys(pyntzc.Port._fields, 0) | {"name": "eth1"})  # type: ignore[arg-type]
    assert device.policy(port) == ("copy", 64, 128)
    device.set_policy(port, stack="copy", quota_max=0)
    device.set_policy(port, quota=5)
    assert asked == [(0, 0, 0, 0), (5, 1, 0, 0), (2, 0, 5, 0)]
    wrong: tuple[dict[str, Any], ...] = ({"stack": "on"}, {"quota": -1}, {"quota_max": 1 << 32})
    for bad in wrong:
        with pytest.raises(ValueError):
            device.set_policy(port, **bad)
    refusal = -errno.EPERM
    with pytest.raises(pyntzc.PermissionDeniedError, match="CAP_NET_ADMIN"):
        device.set_policy(port, quota=5)
    device._device = None
