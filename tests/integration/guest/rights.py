# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may do what, in the guest: processes without rights, with a file that was passed to them.

Each function runs in a process of its own (neighbour.apart) and raises if it may what it should
not, or may not what it should.
"""

from __future__ import annotations

import contextlib
import ctypes as c
import errno
import fcntl
import mmap
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import abi
import frames
from neighbour import Child, Neighbour, apart, ours

NOBODY = 65534
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_CAPBSET_DROP, CAP_NET_ADMIN, CAP_NET_RAW, CAP_LAST = 24, 12, 13, 40
DEVICE = Path("/dev/ntzc")
HANDLE = 0


def err(call: Callable[..., Any], *args: Any) -> int:
    """The errno with which *call* fails; 0 if it does not."""
    try:
        call(*args)
    except OSError as error:
        return error.errno or 0
    return 0


def become_nobody() -> None:
    """Give up every right; what is open stays."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def become_root_without(*capabilities: int) -> None:
    """Stay root, without these capabilities."""

    class Head(c.Structure):
        _fields_ = [("version", c.c_uint32), ("pid", c.c_int)]

    class Data(c.Structure):
        _fields_ = [("words", c.c_uint32 * 6)]

    head, data = Head(0x20080522, 0), Data()
    assert abi.call("capget", c.byref(head), c.byref(data)) == (0, 0)
    for capability in capabilities:
        word = 3 * (capability // 32)
        for kind in range(3):
            data.words[word + kind] &= ~(1 << capability % 32)
    assert abi.call("capset", c.byref(head), c.byref(data)) == (0, 0)


def become_root_of_a_user_namespace() -> None:
    """Have all capabilities, in a user namespace of one's own."""
    assert abi.call("unshare", CLONE_NEWUSER) == (0, 0)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text("0 0 1")
    Path("/proc/self/gid_map").write_text("0 0 1")
    assert os.getuid() == 0
    assert Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0].endswith("ffffffff")


@contextlib.contextmanager
def open_to_all() -> Iterator[None]:
    """The node's mode lets everybody in, so that only the capability is left to ask for."""
    before = DEVICE.stat().st_mode & 0o7777
    DEVICE.chmod(0o666)
    try:
        yield
    finally:
        DEVICE.chmod(before)


def opening(become: Callable[[], None]) -> int:
    become()
    return err(os.open, DEVICE, os.O_RDWR)


def who_may_open() -> None:
    """The node's mode, and CAP_NET_RAW in the initial user namespace: both, for everybody."""
    assert apart(opening, become_nobody) == errno.EACCES
    assert apart(opening, lambda: None) == 0
    assert apart(opening, lambda: become_root_without(CAP_NET_RAW)) == errno.EPERM
    assert apart(opening, lambda: become_root_without(CAP_NET_ADMIN)) == 0
    assert apart(opening, become_root_of_a_user_namespace) == errno.EPERM
    with open_to_all():
        assert apart(opening, become_nobody) == errno.EPERM
        assert apart(opening, become_root_of_a_user_namespace) == errno.EPERM


def _administrates(tap: abi.Tap, port: int) -> list[int]:
    """The errno of each command that is the administrator's."""
    return [
        err(fcntl.ioctl, tap.fd, abi.PORT_CONFIG, abi.PortConfig(id=port, buf_size=1)),
        err(fcntl.ioctl, tap.fd, abi.PORT_POLICY, abi.PortPolicy(id=port, set=2)),
        err(fcntl.ioctl, tap.fd, abi.TAP_INFO, abi.TapInfo(port_id=port)),
    ]


def _uses(tap: abi.Tap, neighbour: Neighbour) -> None:
    """All that a tap is for."""
    tap.map().setup_tx(4)
    neighbour.send(3)
    (desc,) = ours(tap, 1)
    assert tap.data(desc) == frames.frame(3)
    assert tap.release(desc[HANDLE]) == 1
    (spare,) = tap.reserve(1)
    assert tap.submit(tap.fill(spare, frames.frame(4))) == 1
    tap.drain()
    assert tap.stats()["tx_completed"] == 1


def _port(name: str) -> int:
    return next(int(p.id) for p in abi.ports() if p.name.decode() == name)


def rights_dropped(name: str, peer: str) -> None:
    """Open, then give up all rights: the tap works, and is no administrator's."""
    neighbour, port = Neighbour(peer), _port(name)

    def act(become: Callable[[], None]) -> list[int]:
        tap = abi.Tap()
        become()
        assert err(os.open, DEVICE, os.O_RDWR) in (errno.EACCES, errno.EPERM)
        refused = _administrates(tap, port)
        _uses(tap.attach(name), neighbour)
        tap.close()
        return refused

    assert apart(act, become_nobody) == [errno.EPERM] * 3
    # the network administrator keeps what is his: a senseless size is refused, and there is no tap
    allowed = apart(act, lambda: become_root_without(CAP_NET_RAW))
    assert allowed == [errno.EINVAL, 0, errno.ENOENT], allowed
    neighbour.close()


