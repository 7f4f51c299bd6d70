// SPDX-License-Identifier: GPL-2.0-or-later
/* Transmit: reserve buffers, submit them, wait until the card is done. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "internal.h"

#define NTZC_TX_PART	64	/* descriptors copied on the stack at a time */

static int ntzc_tx_call(int fd, unsigned long command, const struct ntzc_desc *descs,
			unsigned int n)
{
	struct ntzc_tx_batch batch;
	int done;

	memset(&batch, 0, sizeof(batch));
	batch.descs = (uintptr_t)descs;
	batch.count = n;
	done = ioctl(fd, command, &batch);
	return done < 0 ? -errno : done;
}

int ntzc_tap_reserve(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n,
		     int timeout_ms)
{
	struct ntzc_deadline deadline = { .timeout_ms = timeout_ms };
	int got, ready;

	if (!tap->memory.tx)
		return -EINVAL;
	for (;;) {
		got = ntzc_tx_call(tap->fd, NTZC_IOC_TX_RESERVE, descs, n);
		if (got != -ENOBUFS)
			return got;
		ready = ntzc_wait(tap->fd, POLLOUT, &deadline);
		if (ready <= 0)
			return ready ? ready : -ENOBUFS;
	}
}

/*
 * A received frame's descriptor says more than the kernel wants to hear of a
 * frame to send; and the flags of the two directions differ.
 */
static void ntzc_tx_fill(struct ntzc_desc *to, const struct ntzc_desc *from)
{
	memset(to, 0, sizeof(*to));
	to->handle = from->handle;
	to->offset = from->offset;
	to->len = from->len;
	if ((from->handle & NTZC_HANDLE_TX) && (from->flags & NTZC_TX_VLAN)) {
		to->flags = NTZC_TX_VLAN;
		to->vlan_tci = from->vlan_tci;
	}
}

int ntzc_tap_submit(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
		    int timeout_ms)
{
	struct ntzc_deadline deadline = { .timeout_ms = timeout_ms };
	struct ntzc_desc part[NTZC_TX_PART];
	unsigned int done = 0, count, i;
	int ret;

	while (done < n) {
		count = n - done < NTZC_TX_PART ? n - done : NTZC_TX_PART;
		for (i = 0; i < count; i++)
			ntzc_tx_fill(&part[i], &descs[done + i]);
		ret = ntzc_tx_call(tap->fd, NTZC_IOC_TX_SUBMIT, part, count);
		if (ret > 0) {
			done += (unsigned int)ret;
			continue;
		}
		if (ret == -ENOSPC) {
			/*
			 * poll(2) says that a buffer can be reserved and sent:
			 * more than this needs when all are reserved already,
			 * or when frames are forwarded. So look now and then.
			 */
			ret = ntzc_wait_slice(tap->fd, POLLOUT, &deadline);
			if (ret > 0)
				continue;
			if (!ret)
				ret = -ENOSPC;
		}
		return done ? (int)done : ret;
	}
	return (int)done;
}

int ntzc_tap_drain(struct ntzc_tap *tap, int timeout_ms)
{
	struct ntzc_deadline deadline = { .timeout_ms = timeout_ms };
	int ret;

	while (ioctl(tap->fd, NTZC_IOC_TX_DRAIN) < 0) {
		if (errno != EAGAIN)
			return -errno;
		/* poll(2) tells of room to send, not of the card being done */
		ret = ntzc_wait_slice(tap->fd, 0, &deadline);
		if (ret <= 0)
			return ret ? ret : -ETIMEDOUT;
	}
	return 0;
}
