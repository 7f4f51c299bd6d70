# SPDX-License-Identifier: GPL-2.0-or-later
"""/dev/ntzc used wrongly: an errno, no log line, nothing lost."""

from __future__ import annotations

import errno
import mmap
import struct
from typing import Any

import pytest

from .conftest import Bench
from .frames import HANDLE, OFFSET, frame, number

pytestmark = pytest.mark.quick

EINVAL, EFAULT, EACCES, ESTALE = errno.EINVAL, errno.EFAULT, errno.EACCES, errno.ESTALE
PAGE = mmap.PAGESIZE
READ, WRITE, EXEC = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC
SHARED, PRIVATE = mmap.MAP_SHARED, mmap.MAP_PRIVATE

NOWHERE = 0xFFFF800000000000  # the kernel's half


@pytest.fixture
def both(tap: Any) -> Any:
    """A tap with receive and transmit memory mapped."""
    tap.setup_tx(16)
    return tap


@pytest.fixture
def ringed(bench: Bench, tap: Any) -> Any:
    """A tap with all that can be mapped."""
    tap.setup_tx(16, flags=bench.abi.TX_RINGS)
    return tap


def areas(bench: Bench, tap: Any) -> dict[int, int]:
    """Where the areas of a tap with everything are, and their sizes in bytes."""
    abi, setup = bench.abi, tap.tx_setup_out
    return {
        abi.MMAP_RX: tap.field("rx_bytes"),
        abi.MMAP_TX: setup.tx_bytes,
        abi.MMAP_RX_RINGS: tap.field("rings_bytes"),
        abi.MMAP_TX_RINGS: setup.rings_bytes,
    }


def errno_of(result: tuple[int, int]) -> int:
    return result[1]


def test_mappings_outside_the_memory_are_refused(bench: Bench, ringed: Any) -> None:
    """Hostile cases 1 and 2."""
    abi, call, fd = bench.abi, bench.abi.call, ringed.fd
    for base, total in areas(bench, ringed).items():
        for length, offset in (
            (0, 0), (total + 1, 0), (total + PAGE, 0), (PAGE, total), (2 * PAGE, total - PAGE),
            (total, PAGE),
        ):  # fmt: skip
            result = call("mmap", 0, length, READ, SHARED, fd, base + offset)
            assert errno_of(result) == EINVAL, (hex(base), length, offset)
        assert errno_of(call("mmap", 0, PAGE, READ, SHARED, fd, base + 1)) == EINVAL
        # the memory manager makes whole pages of it
        address, err = call("mmap", 0, total - 1, READ, SHARED, fd, base)
        assert err == 0
        call("munmap", address, total)
    no_queue = abi.MMAP_RX_RINGS + ringed.field("n_queues") * abi.MMAP_RX_RINGS_STEP
    for offset in (2**63 - PAGE, 2**62, abi.MMAP_TX - PAGE, abi.MMAP_RX_RINGS - PAGE, no_queue,
                   abi.MMAP_TX_RINGS - PAGE, -PAGE):  # fmt: skip
        result = call("mmap", 0, PAGE, READ, SHARED, fd, offset)
        assert errno_of(result) in (EINVAL, errno.EOVERFLOW)


def test_a_part_of_the_memory_can_be_mapped_and_shows_the_right_page(
    bench: Bench, tap: Any
) -> None:
    """Hostile case 3."""
    bench.wire.send(frame(4, 100))
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    page = desc[OFFSET] // PAGE * PAGE
    address, err = bench.abi.call("mmap", 0, PAGE, READ, SHARED, tap.fd, page)
    assert err == 0
    assert bench.abi.peek(address + desc[OFFSET] - page, 100) == frame(4, 100)
    assert bench.abi.call("munmap", address, PAGE) == (0, 0)
    tap.release(desc[HANDLE])