def _adopt(fd: int) -> abi.Tap:
    tap = abi.Tap.__new__(abi.Tap)
    tap.__dict__.update(fd=fd, rx=None, tx=None, attached=None, tx_setup_out=None)
    return tap


def file_passed(name: str, peer: str) -> None:
    """A file that was passed does for its new owner what it did for the one that opened it."""
    neighbour, port = Neighbour(peer), _port(name)
    here, there = socket.socketpair()

    def receive(become: Callable[[], None]) -> tuple[list[int], int, int]:
        become()
        _, fds, _, _ = socket.recv_fds(there, 1, 2)
        whole, reader = map(_adopt, fds)
        refused = _administrates(whole, port)
        _uses(whole.attach(name), neighbour)
        # opened for reading: it reads and shows, and neither takes back nor is written to
        reader.attach(name).map()
        neighbour.send(5)
        (desc,) = ours_of_reader(reader)
        assert reader.data(desc) == frames.frame(5)
        again = err(lambda: mmap.mmap(reader.fd, mmap.PAGESIZE, offset=0))
        return refused, err(reader.release, desc[HANDLE]), again

    for become in (become_nobody, become_root_of_a_user_namespace):
        child = Child(receive, become)
        fds = [os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK), os.open(DEVICE, os.O_NONBLOCK)]
        socket.send_fds(here, [b"x"], fds)
        for fd in fds:
            os.close(fd)
        refused, release, again = child.result()
        assert refused == [errno.EPERM] * 3
        assert (release, again) == (errno.EBADF, errno.EACCES)
    here.close()
    there.close()
    neighbour.close()


def ours_of_reader(tap: abi.Tap) -> list[tuple[int, ...]]:
    """As neighbour.ours(), of one frame, where nothing can be given back."""
    while True:
        descs = tap.read_all(1)
        assert descs
        if frames.is_intact(tap.data(descs[0])):
            return list(descs)


def in_sysfs(name: str) -> None:
    """Anybody reads a card's files; root writes them, with CAP_NET_ADMIN of the first namespace."""
    folder = Path("/sys/class/net", name, "ntzc")
    before = {path: path.read_text() for path in sorted(folder.iterdir())}
    written = [folder / "quota", folder / "quota_max", folder / "stack"]
    assert [path for path in before if path.stat().st_mode & 0o222] == written

    def act(become: Callable[[], None]) -> list[int]:
        become()
        for path in before:
            assert path.read_text()
        return [err(path.write_text, before[path]) for path in written]

    assert apart(act, become_nobody) == [errno.EACCES] * 3
    assert apart(act, lambda: become_root_without(CAP_NET_ADMIN)) == [errno.EPERM] * 3
    assert apart(act, become_root_of_a_user_namespace) == [errno.EPERM] * 3
    assert apart(act, lambda: become_root_without(CAP_NET_RAW)) == [0] * 3
    assert [path.read_text() for path in written] == [before[path] for path in written]


def in_another_network_namespace(name: str, target: str) -> None:
    """A tap attaches and sends to interfaces of its caller's network namespace alone.

    It sees no others, either; a tap that came along has what it had.
    """

    def act() -> None:
        tap, sender = abi.Tap(), abi.Tap().attach(name).setup_tx(4)
        index, beyond = map(socket.if_nametoindex, (name, target))
        assert abi.call("unshare", CLONE_NEWNET) == (0, 0)
        assert err(sender.add_target, target) == errno.ENODEV
        assert err(sender.add_target, "", beyond) == errno.ENODEV
        assert len(sender.reserve(4)) == 4
        sender.close()
        assert err(tap.attach, name) == errno.ENODEV
        wanted = abi.Attach(ifindex=index)
        assert err(fcntl.ioctl, tap.fd, abi.ATTACH, wanted) == errno.ENODEV
        for port in abi.ports():
            assert (port.ifindex, port.name) == (0, b"")
        tap.close()

    apart(act)


def held_across_namespaces(tap: abi.Tap, peer: str, number: int) -> None:
    """The tap takes a frame, whatever namespace its interface is in."""
    neighbour = Neighbour(peer)
    neighbour.send(number)
    (desc,) = ours(tap, 1)
    assert tap.data(desc) == frames.frame(number)
    assert tap.release(desc[HANDLE]) == 1
    neighbour.close()
