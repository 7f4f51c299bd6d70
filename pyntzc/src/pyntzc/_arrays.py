# SPDX-License-Identifier: GPL-2.0-or-later
"""Arrays of numpy's over packets. Apart, so that numpy is imported when one is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyntzc._libntzc import ffi


def _dtype_of(struct: str) -> np.dtype[np.void]:
    """Return the dtype with the fields of a C structure of integers."""
    kind = ffi.typeof(struct)
    names, fields = zip(*kind.fields, strict=True)
    return np.dtype(
        {
            "names": names,
            "formats": [f"u{ffi.sizeof(field.type)}" for field in fields],
            "offsets": [field.offset for field in fields],
            "itemsize": ffi.sizeof(kind),
        }
    )


DESC = _dtype_of("struct ntzc_desc")
BYTE = np.dtype(np.uint8)
ndarray = np.ndarray


def descriptors(store: bytes, count: int) -> NDArray[np.void]:
    """Return *count* descriptors out of *store*."""
    return np.frombuffer(store, DESC, count) if count else np.empty(0, DESC)


def memory(exporter: Any) -> NDArray[np.uint8]:
    """Return what *exporter* exports, which must not be empty."""
    array: NDArray[np.uint8] = np.frombuffer(exporter, BYTE)
    return array