def test_receive_memory_is_never_writable_nor_anything_executable(
    bench: Bench, ringed: Any
) -> None:
    """Hostile cases 4 and 5."""
    call, fd = bench.abi.call, ringed.fd
    assert errno_of(call("mmap", 0, PAGE, READ | WRITE, SHARED, fd, 0)) == EACCES
    for base in areas(bench, ringed):
        # where /dev is mounted noexec, the memory manager is quicker, with EPERM
        for protection in (EXEC, READ | EXEC, READ | WRITE | EXEC):
            result = call("mmap", 0, PAGE, protection, SHARED, fd, base)
            assert errno_of(result) in (EACCES, errno.EPERM), hex(base)
        address, err = call("mmap", 0, PAGE, READ, SHARED, fd, base)
        assert err == 0
        # what may be written may be so later
        writable = errno_of(call("mprotect", address, PAGE, READ | WRITE)) == 0
        assert writable == (base != bench.abi.MMAP_RX)
        for protection in (EXEC, READ | EXEC, READ | WRITE | EXEC):
            assert errno_of(call("mprotect", address, PAGE, protection)) == EACCES, hex(base)
        call("munmap", address, PAGE)


def test_private_mappings_are_refused(bench: Bench, ringed: Any) -> None:
    """Hostile case 6."""
    for base in areas(bench, ringed):
        for protection in (READ, READ | WRITE):
            result = bench.abi.call("mmap", 0, PAGE, protection, PRIVATE, ringed.fd, base)
            assert errno_of(result) == EINVAL, hex(base)


def test_a_read_only_file_maps_receive_memory_but_not_writable(bench: Bench) -> None:
    """Hostile case 7."""
    tap = bench.abi.Tap(0o4000).attach(bench.iface).map()
    # rings are what a file that is open for writing, too, may map so
    for base in (bench.abi.MMAP_RX, bench.abi.MMAP_RX_RINGS):
        for protection in (WRITE, READ | WRITE):
            result = bench.abi.call("mmap", 0, PAGE, protection, SHARED, tap.fd, base)
            assert errno_of(result) == EACCES, hex(base)
        address, err = bench.abi.call("mmap", 0, PAGE, READ, SHARED, tap.fd, base)
        assert err == 0
        result = bench.abi.call("mprotect", address, PAGE, READ | WRITE)
        assert errno_of(result) == EACCES, hex(base)
        bench.abi.call("munmap", address, PAGE)
    with pytest.raises(OSError) as caught:
        tap.release(0)
    assert caught.value.errno == errno.EBADF
    tap.close()


def test_a_read_only_file_cannot_send(bench: Bench) -> None:
    tap = bench.abi.Tap(0o4000).attach(bench.iface).map()
    bench.wire.send(frame(5, 80))
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    to_send = (desc[HANDLE], desc[OFFSET], 0, 80, 0, 0, 0, 0, 0, 0)
    for call, argument in (
        (tap.setup_tx, 4),
        (tap.submit, to_send),
        (tap.add_target, bench.near),
    ):
        with pytest.raises(OSError) as caught:
            call(argument)
        assert caught.value.errno == errno.EBADF
    tap.close()


def test_a_mapping_cannot_grow_or_double_but_can_move(bench: Bench, tap: Any) -> None:
    """Hostile cases 8, 9 and 10."""
    call = bench.abi.call
    maymove, dontunmap = 1, 4
    bench.wire.send(frame(6, 80))
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    page = desc[OFFSET] // PAGE * PAGE
    size = 4 * PAGE
    address, _ = call("mmap", 0, size, READ, SHARED, tap.fd, page)
    assert errno_of(call("mremap", address, size, 2 * size, maymove, None)) == EFAULT
    moved, err = call("mremap", address, size, PAGE, maymove, None)
    assert err == 0
    where = moved + desc[OFFSET] - page
    assert bench.abi.peek(where, 80) == frame(6, 80)
    assert errno_of(call("mremap", moved, 0, PAGE, maymove, None)) == EFAULT
    assert errno_of(call("mremap", moved, PAGE, PAGE, maymove | dontunmap, None)) == EINVAL
    call("munmap", moved, PAGE)
    tap.release(desc[HANDLE])


