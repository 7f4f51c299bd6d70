// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /dev/ntzc: the system calls but for ioctl() and mmap(), which have files of
 * their own. In these three all that a program says enters the kernel: it is
 * copied once, checked, and only the copy is used.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/uio.h>

#include "compat.h"
#include "core.h"

static int ntzc_open(struct inode *inode, struct file *file)
{
	/* the device's mode and group say who may open it; packets need this as well */
	if (!capable(CAP_NET_RAW))
		return -EPERM;
	file->private_data = ntzc_tap_create();
	if (!file->private_data)
		return -ENOMEM;
	return stream_open(inode, file);
}

static int ntzc_release(struct inode *inode, struct file *file)
{
	ntzc_tap_destroy(file->private_data);
	return 0;
}

/* Copy what waits in one channel. Under read_lock. Return: descriptors copied. */
static size_t ntzc_read_chan(struct ntzc_chan *c, struct iov_iter *to)
{
	size_t total = 0;

	for (;;) {
		u32 cons = READ_ONCE(c->rings->rx.cons), at = cons & c->mask;
		/* up to the ring's end, then once more from its start */
		size_t run = min3((size_t)ntzc_chan_waiting(c), (size_t)c->mask + 1 - at,
				  iov_iter_count(to) / sizeof(*c->ring));
		size_t copied, whole;

		if (!run)
			return total;
		copied = copy_to_iter(&c->ring[at], run * sizeof(*c->ring), to);
		whole = copied / sizeof(*c->ring);
		/* a descriptor that did not get through whole stays in the ring */
		iov_iter_revert(to, copied % sizeof(*c->ring));
		ntzc_ring_consume(&c->rings->rx, cons + (u32)whole);
		total += whole;
		if (whole < run)
			return total;
	}
}

/* One pass over the channels, starting after where the last one stopped */
static ssize_t ntzc_read_once(struct ntzc_tap *tap, struct iov_iter *to)
{
	size_t size = sizeof(struct ntzc_desc), total = 0;
	bool waiting = false;
	unsigned int i;

	if (mutex_lock_interruptible(&tap->read_lock))
		return -ERESTARTSYS;
	for (i = 0; i < tap->n_chans && iov_iter_count(to) >= size; i++) {
		struct ntzc_chan *c = tap->chans[tap->next_chan];

		if (++tap->next_chan == tap->n_chans)
			tap->next_chan = 0;
		if (!c)
			continue;
		waiting |= ntzc_chan_waiting(c);
		total += ntzc_read_chan(c, to);
	}
	mutex_unlock(&tap->read_lock);
	if (!total)
		return waiting ? -EFAULT : -EAGAIN;
	return total * size;
}

static bool ntzc_nonblock(const struct kiocb *iocb)
{
	return iocb->ki_filp->f_flags & O_NONBLOCK || iocb->ki_flags & IOCB_NOWAIT;
}

/* Poll the card here for as long as the tap wants. Return: whether a frame came. */
static bool ntzc_busy_poll(const struct ntzc_tap *tap)
{
	u64 end = ktime_get_ns() + (u64)tap->busy_poll_us * NSEC_PER_USEC;
	unsigned int i;

	if (likely(!tap->busy_poll_us))
		return false;
	while (ktime_get_ns() < end && !need_resched() && !signal_pending(current)) {
		for (i = 0; i < tap->port->n_queues; i++)
			if (tap->chans[i])
				ntzc_queue_busy_poll(tap->chans[i]->queue);
		if (ntzc_tap_readable(tap))
			return true;
	}
	return false;
}

static ssize_t ntzc_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct ntzc_tap *tap = iocb->ki_filp->private_data;
	struct ntzc_port *port = ntzc_tap_port(tap);
	ssize_t n;

	if (!port)
		return -ENOTCONN;
	if (!iov_iter_count(to))
		return 0;
	if (iov_iter_count(to) < sizeof(struct ntzc_desc))
		return -EINVAL;
	for (;;) {
		/*
		 * before the rings: what came before the card went is read first; pairs with
		 * synchronize_net() in ntzc_port_leave()
		 */
		bool gone = smp_load_acquire(&port->gone);

		n = ntzc_read_once(tap, to);
		if (n != -EAGAIN)
			return n;
		if (gone)
			return -ENODEV;
		if (ntzc_busy_poll(tap))
			continue;
		if (ntzc_nonblock(iocb))
			return -EAGAIN;
		if (wait_event_interruptible(tap->rx_wait, ntzc_tap_readable(tap) ||
					     READ_ONCE(port->gone)))
			return -ERESTARTSYS;
	}
}

static ssize_t ntzc_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct ntzc_tap *tap = iocb->ki_filp->private_data;
	u32 handles[NTZC_BATCH] __uninitialized;
	ssize_t total = 0;

	if (!ntzc_tap_port(tap))
		return -ENOTCONN;
	if (!iov_iter_count(from))
		return 0;
	if (iov_iter_count(from) < sizeof(handles[0]))
		return -EINVAL;
	while (iov_iter_count(from) >= sizeof(handles[0])) {
		size_t want = min(iov_iter_count(from) / sizeof(handles[0]), ARRAY_SIZE(handles));
		size_t got = copy_from_iter(handles, want * sizeof(handles[0]), from);
		int n;

		got /= sizeof(handles[0]);
		if (!got)
			return total ?: -EFAULT;
		n = ntzc_tap_release(tap, handles, got);
		if (n < 0)
			return total ?: n;
		total += n * sizeof(handles[0]);
		if (n < want)
			return total;
	}
	return total;
}

static __poll_t ntzc_poll(struct file *file, poll_table *wait)
{
	struct ntzc_tap *tap = file->private_data;
	struct ntzc_port *port = ntzc_tap_port(tap);
	unsigned int n, i;
	__poll_t mask = 0;
	bool gone;

	/* first: epoll waits where it was told to when the file was added, attached or not */
	poll_wait(file, &tap->rx_wait, wait);
	if (!port)
		return EPOLLERR;
	gone = smp_load_acquire(&port->gone);	/* as in ntzc_read_iter() */
	/* pairs with the release in ntzc_tx_new_target() */
	n = smp_load_acquire(&tap->n_targets);
	for (i = 0; i < n; i++)
		poll_wait(file, &tap->targets[i].queue->tx_wait, wait);
	if (ntzc_tap_readable(tap) ||
	    (ntzc_poll_waits(wait) && poll_requested_events(wait) & EPOLLIN &&
	     ntzc_busy_poll(tap)))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (gone)
		return mask | EPOLLHUP | EPOLLERR;
	if (ntzc_tx_can_send(tap))
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}

static const struct file_operations ntzc_fops = {
	.owner = THIS_MODULE,
	.open = ntzc_open,
	.release = ntzc_release,
	.read_iter = ntzc_read_iter,
	.write_iter = ntzc_write_iter,
	.poll = ntzc_poll,
	.mmap = ntzc_mmap,
	.unlocked_ioctl = ntzc_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice ntzc_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ntzc",
	.fops = &ntzc_fops,
	.mode = 0660,
};

/** ntzc_chardev_create() - make the device node. Return: 0 or a negative errno. */
int ntzc_chardev_create(void)
{
	return misc_register(&ntzc_misc);
}

/** ntzc_chardev_destroy() - remove it; no file is open */
void ntzc_chardev_destroy(void)
{
	misc_deregister(&ntzc_misc);
}
