# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters: text as libpcap compiles it, or an eBPF program, in the kernel's terms."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from pyntzc._errors import FilterError, VersionError, os_error
from pyntzc._libntzc import ffi, lib

_SNAPLEN = 262144  # what a match returns: the whole frame, whatever its length
_MAX_INSNS = 4096  # of struct ntzc_filter

_REFUSED = {
    errno.EINVAL: "the kernel refused the program: it takes what libpcap compiles, and eBPF of "
    "type BPF_PROG_TYPE_SOCKET_FILTER",
    errno.EBADF: "the file is no eBPF program: load one of type BPF_PROG_TYPE_SOCKET_FILTER "
    "and keep its file open",
}


@contextmanager
def in_kernels_terms(wanted: str | int | None) -> Iterator[Any]:
    """Yield the ``struct ntzc_filter *`` for *wanted*, NULL for every frame.

    *wanted* is text in libpcap's syntax, or the file number of an eBPF program. Raises
    :class:`FilterError` with libpcap's own words if the text does not compile.
    """
    if wanted is None or (isinstance(wanted, str) and not wanted.strip()):
        yield ffi.NULL
    elif isinstance(wanted, str):
        with _compiled(wanted) as program:
            insns = int(ffi.cast("uintptr_t", program.bf_insns))
            fields = {"kind": lib.NTZC_FILTER_CLASSIC, "len": program.bf_len, "insns": insns}
            yield ffi.new("struct ntzc_filter *", fields)
    else:
        yield ffi.new("struct ntzc_filter *", {"kind": lib.NTZC_FILTER_EBPF, "fd": wanted})


@contextmanager
def _compiled(text: str) -> Iterator[Any]:
    from pyntzc import _libpcap  # and with it libpcap, which only this needs

    pcap, new = _libpcap.lib, _libpcap.ffi.new
    with ExitStack() as stack:
        handle = pcap.pcap_open_dead(pcap.DLT_EN10MB, _SNAPLEN)
        if handle == _libpcap.ffi.NULL:
            raise MemoryError
        stack.callback(pcap.pcap_close, handle)
        program = new("struct bpf_program *")
        try:
            source = new("char[]", text.encode("ascii"))
        except UnicodeEncodeError as error:
            raise _not_compiled(text, "it is not plain ASCII") from error
        if "\0" in text:
            raise _not_compiled(text, "there is a NUL in it")
        if pcap.pcap_compile(handle, program, source, 1, pcap.PCAP_NETMASK_UNKNOWN) < 0:
            said = _libpcap.ffi.string(pcap.pcap_geterr(handle)).decode(errors="replace")
            raise _not_compiled(text, said)
        stack.callback(pcap.pcap_freecode, program)
        if program.bf_len > _MAX_INSNS:
            raise _not_compiled(
                text, f"it takes {program.bf_len} instructions of at most {_MAX_INSNS}"
            )
        yield program


def _not_compiled(text: str, why: str) -> FilterError:
    return FilterError(f"the filter {text!r} does not compile: {why}; its syntax: pcap-filter(7)")


def refused(code: int, what: str) -> Exception:
    """Return the exception for a filter that the kernel did not take."""
    if -code in _REFUSED:
        return FilterError(f"{what}: {_REFUSED[-code]}")
    error = os_error(code, what)
    if isinstance(error, VersionError):
        return VersionError(-code, "the kernel's module has no filters: load a newer one", what)
    return error
