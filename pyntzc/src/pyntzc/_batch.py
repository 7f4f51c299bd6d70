# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that came in together, as objects or as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyntzc import _frames
from pyntzc._packet import Packet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_arrays: Any = None


def _numpy() -> Any:
    """Return pyntzc._arrays, imported with numpy when the first array is asked for."""
    global _arrays
    if _arrays is None:
        from pyntzc import _arrays as module

        _arrays = module
    return _arrays


class Batch(_frames.Batch[Packet]):
    """Packets that came in together. A context manager.

    ``len()``, indexing and iteration give :class:`Packet` objects, each made when it is asked
    for. For speed there are arrays of numpy's instead, which make no object for a packet:
    :attr:`descs`, :attr:`pool`, :meth:`data` and :meth:`bytes`. All are read-only but for what
    :meth:`bytes` returns.

    A packet that is taken out of it belongs to both: it goes back when the batch is released,
    or, if the batch merely dies, when the packet does. :meth:`release` is one call for all;
    again: no effect. After it everything here raises :class:`ReleasedError`, or
    :class:`ClosedError` once the tap is closed.

    What was taken out before stays as it is. :attr:`descs` and :meth:`bytes` are copies and
    may be kept. An array from :attr:`pool` or :meth:`data` shows the card's memory: as long as
    one of them lives, slices included, the batch's packets stay held, also after a release,
    which then takes place with the last of them. So no array ever shows a packet of its batch
    overwritten; but one that is kept for long holds up the memory of the whole batch.
    """

    __slots__ = ()

    @property
    def descs(self) -> NDArray[np.void]:
        """The packets' descriptors: a structured array, read-only, one element a packet.

        The fields are those of ``struct ntzc_desc``: handle, offset (of the first byte, in
        :attr:`pool`), timestamp (nanoseconds), len (bytes in the pool), hash, orig_len,
        vlan_tci, flags (NTZC_RX_*), queue and hash_type. It is a copy, 32 bytes a packet,
        that may be kept.
        """
        array: NDArray[np.void] | None = self._array
        if array is None or self.released:
            self._array = array = _numpy().descriptors(self._store(), len(self))
        return array

    @property
    def pool(self) -> NDArray[np.uint8]:
        """All receive memory, in place: a read-only array of bytes, made anew each time.

        A packet's bytes lie from its offset on. The rest belongs to others, who may
        overwrite it at any time.
        """
        array: NDArray[np.uint8] = _numpy().memory(self)
        return array

    def data(self, index: int) -> NDArray[np.uint8]:
        """Return the bytes of packet *index* in place: a read-only array."""
        index = range(len(self))[index]
        pool = self.pool  # first: while there is a view nothing of the batch goes
        self._check(index)
        desc = self.descs[index]
        start = int(desc["offset"])
        return pool[start : start + int(desc["len"])]

    def __repr__(self) -> str:
        return f"<pyntzc.Batch of {len(self)} packets{', released' if self.released else ''}>"
