// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /dev/ntzc: the system calls. Here, and in mmap.c, all that a program says
 * enters the kernel: it is copied once, checked, and only the copy is used.
 * What the calls mean is in tap.c, tx.c and port.c.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/rtnetlink.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "core.h"

/* descriptors copied at once on transmit: they are on the stack */
#define NTZC_TX_BATCH	(NTZC_BATCH / 2)

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
		u32 at = c->cons & c->mask;
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
		/* the copy comes first; pairs with ntzc_chan_room() */
		smp_store_release(&c->cons, c->cons + (u32)whole);
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
		/* before the rings: what came before the card went is read first */
		bool gone = READ_ONCE(port->gone);

		n = ntzc_read_once(tap, to);
		if (n != -EAGAIN)
			return n;
		if (gone)
			return -ENODEV;
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
	u32 handles[NTZC_BATCH];
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
	__poll_t mask = 0;

	if (!port)
		return EPOLLERR;
	poll_wait(file, &tap->rx_wait, wait);
	poll_wait(file, &tap->tx_queue->tx_wait, wait);
	if (ntzc_tap_readable(tap))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (READ_ONCE(port->gone))
		return mask | EPOLLHUP | EPOLLERR;
	if (ntzc_tx_can_reserve(tap))
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}

static long ntzc_ioctl_query(void __user *arg)
{
	struct ntzc_query query = {
		.abi_version = NTZC_ABI_VERSION,
		.desc_size = sizeof(struct ntzc_desc),
		.features = NTZC_FEATURE_RX | NTZC_FEATURE_TX | NTZC_FEATURE_FORWARD,
	};

	return copy_to_user(arg, &query, sizeof(query)) ? -EFAULT : 0;
}

static long ntzc_ioctl_port_info(void __user *arg)
{
	struct ntzc_port_info info, out = { };
	struct ntzc_port *port;

	if (copy_from_user(&info, arg, sizeof(info)))
		return -EFAULT;
	if (memchr_inv(info.reserved, 0, sizeof(info.reserved)))
		return -EINVAL;
	rtnl_lock();
	port = ntzc_port_find_id(info.id, false);
	if (port) {
		ntzc_port_get_info(port, &out);
		ntzc_port_put(port);
	}
	rtnl_unlock();
	if (!port)
		return -ENOENT;
	return copy_to_user(arg, &out, sizeof(out)) ? -EFAULT : 0;
}

static long ntzc_ioctl_port_stats(void __user *arg)
{
	struct ntzc_port_stats st, out = { };
	struct ntzc_port *port;

	if (copy_from_user(&st, arg, sizeof(st)))
		return -EFAULT;
	if (st.flags || memchr_inv(st.reserved, 0, sizeof(st.reserved)))
		return -EINVAL;
	rtnl_lock();
	port = ntzc_port_find_id(st.id, true);
	if (port) {
		out.id = st.id;
		ntzc_port_get_stats(port, &out);
		ntzc_port_put(port);
	}
	rtnl_unlock();
	if (!port)
		return -ENODEV;
	return copy_to_user(arg, &out, sizeof(out)) ? -EFAULT : 0;
}

static long ntzc_ioctl_port_config(void __user *arg)
{
	struct ntzc_port_config cfg;
	struct ntzc_port *port;
	int err = -ENODEV;

	if (!capable(CAP_NET_ADMIN))
		return -EPERM;
	if (copy_from_user(&cfg, arg, sizeof(cfg)))
		return -EFAULT;
	if (cfg.flags || memchr_inv(cfg.reserved, 0, sizeof(cfg.reserved)))
		return -EINVAL;
	rtnl_lock();
	port = ntzc_port_find_id(cfg.id, true);
	if (port) {
		err = ntzc_port_configure(port, cfg.buf_size, cfg.n_bufs);
		ntzc_port_put(port);
	}
	rtnl_unlock();
	return err;
}

static long ntzc_ioctl_attach(struct ntzc_tap *tap, void __user *arg)
{
	struct ntzc_attach a;
	struct ntzc_port *port;
	int err = -ENODEV;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.flags & ~NTZC_ATTACH_PROMISC || memchr_inv(a.reserved, 0, sizeof(a.reserved)) ||
	    strnlen(a.name, sizeof(a.name)) == sizeof(a.name))
		return -EINVAL;
	rtnl_lock();
	port = ntzc_port_find(a.name, a.ifindex);
	if (port) {
		err = ntzc_tap_attach(tap, port, &a);
		if (err)
			ntzc_port_put(port);
	}
	rtnl_unlock();
	if (err)
		return err;
	return copy_to_user(arg, &a, sizeof(a)) ? -EFAULT : 0;
}

static long ntzc_ioctl_tap_stats(struct ntzc_tap *tap, void __user *arg)
{
	struct ntzc_tap_stats st = { };

	ntzc_tap_get_stats(tap, &st);
	return copy_to_user(arg, &st, sizeof(st)) ? -EFAULT : 0;
}

static long ntzc_ioctl_tx_setup(struct ntzc_tap *tap, void __user *arg)
{
	struct ntzc_tx_setup setup;
	int err;

	if (copy_from_user(&setup, arg, sizeof(setup)))
		return -EFAULT;
	if (setup.flags || memchr_inv(setup.reserved, 0, sizeof(setup.reserved)))
		return -EINVAL;
	err = ntzc_tx_setup(tap, &setup);
	if (err)
		return err;
	return copy_to_user(arg, &setup, sizeof(setup)) ? -EFAULT : 0;
}