def test_no_area_can_grow_or_double(bench: Bench, ringed: Any) -> None:
    """Hostile cases 8 and 9: rings and transmit memory, too, in part and whole."""
    call, maymove, dontunmap = bench.abi.call, 1, 4
    for base, total in areas(bench, ringed).items():
        for size in (PAGE, total):
            address, err = call("mmap", 0, size, READ, SHARED, ringed.fd, base)
            assert err == 0
            for old, new, flags, wanted in (
                (size, size + PAGE, maymove, EFAULT),
                (size, size + PAGE, 0, EFAULT),
                (0, size, maymove, EFAULT),
                (size, size, maymove | dontunmap, EINVAL),
            ):
                result = call("mremap", address, old, new, flags, None)
                assert errno_of(result) == wanted, (hex(base), old, new, flags)
            call("munmap", address, size)


def test_advice_leaves_what_a_program_wrote(bench: Bench, ringed: Any) -> None:
    """Hostile case 16: transmit memory and rings, whose pages come back the same."""
    abi, known = bench.abi, b"unharmed"
    for base, size in areas(bench, ringed).items():
        if base == abi.MMAP_RX:
            continue
        address, err = abi.call("mmap", 0, size, READ | WRITE, SHARED, ringed.fd, base)
        assert err == 0
        abi.poke(address + size - len(known), known)
        for advice in (*range(5), 8, 9, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 24, 25):
            abi.call("madvise", address, size, advice)
            got = abi.peek(address + size - len(known), len(known))
            assert got == known, (hex(base), advice)
        abi.call("munmap", address, size)


def test_memory_advice_and_pinning_do_no_harm(bench: Bench, tap: Any) -> None:
    """Hostile case 16."""
    bench.wire.send(frame(8, 90))
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    size = tap.field("rx_bytes")
    address, _ = bench.abi.call("mmap", 0, size, READ, SHARED, tap.fd, 0)
    for advice in (1, 2, 3, 4, 8, 9, 10, 11, 12, 14, 15, 20, 21, 22, 24, 25):
        bench.abi.call("madvise", address, size, advice)
    assert bench.abi.peek(address + desc[OFFSET], 90) == frame(8, 90)
    bench.abi.call("munmap", address, size)
    tap.release(desc[HANDLE])


def test_closing_the_file_leaves_the_mapping_usable_and_the_frame_held(bench: Bench) -> None:
    """Hostile case 13."""
    tap = bench.abi.Tap().attach(bench.iface)
    bench.wire.send(frame(3, 70))
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    size = tap.field("rx_bytes")
    address, _ = bench.abi.call("mmap", 0, size, READ, SHARED, tap.fd, 0)
    tap.close()
    assert bench.abi.peek(address + desc[OFFSET], 70) == frame(3, 70)
    assert bench.port_stats(bench.iface)["pool_held"] == 1
    bench.abi.call("munmap", address, size)


def test_unmapping_while_holding_does_not_stop_a_release(bench: Bench, tap: Any) -> None:
    """Hostile case 14."""
    bench.wire.send(frame(3))
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    tap.rx.close()
    assert tap.release(desc[HANDLE]) == 1


def test_a_buffer_too_short_for_a_descriptor_is_refused_and_nothing_is_lost(
    bench: Bench, tap: Any
) -> None:
    """Hostile cases 22 and 23."""
    bench.wire.send_many(frame(n) for n in range(3))
    bench.vm.wait_until(lambda: tap.stats()["waiting"] == 3, 10, "three frames")
    space = bench.abi.buffer(256)
    for size in (1, 31):
        assert bench.abi.call("read", tap.fd, space, size) == (-1, EINVAL)
    assert bench.abi.call("read", tap.fd, space, 0) == (0, 0)
    assert bench.abi.call("read", tap.fd, space, 2 * 32 + 31) == (64, 0)
    assert tap.stats()["waiting"] == 1


