// SPDX-License-Identifier: GPL-2.0-or-later
/* What the error codes mean to a person. One sentence each, saying what helps. */
#include <errno.h>

#include "libntzc.h"

const char *ntzc_version(void)
{
	return LIBNTZC_VERSION;
}

const char *ntzc_strerror(int error)
{
	switch (error < 0 ? -error : error) {
	case 0:
		return "no error";
	case EAGAIN:
		return "nothing to do now; wait until the file is ready";
	case ENOSPC:
		return "the card's transmit ring is full; wait, or submit less at a time";
	case ENOBUFS:
		return "no transmit buffer is free; wait until some were sent, or set up more";
	case ESTALE:
		return "the tap does not hold that frame; it was given back or forwarded before";
	case EINVAL:
		return "an argument is malformed or out of range";
	case EFAULT:
		return "a bad address was given";
	case ENODEV:
		return "no such NTZC card, or it is gone; see which there are, and open a new tap";
	case ENETDOWN:
		return "the interface is down; set it up (ip link set dev NAME up)";
	case ENOTCONN:
		return "the tap is not attached to a card";
	case EBUSY:
		return "in use already: set up before, held by other taps, or too many taps or targets";
	case EBADF:
		return "the filter's file is no eBPF program; load one of type socket filter";
	case EOPNOTSUPP:
		return "the kernel's module has no rings; let the library choose the door";
	case EPERM:
		return "not permitted; this needs CAP_NET_RAW, and CAP_NET_ADMIN to configure";
	case EACCES:
		return "the device node does not let this user in; be root or in its group";
	case ENOTTY:
		return "the kernel's module does not know this command; use one of this version";
	case ENOENT:
		return "there is no NTZC device; load the module (modprobe ntzc)";
	case EPROTONOSUPPORT:
		return "the kernel's module speaks another version of the ABI; use one of this version";
	case EINTR:
		return "interrupted by a signal; call again to go on";
	case ETIMEDOUT:
		return "the card did not get done in time";
	case E2BIG:
		return "options that this version of the library does not have";
	case ENOMEM:
		return "out of memory";
	default:
		return "an unexpected system error";
	}
}
