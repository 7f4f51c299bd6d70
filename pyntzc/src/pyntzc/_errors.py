# SPDX-License-Identifier: GPL-2.0-or-later
"""The exceptions: one base, and for each errno of the kernel's table a class of its own."""

from __future__ import annotations

import errno

from pyntzc._libntzc import ffi, lib


class NtzcError(Exception):
    """Base of all errors that this package raises about packets, taps and cards."""


class ReleasedError(NtzcError, ValueError):
    """The packet or buffer was given back, so its bytes cannot be had any more."""


class ClosedError(NtzcError, ValueError):
    """The tap or device is closed, or belongs to the process that this one forked from."""


class ViewInUseError(NtzcError, BufferError):
    """A memoryview of a buffer is still alive where the buffer is to change its owner."""


class FilterError(NtzcError, ValueError):
    """The filter does not compile, or the kernel does not take it; the old one stays in place."""


class NtzcOSError(NtzcError, OSError):
    """An error that the kernel reported; ``errno`` tells which."""


class ModuleNotLoadedError(NtzcOSError, FileNotFoundError):
    """There is no /dev/ntzc (ENOENT): load the module with ``modprobe ntzc``."""


class PermissionDeniedError(NtzcOSError, PermissionError):
    """EPERM, EACCES: needs root or the device's group, and CAP_NET_RAW."""


class NoSuchPortError(NtzcOSError):
    """No NTZC card has that name (ENODEV): see ``ntzc list``, ``ntzc attach``."""


class PortGoneError(NtzcOSError):
    """The card of an open tap is gone for ever (ENODEV): open a new tap when it is back."""


class NotHeldError(NtzcOSError):
    """The tap does not hold that frame (ESTALE)."""


class NoBufferError(NtzcOSError):
    """No transmit buffer became free in time (ENOBUFS)."""


class RingFullError(NtzcOSError):
    """The card's transmit ring did not take the frame in time (ENOSPC)."""


class BusyError(NtzcOSError):
    """In use already (EBUSY)."""


class InterfaceDownError(NtzcOSError):
    """Nothing can be sent while the interface is down (ENETDOWN): ``ip link set dev NAME up``."""


class InvalidArgumentError(NtzcOSError, ValueError):
    """The kernel refused an argument (EINVAL)."""


class VersionError(NtzcOSError):
    """The kernel's module speaks another version of the ABI (EPROTONOSUPPORT, ENOTTY)."""


class UnsupportedError(NtzcOSError):
    """The kernel's module cannot do what was asked for (EOPNOTSUPP): load a newer one."""


class TimedOutError(NtzcOSError, TimeoutError):
    """The card did not get done in time (ETIMEDOUT)."""


_CLASSES: dict[int, type[NtzcOSError]] = {
    errno.ENOENT: ModuleNotLoadedError,
    errno.EPERM: PermissionDeniedError,
    errno.EACCES: PermissionDeniedError,
    errno.ENODEV: PortGoneError,
    errno.ESTALE: NotHeldError,
    errno.ENOBUFS: NoBufferError,
    errno.ENOSPC: RingFullError,
    errno.EBUSY: BusyError,
    errno.ENETDOWN: InterfaceDownError,
    errno.EINVAL: InvalidArgumentError,
    errno.EPROTONOSUPPORT: VersionError,
    errno.ENOTTY: VersionError,
    errno.EOPNOTSUPP: UnsupportedError,
    errno.ETIMEDOUT: TimedOutError,
}


# what an error means when a card is looked for, or a tap opened on it
_OPENING = {
    errno.ENODEV: "no NTZC card has this name; 'ntzc list' shows them, 'ntzc attach' adds one",
    errno.EBUSY: "the card has as many taps as it can have; close one",
}


def os_error(
    code: int, what: str | None = None, *, opening: bool = False, hint: str | None = None
) -> NtzcOSError:
    """Return the exception for libntzc's result *code*, a negative errno.

    *what* names the interface or device concerned; *opening* says that the call looked for
    a card or opened a tap, when ENODEV means that there is none. *hint* replaces the text.
    """
    number = -code
    cls = _CLASSES.get(number, NtzcOSError)
    if opening and number == errno.ENODEV:
        cls = NoSuchPortError
    text = _OPENING.get(number) if opening else None
    if cls is PortGoneError:
        text = "the card is gone; open a new tap when it is back"
    text = hint or text
    if text is None:
        text = ffi.string(lib.ntzc_strerror(code)).decode()
    return cls(number, text, what) if what is not None else cls(number, text)