def test_a_bad_address_in_read_loses_no_descriptor(bench: Bench, tap: Any) -> None:
    """Hostile case 24."""
    call = bench.abi.call
    bench.wire.send_many(frame(n) for n in range(10))
    bench.vm.wait_until(lambda: tap.stats()["waiting"] == 10, 10, "ten frames")
    assert call("read", tap.fd, NOWHERE, 320) == (-1, EFAULT)
    assert call("read", tap.fd, 0, 320) == (-1, EFAULT)
    assert tap.stats()["waiting"] == 10
    # two pages, the second of them gone: faults in the middle of a descriptor
    pages, _ = call("mmap", 0, 2 * PAGE, READ | WRITE, PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    call("munmap", pages + PAGE, PAGE)
    assert call("read", tap.fd, pages + PAGE - 80, 320) == (64, 0)
    assert call("read", tap.fd, pages + PAGE - 31, 320) == (-1, EFAULT)
    rest = bench.vm.guest.fetch(tap.read(100))
    assert [number(tap.data(d)) for d in rest] == list(range(2, 10))
    first = bench.abi.peek(pages + PAGE - 80, 64)
    handles = [struct.unpack_from("=I", first, 32 * i)[0] for i in range(2)]
    assert tap.release(*handles, *(d[HANDLE] for d in rest)) == 10


def test_a_handle_that_is_not_held_is_refused(bench: Bench, tap: Any) -> None:
    """Hostile cases 25 and 26."""
    other = bench.abi.Tap().attach(bench.iface)
    bench.wire.send(frame(0))
    (desc,) = bench.vm.guest.fetch(tap.read_all(1))
    other.close()
    n_bufs = tap.field("n_bufs")
    wrong = {0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, n_bufs - 1, n_bufs, n_bufs + 1, 0xFFFFF,
             desc[HANDLE] ^ 1 << 20, desc[HANDLE] | 0x80000000}  # fmt: skip
    for handle in wrong - {desc[HANDLE]}:
        with pytest.raises(OSError) as caught:
            tap.release(handle)
        assert caught.value.errno == ESTALE
    # up to the bad one, all are released; the bad one is the next call's error
    assert tap.release(desc[HANDLE], desc[HANDLE]) == 1
    with pytest.raises(OSError) as caught:
        tap.release(desc[HANDLE])
    assert caught.value.errno == ESTALE


@pytest.mark.parametrize("n_bufs", [12, 16])
def test_a_transmit_handle_that_is_none_is_refused(bench: Bench, tap: Any, n_bufs: int) -> None:
    """Hostile case 25: just behind the last buffer, and of a use to come, with all reserved."""
    mark = bench.abi.HANDLE_TX
    tap.setup_tx(n_bufs)
    descs = bench.vm.guest.fetch(tap.reserve(n_bufs))
    handles = {desc[HANDLE] for desc in descs}
    assert handles == {mark | i for i in range(n_bufs)}
    after = range(n_bufs, 2 * n_bufs + 2)
    wrong = [0, n_bufs - 1, n_bufs, mark | 1 << 20, mark | 0xFFFFF, *(mark | i for i in after)]
    for handle in wrong:
        for call, argument in (
            (tap.release, handle),
            (tap.submit, (handle, descs[0][OFFSET], 0, 60, 0, 0, 0, 0, 0, 0)),
        ):
            with pytest.raises(OSError) as caught:
                call(argument)
            assert caught.value.errno == ESTALE, hex(handle)
    assert tap.stats()["tx_reserved"] == n_bufs and tap.stats()["tx_submitted"] == 0
    assert tap.release(*handles) == n_bufs


def test_a_handle_of_a_frame_that_only_another_tap_holds_is_refused(bench: Bench) -> None:
    """Hostile case 27."""
    late, early = bench.abi.Tap(), bench.abi.Tap().attach(bench.iface)
    bench.wire.send(frame(0))
    (desc,) = bench.vm.guest.fetch(early.read_all(1))
    late.attach(bench.iface)
    with pytest.raises(OSError) as caught:
        late.release(desc[HANDLE])
    assert caught.value.errno == ESTALE
    early.close()
    late.close()


def test_positioned_and_spliced_io_is_refused(bench: Bench, tap: Any) -> None:
    """Hostile case 32."""
    os = bench.vm.guest.modules["os"]
    for call, *arguments in (
        (os.pread, tap.fd, 32, 0),
        (os.pwrite, tap.fd, b"1234", 0),
        (os.lseek, tap.fd, 0, 0),
    ):
        with pytest.raises(OSError) as caught:
            call(*arguments)
        assert caught.value.errno == errno.ESPIPE
    reader, writer = os.pipe()
    with pytest.raises(OSError) as caught:
        os.splice(tap.fd, writer, 64)
    assert caught.value.errno == EINVAL
    os.close(reader)
    os.close(writer)


def test_unknown_commands_and_wrong_sizes_are_refused(bench: Bench, tap: Any) -> None:
    """Hostile case 39."""
    assert bench.abi.commands_not_refused(tap.fd) == ""


def test_bad_pointers_in_commands_are_refused(bench: Bench, both: Any) -> None:
    """Hostile case 40."""
    abi = bench.abi
    for command in (abi.QUERY, abi.PORT_INFO, abi.PORT_STATS, abi.PORT_CONFIG, abi.ATTACH,
                    abi.TAP_STATS, abi.FILTER, abi.TX_SETUP, abi.TX_RESERVE,
                    abi.TX_SUBMIT):  # fmt: skip
        for address in (0, NOWHERE, 2**47 - 8):
            assert abi.call("ioctl", both.fd, command, address) == (-1, EFAULT)
    for address in (0, NOWHERE):
        batch = abi.buffer(24, struct.pack("=QIIQ", address, 4, 0, 0))
        assert abi.call("ioctl", both.fd, abi.TX_RESERVE, batch) == (-1, EFAULT)
        assert abi.call("ioctl", both.fd, abi.TX_SUBMIT, batch) == (-1, EFAULT)
    assert both.stats()["tx_free"] == 16


def test_buffers_are_not_reserved_where_they_cannot_be_told(bench: Bench, both: Any) -> None:
    """Hostile case 40: into pages that can only be read, one's own and the tap's."""
    abi, anonymous = bench.abi, PRIVATE | mmap.MAP_ANONYMOUS
    own, _ = abi.call("mmap", 0, PAGE, READ, anonymous, -1, 0)
    received, _ = abi.call("mmap", 0, PAGE, READ, SHARED, both.fd, abi.MMAP_RX)
    for address in (own, received):
        batch = abi.buffer(24, struct.pack("=QIIQ", address, 4, 0, 0))
        assert abi.call("ioctl", both.fd, abi.TX_RESERVE, batch) == (-1, EFAULT)
        stats = both.stats()
        assert (stats["tx_free"], stats["tx_reserved"]) == (16, 0)
        abi.call("munmap", address, PAGE)


def test_reserved_fields_must_be_zero(bench: Bench, both: Any) -> None:
    """Hostile case 38."""
    abi = bench.abi
    idle = abi.Tap()
    for tap, command, size, places in (
        (idle, abi.ATTACH, 136, (20, 104, 112, 120, 128)),
        (both, abi.PORT_INFO, 144, (112, 120, 128, 136)),
        (both, abi.PORT_STATS, 192, (4, 160, 168, 184)),
        (both, abi.PORT_CONFIG, 32, (12, 16, 24)),
        (both, abi.TX_SETUP, 56, (12, 40, 48)),
        (both, abi.TX_RESERVE, 24, (12, 16)),
        (both, abi.TX_SUBMIT, 24, (12, 16)),
    ):
        for place in places:
            data = bytearray(size)
            if command == abi.ATTACH:
                data[: len(bench.iface)] = bench.iface.encode()
            data[place] = 0x80
            address = abi.buffer(size, bytes(data))
            assert abi.call("ioctl", tap.fd, command, address) == (-1, EINVAL), (command, place)
    idle.close()


def test_commands_before_attach_say_that_the_tap_is_not_attached(bench: Bench) -> None:
    """Hostile case 43."""
    abi = bench.abi
    tap = abi.Tap()
    space = abi.buffer(256)
    for command in (abi.TAP_STATS, abi.TX_SETUP, abi.TX_RESERVE, abi.TX_SUBMIT, abi.TX_DRAIN):
        assert abi.call("ioctl", tap.fd, command, space) == (-1, errno.ENOTCONN)
    assert abi.call("read", tap.fd, space, 64) == (-1, errno.ENOTCONN)
    assert abi.call("write", tap.fd, space, 64) == (-1, errno.ENOTCONN)
    result = abi.call("mmap", 0, PAGE, READ, SHARED, tap.fd, 0)
    assert errno_of(result) == errno.ENOTCONN
    assert tap.poll() & 8
    tap.close()


def test_attaching_wrongly_is_refused(bench: Bench) -> None:
    abi = bench.abi

    def attach(**fields: Any) -> int:
        tap = abi.Tap()
        try:
            with pytest.raises(OSError) as caught:
                tap.attach(**fields)
            return caught.value.errno or 0
        finally:
            tap.close()

    assert attach(name="nosuchcard") == errno.ENODEV
    assert attach(name="lo") == errno.ENODEV
    assert attach(name=bench.peer) == errno.ENODEV
    assert attach(name="x" * 16) == EINVAL
    for ring in (1000, 3, 131072, 2**31):
        assert attach(name=bench.iface, ring_size=ring) == EINVAL
    assert attach(name=bench.iface, queues=1 << 63) == EINVAL
    assert attach(name=bench.iface, flags=4) == EINVAL
    twice = abi.Tap().attach(bench.iface)
    with pytest.raises(OSError) as caught:
        twice.attach(bench.iface)
    assert caught.value.errno == errno.EBUSY
    twice.close()


def test_transmit_memory_is_set_up_once_and_within_limits(bench: Bench, tap: Any) -> None:
    """Hostile case 42."""
    for n_bufs, size in ((2**32 - 1, 0), (1 << 20, 4096), (16, 1000), (16, 1024), (16, 32768)):
        with pytest.raises(OSError) as caught:
            tap.setup_tx(n_bufs, size)
        assert caught.value.errno in (EINVAL, errno.ENOMEM)
    tap.setup_tx(1)
    with pytest.raises(OSError) as caught:
        tap.setup_tx(1)
    assert caught.value.errno == errno.EBUSY


def test_more_memory_than_there_is_is_refused_and_kills_nobody(bench: Bench, tap: Any) -> None:
    """Hostile case 42: what handles can name is more than this machine has."""
    with pytest.raises(OSError) as caught:
        tap.setup_tx(1_000_000, 2048)
    assert caught.value.errno == errno.ENOMEM
    log = bench.vm.kernel_log()
    assert not [line for line in log if "Out of memory" in line or "oom-kill" in line]
    tap.setup_tx(16)


def test_output_is_zero_where_nothing_is_said(bench: Bench, tap: Any) -> None:
    """Hostile case 44."""
    abi = bench.abi
    for command, size, tail in ((abi.QUERY, 32, 16), (abi.TAP_STATS, 192, 72)):
        space = abi.buffer(size, b"\xff" * size)
        assert abi.call("ioctl", tap.fd, command, space) == (0, 0)
        assert abi.peek(space + size - tail, tail) == bytes(tail)
    (port, *_) = abi.ports()
    assert not any(port.reserved)
    assert port.reserved0 == port.mac[6] == port.mac[7] == 0


def test_an_unprivileged_program_cannot_open_the_device(bench: Bench) -> None:
    """Hostile cases 93 and 94."""
    nobody = "os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    script = f"import os; {nobody}; os.open('/dev/ntzc', os.O_RDWR)"
    done = bench.vm.run(["python3", "-c", script], check=False)
    assert done.returncode == 1 and "Permission denied" in done.stderr
    script = (
        "import os, ctypes; c = ctypes.CDLL(None); assert not c.unshare(0x10000000);"
        "os.open('/dev/ntzc', os.O_RDWR)"
    )
    done = bench.vm.run(["python3", "-c", script], check=False)
    assert done.returncode == 1 and "not permitted" in done.stderr


def test_pool_configuration_is_refused_while_in_use_and_when_senseless(
    bench: Bench, tap: Any
) -> None:
    def refused(**fields: int) -> int:
        with pytest.raises(OSError) as caught:
            bench.abi.configure(bench.iface, **fields)
        return caught.value.errno or 0

    assert refused(n_bufs=8192) == errno.EBUSY
    tap.close()
    for fields in ({"buf_size": 1024}, {"buf_size": 3000}, {"buf_size": 32768}, {"n_bufs": 1},
                   {"n_bufs": 2**32 - 1}):  # fmt: skip
        assert refused(**fields) == EINVAL
    bench.abi.configure(bench.iface, buf_size=4096, n_bufs=8192)
    bench.vm.wait_carrier(0)
    stats = bench.port_stats(bench.iface)
    assert stats["pool_size"] == 8192
    bench.abi.configure(bench.iface)
    bench.vm.wait_carrier(0)
