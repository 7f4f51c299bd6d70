# SPDX-License-Identifier: GPL-2.0-or-later
"""The bare rings of struct ntzc_rx_rings and ntzc_tx_rings, in the guest, to use and to spoil.

An index is one aligned word, stored after what it publishes; the guest's processors keep the
order of stores, and so does the interpreter.
"""

from __future__ import annotations

import mmap

import abi

_PROD, _CONS, _FLAGS, _WORDS = 0, 16, 32, 48  # of struct ntzc_ring, in words
_NEED_WAKEUP = 1
_ENTRIES = 4096
_MASK = 0xFFFFFFFF

_mapped: list[_Rings] = []


class Ring:
    """One ring's indices."""

    def __init__(self, words: memoryview, number: int, size: int) -> None:
        self._words = words[number * _WORDS : (number + 1) * _WORDS]
        self.size = size

    @property
    def prod(self) -> int:
        return self._words[_PROD]

    @prod.setter
    def prod(self, value: int) -> None:
        self._words[_PROD] = value & _MASK

    @property
    def cons(self) -> int:
        return self._words[_CONS]

    @cons.setter
    def cons(self, value: int) -> None:
        self._words[_CONS] = value & _MASK

    def asks(self) -> bool:
        """Whether the kernel wants a KICK."""
        return bool(self._words[_FLAGS] & _NEED_WAKEUP)

    def filled(self, most: int) -> range:
        """Indices of up to *most* entries to take out; none if an index is spoiled."""
        n = (self.prod - self.cons) & _MASK
        return range(self.cons, self.cons + (min(n, most) if n <= self.size else 0))

    def release(self) -> None:
        self._words.release()


def reset() -> None:
    """Unmap all: a mapping keeps its tap alive."""
    for mapped in tuple(_mapped):
        mapped.close()


class _Rings:
    """A mapping with two rings at its head."""

    def __init__(self, fd: int, offset: int, len_bytes: int, sizes: tuple[int, int]) -> None:
        self._map = mmap.mmap(fd, len_bytes, offset=offset)
        self._words = memoryview(self._map).cast("I")
        self._rings = [Ring(self._words, number, size) for number, size in enumerate(sizes)]
        _mapped.append(self)

    def close(self) -> None:
        _mapped.remove(self)
        for ring in self._rings:
            ring.release()
        self._words.release()
        self._map.close()


class RxRings(_Rings):
    """Those of one queue of an attached tap."""

    def __init__(self, tap: abi.Tap, queue: int) -> None:
        sizes = tap.field("ring_size"), tap.field("release_size")
        at = abi.MMAP_RX_RINGS + queue * abi.MMAP_RX_RINGS_STEP
        super().__init__(tap.fd, at, tap.field("rings_bytes"), sizes)
        self.rx, self.release = self._rings
        self._entries = tap.field("release_offset") // 4

    def take(self, count: int) -> tuple[tuple[int, ...], ...]:
        """Up to *count* descriptors."""
        places = self.rx.filled(count)
        got = tuple(
            abi.DESC.unpack_from(self._map, _ENTRIES + i % self.rx.size * abi.DESC.size)
            for i in places
        )
        self.rx.cons = places.stop
        return got

    def put(self, handles: tuple[int, ...]) -> None:
        """Give handles back; there must be room for them."""
        prod = self.release.prod
        for i, handle in enumerate(handles, prod):
            self._words[self._entries + i % self.release.size] = handle
        self.release.prod = prod + len(handles)


class TxRings(_Rings):
    """Those of a tap that was set up with NTZC_TX_RINGS."""

    def __init__(self, tap: abi.Tap) -> None:
        setup = tap.tx_setup_out
        assert setup
        sizes = int(setup.ring_size), int(setup.ring_size)
        super().__init__(tap.fd, abi.MMAP_TX_RINGS, setup.rings_bytes, sizes)
        self.tx, self.free = self._rings
        self._entries = setup.free_offset // 4

    def fetch(self) -> tuple[tuple[int, int], ...]:
        """Handle and offset of all buffers to be had."""
        places = self.free.filled(self.free.size)
        at = [self._entries + i % self.free.size * 2 for i in places]
        got = tuple((self._words[word], self._words[word + 1]) for word in at)
        self.free.cons = places.stop
        return got

    def put(self, descs: tuple[tuple[int, ...], ...]) -> None:
        """Queue descriptors to send; there must be room for them."""
        prod = self.tx.prod
        for i, desc in enumerate(descs, prod):
            abi.DESC.pack_into(self._map, _ENTRIES + i % self.tx.size * abi.DESC.size, *desc)
        self.tx.prod = prod + len(descs)