static int ntzc_get_batch(struct ntzc_tx_batch *batch, const void __user *arg)
{
	if (copy_from_user(batch, arg, sizeof(*batch)))
		return -EFAULT;
	if (batch->flags || batch->reserved || !batch->count || batch->count > INT_MAX)
		return -EINVAL;
	return 0;
}

static bool ntzc_tx_may_go(const struct ntzc_tap *tap)
{
	return READ_ONCE(tap->port->gone) || !READ_ONCE(tap->tx_queue->tx_up) ||
	       !READ_ONCE(tap->tx_queue->tx_full);
}

static long ntzc_ioctl_tx_reserve(struct file *file, struct ntzc_tap *tap, void __user *arg)
{
	struct ntzc_desc d[NTZC_TX_BATCH];
	struct ntzc_tx_batch batch;
	unsigned int done = 0, n;
	int err;

	err = ntzc_get_batch(&batch, arg);
	if (err)
		return err;
	if (!ntzc_tap_tx_pool(tap))
		return -ENOTCONN;
	while (done < batch.count) {
		struct ntzc_desc __user *to = u64_to_user_ptr(batch.descs);

		if (READ_ONCE(tap->port->gone))
			return done ?: -ENODEV;
		n = ntzc_tx_reserve(tap, d, min_t(u32, batch.count - done, ARRAY_SIZE(d)));
		if (n && copy_to_user(to + done, d, n * sizeof(d[0]))) {
			ntzc_tx_unreserve(tap, d, n);
			return done ?: -EFAULT;
		}
		done += n;
		if (n)
			continue;
		if (done)
			break;
		if (file->f_flags & O_NONBLOCK)
			return -ENOBUFS;
		if (wait_event_interruptible(tap->tx_queue->tx_wait,
					     READ_ONCE(tap->tx_pool->n_free) ||
					     READ_ONCE(tap->port->gone)))
			return -ERESTARTSYS;
	}
	return done;
}

static long ntzc_ioctl_tx_submit(struct file *file, struct ntzc_tap *tap, void __user *arg)
{
	struct ntzc_desc d[NTZC_TX_BATCH];
	struct ntzc_tx_batch batch;
	unsigned int done = 0, want;
	int n;

	n = ntzc_get_batch(&batch, arg);
	if (n)
		return n;
	while (done < batch.count) {
		const struct ntzc_desc __user *from = u64_to_user_ptr(batch.descs);

		want = min_t(u32, batch.count - done, ARRAY_SIZE(d));
		if (copy_from_user(d, from + done, want * sizeof(d[0])))
			return done ?: -EFAULT;
		n = ntzc_tx_submit(tap, d, want);
		if (n > 0) {
			done += n;
			continue;
		}
		if (done || n != -ENOSPC || file->f_flags & O_NONBLOCK)
			return done ?: n;
		if (wait_event_interruptible(tap->tx_queue->tx_wait, ntzc_tx_may_go(tap)))
			return -ERESTARTSYS;
	}
	return done;
}

static long ntzc_ioctl_tx_drain(struct file *file, struct ntzc_tap *tap)
{
	struct ntzc_queue *q = tap->tx_queue;

	if (ntzc_tx_drained(tap))
		return 0;
	if (file->f_flags & O_NONBLOCK)
		return -EAGAIN;
	/* not after detach: pairs with synchronize_net() there */
	rcu_read_lock();
	if (!READ_ONCE(tap->port->gone))
		tap->port->ops->wake(q);
	rcu_read_unlock();
	return wait_event_interruptible(q->tx_wait, ntzc_tx_drained(tap));
}

static long ntzc_ioctl(struct file *file, unsigned int cmd, unsigned long param)
{
	struct ntzc_tap *tap = file->private_data;
	void __user *arg = (void __user *)param;

	switch (cmd) {
	case NTZC_IOC_QUERY:
		return ntzc_ioctl_query(arg);
	case NTZC_IOC_PORT_INFO:
		return ntzc_ioctl_port_info(arg);
	case NTZC_IOC_PORT_STATS:
		return ntzc_ioctl_port_stats(arg);
	case NTZC_IOC_PORT_CONFIG:
		return ntzc_ioctl_port_config(arg);
	case NTZC_IOC_ATTACH:
		return ntzc_ioctl_attach(tap, arg);
	case NTZC_IOC_TAP_STATS:
	case NTZC_IOC_TX_SETUP:
	case NTZC_IOC_TX_RESERVE:
	case NTZC_IOC_TX_SUBMIT:
	case NTZC_IOC_TX_DRAIN:
		break;
	default:
		return -ENOTTY;
	}
	if (!ntzc_tap_port(tap))
		return -ENOTCONN;
	switch (cmd) {
	case NTZC_IOC_TAP_STATS:
		return ntzc_ioctl_tap_stats(tap, arg);
	case NTZC_IOC_TX_SETUP:
		return ntzc_ioctl_tx_setup(tap, arg);
	case NTZC_IOC_TX_RESERVE:
		return ntzc_ioctl_tx_reserve(file, tap, arg);
	case NTZC_IOC_TX_SUBMIT:
		return ntzc_ioctl_tx_submit(file, tap, arg);
	default:
		return ntzc_ioctl_tx_drain(file, tap);
	}
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
