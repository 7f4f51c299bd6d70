// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transmit: reserve buffers, submit them or forward what came in, wait until
 * the card is done. Here are the calls of the kernel and the waiting; what can
 * be had from the tap's transmit rings without a call is in txring.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "internal.h"

#define NTZC_TX_PART	64	/* descriptors copied on the stack at a time */
#define NTZC_AS_TOLD	UINT32_MAX	/* target: what the descriptor of an own buffer says */

int ntzc_tx_call(struct ntzc_tap *tap, unsigned long command, const struct ntzc_desc *descs,
		 unsigned int n)
{
	struct ntzc_tx_batch batch;
	int done;

	memset(&batch, 0, sizeof(batch));
	batch.descs = (uintptr_t)descs;
	batch.count = n;
	done = ioctl(tap->fd, command, &batch);
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
		if (ntzc_txq_is_open(tap))
			got = ntzc_txq_reserve(tap, descs, n);
		else
			got = ntzc_tx_call(tap, NTZC_IOC_TX_RESERVE, descs, n);
		if (got != -ENOBUFS)
			return got;
		ready = ntzc_wait(tap->fd, POLLOUT, &deadline);
		if (ready <= 0)
			return ready ? ready : -ENOBUFS;
	}
}

int ntzc_tap_tx_view(struct ntzc_tap *tap, struct ntzc_desc **descs, unsigned int n,
		     int timeout_ms)
{
	struct ntzc_deadline deadline = { .timeout_ms = timeout_ms };
	int got, ready;

	if (!ntzc_txq_is_open(tap))
		return -EINVAL;
	if (!n)
		return 0;
	for (;;) {
		got = ntzc_txq_view(tap, descs, n);
		if (got != -ENOBUFS && got != -ENOSPC)
			return got;
		/* poll(2) is satisfied with a buffer, and may not know of room in the ring */
		ready = got == -ENOBUFS ? ntzc_wait(tap->fd, POLLOUT, &deadline) :
					  ntzc_wait_slice(tap->fd, POLLOUT, &deadline);
		if (ready <= 0)
			return ready ? ready : got;
	}
}

int ntzc_tap_tx_done(struct ntzc_tap *tap, unsigned int n)
{
	return ntzc_txq_is_open(tap) ? ntzc_txq_done(tap, n) : -EINVAL;
}

/*
 * A received frame's descriptor says more than the kernel wants to hear of a
 * frame to send; and the flags of the two directions differ.
 */
static void ntzc_tx_fill(struct ntzc_desc *to, const struct ntzc_desc *from, __u32 target)
{
	int own = !!(from->handle & NTZC_HANDLE_TX);

	memset(to, 0, sizeof(*to));
	to->handle = from->handle;
	to->offset = from->offset;
	to->len = from->len;
	if (own && (from->flags & NTZC_TX_VLAN)) {
		to->flags = NTZC_TX_VLAN;
		to->vlan_tci = from->vlan_tci;
	}
	if (target == NTZC_AS_TOLD)
		target = own ? from->queue : 0;
	to->queue = (__u8)target;
}

/* A part of what is to be sent, through either door. Return: how many were taken, or -errno. */
static int ntzc_tx_part(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
			__u32 target)
{
	struct ntzc_desc part[NTZC_TX_PART];
	unsigned int i;
	int sent;

	if (ntzc_txq_is_open(tap) && (!target || target == NTZC_AS_TOLD)) {
		sent = ntzc_txq_forward(tap, descs, n);
		if (sent != -EAGAIN)
			return sent;
	}
	n = ntzc_min(n, NTZC_TX_PART);
	for (i = 0; i < n; i++)
		ntzc_tx_fill(&part[i], &descs[i], target);
	if (ntzc_txq_is_open(tap))
		return ntzc_txq_submit(tap, part, n);
	return ntzc_tx_call(tap, NTZC_IOC_TX_SUBMIT, part, n);
}

static int ntzc_tx_send(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
			__u32 target, int timeout_ms)
{
	struct ntzc_deadline deadline = { .timeout_ms = timeout_ms };
	unsigned int done = 0;
	int ret;

	while (done < n) {
		ret = ntzc_tx_part(tap, descs + done, n - done, target);
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

int ntzc_tap_submit(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
		    int timeout_ms)
{
	return ntzc_tx_send(tap, descs, n, NTZC_AS_TOLD, timeout_ms);
}

int ntzc_tap_forward(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
		     unsigned int target, int timeout_ms)
{
	/* the kernel would see the lower bits only */
	if (target >= NTZC_MAX_TARGETS)
		return -EINVAL;
	return ntzc_tx_send(tap, descs, n, target, timeout_ms);
}

int ntzc_tap_copy(struct ntzc_tap *tap, const struct ntzc_desc *from, struct ntzc_desc *to,
		  int timeout_ms)
{
	struct ntzc_desc desc;
	int got;

	if (from->handle & NTZC_HANDLE_TX || !tap->memory.tx ||
	    from->len > tap->tx.buf_size - tap->tx.headroom)
		return -EINVAL;
	got = ntzc_tap_reserve(tap, &desc, 1, timeout_ms);
	if (got < 0)
		return got;
	memcpy(ntzc_tap_tx_data(tap, &desc), ntzc_tap_data(tap, from), from->len);
	desc.len = from->len;
	if (from->flags & NTZC_RX_VLAN) {
		desc.flags = NTZC_TX_VLAN;
		desc.vlan_tci = from->vlan_tci;
	}
	*to = desc;
	return 0;
}

int ntzc_tap_add_target(struct ntzc_tap *tap, const char *interface, unsigned int ifindex,
			unsigned int *target)
{
	struct ntzc_tx_target arg;
	int err;

	memset(&arg, 0, sizeof(arg));
	arg.ifindex = interface ? 0 : ifindex;
	err = interface ? ntzc_name_copy(arg.name, interface) : 0;
	if (err)
		return err;
	if (ioctl(tap->fd, NTZC_IOC_TX_TARGET, &arg) < 0)
		return -errno;
	*target = arg.target;
	return 0;
}

int ntzc_tap_drain(struct ntzc_tap *tap, int timeout_ms)
{
	struct ntzc_deadline deadline = { .timeout_ms = timeout_ms };
	int ret;

	for (;;) {
		ret = ntzc_txq_is_open(tap) ? ntzc_txq_flush(tap) : 0;
		if (!ret && ioctl(tap->fd, NTZC_IOC_TX_DRAIN) < 0)
			ret = -errno;
		if (ret != -EAGAIN)
			return ret;
		/* poll(2) tells of room to send, not of the card being done */
		ret = ntzc_wait_slice(tap->fd, 0, &deadline);
		if (ret <= 0)
			return ret ? ret : -ETIMEDOUT;
	}
}
