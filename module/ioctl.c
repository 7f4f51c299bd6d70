// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of /dev/ntzc: each argument is copied once and checked here, and
 * only the copy is used. What the commands mean is in tap.c, hold.c, filter.c,
 * tx.c, tx_setup.c, port.c and policy.c.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/rtnetlink.h>
#include <linux/uaccess.h>

#include "core.h"

static long ntzc_ioctl_query(void __user *arg)
{
	struct ntzc_query query = {
		.abi_version = NTZC_ABI_VERSION,
		.desc_size = sizeof(struct ntzc_desc),
		.features = NTZC_FEATURE_RX | NTZC_FEATURE_TX | NTZC_FEATURE_FORWARD |
			    NTZC_FEATURE_RINGS | NTZC_FEATURE_FILTER | NTZC_FEATURE_FANOUT |
			    NTZC_FEATURE_TARGETS | NTZC_FEATURE_STACK | NTZC_FEATURE_BUSY_POLL,
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

static long ntzc_ioctl_port_policy(void __user *arg)
{
	struct ntzc_port_policy policy, out = { };
	struct ntzc_port *port;
	int err = -ENODEV;

	if (copy_from_user(&policy, arg, sizeof(policy)))
		return -EFAULT;
	if (policy.set && !capable(CAP_NET_ADMIN))
		return -EPERM;
	if (policy.reserved0 || memchr_inv(policy.reserved, 0, sizeof(policy.reserved)))
		return -EINVAL;
	rtnl_lock();
	port = ntzc_port_find_id(policy.id, true);
	if (port) {
		err = ntzc_port_set_policy(port, &policy);
		out.id = policy.id;
		ntzc_port_get_policy(port, &out);
		ntzc_port_put(port);
	}
	rtnl_unlock();
	if (err)
		return err;
	return copy_to_user(arg, &out, sizeof(out)) ? -EFAULT : 0;
}

static long ntzc_ioctl_attach(struct ntzc_tap *tap, void __user *arg)
{
	struct ntzc_attach a;
	int err;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.flags & ~(NTZC_ATTACH_PROMISC | NTZC_ATTACH_HOST) ||
	    memchr_inv(a.reserved, 0, sizeof(a.reserved)) ||
	    strnlen(a.name, sizeof(a.name)) == sizeof(a.name))
		return -EINVAL;
	err = ntzc_tap_attach(tap, &a);
	if (err)
		return err;
	return copy_to_user(arg, &a, sizeof(a)) ? -EFAULT : 0;
}

static long ntzc_ioctl_tap_stats(struct ntzc_tap *tap, void __user *arg)
{
	struct ntzc_tap_stats st = { };

	ntzc_tap_reclaim(tap);
	rtnl_lock();
	ntzc_tap_get_stats(tap, &st);
	rtnl_unlock();
	return copy_to_user(arg, &st, sizeof(st)) ? -EFAULT : 0;
}

static long ntzc_ioctl_tap_info(void __user *arg)
{
	struct ntzc_tap_info info, out = { };
	struct ntzc_port *port;
	int err = -ENODEV;

	if (!capable(CAP_NET_ADMIN))
		return -EPERM;
	if (copy_from_user(&info, arg, sizeof(info)))
		return -EFAULT;
	if (memchr_inv(info.reserved, 0, sizeof(info.reserved)))
		return -EINVAL;
	out.port_id = info.port_id;
	out.tap_id = info.tap_id;
	rtnl_lock();
	port = ntzc_port_find_id(info.port_id, true);
	if (port) {
		err = ntzc_tap_get_info(port, &out);
		ntzc_port_put(port);
	}
	rtnl_unlock();
	if (err)
		return err;
	return copy_to_user(arg, &out, sizeof(out)) ? -EFAULT : 0;
}

static long ntzc_ioctl_filter(struct ntzc_tap *tap, const void __user *arg)
{
	struct ntzc_filter filter;

	if (copy_from_user(&filter, arg, sizeof(filter)))
		return -EFAULT;
	if (filter.flags || memchr_inv(filter.reserved, 0, sizeof(filter.reserved)))
		return -EINVAL;
	return ntzc_filter_set(tap, &filter);
}

static long ntzc_ioctl_tx_target(struct ntzc_tap *tap, void __user *arg)
{
	struct ntzc_tx_target target;
	int err;

	if (copy_from_user(&target, arg, sizeof(target)))
		return -EFAULT;
	if (target.flags || memchr_inv(target.reserved, 0, sizeof(target.reserved)) ||
	    strnlen(target.name, sizeof(target.name)) == sizeof(target.name))
		return -EINVAL;
	err = ntzc_tx_add_target(tap, &target);
	if (err)
		return err;
	return copy_to_user(arg, &target, sizeof(target)) ? -EFAULT : 0;
}

static long ntzc_ioctl_kick(struct ntzc_tap *tap)
{
	int err = 0;

	ntzc_tap_reclaim(tap);
	/* the rings come with the memory, or not at all */
	if (ntzc_tap_tx_pool(tap) && tap->tx_door.rings)
		err = ntzc_tx_door_empty(tap);
	/* when there is room in the card's ring, its completions have this looked at again */
	return err == -ENOSPC || err == -EBUSY ? 0 : err;
}

static long ntzc_ioctl_tx_setup(struct ntzc_tap *tap, void __user *arg)
{
	struct ntzc_tx_setup setup;
	int err;

	if (copy_from_user(&setup, arg, sizeof(setup)))
		return -EFAULT;
	if (setup.flags & ~NTZC_TX_RINGS || memchr_inv(setup.reserved, 0, sizeof(setup.reserved)))
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

static bool ntzc_tx_may_go(const struct ntzc_queue *q)
{
	return READ_ONCE(q->port->gone) || !READ_ONCE(q->tx_up) || !READ_ONCE(q->tx_full);
}

static long ntzc_ioctl_tx_reserve(struct file *file, struct ntzc_tap *tap, void __user *arg)
{
	struct ntzc_desc d[NTZC_TX_BATCH] __uninitialized;
	struct ntzc_tx_batch batch;
	unsigned int n;
	long done = 0;
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
		if (wait_event_interruptible(tap->targets[0].queue->tx_wait,
					     READ_ONCE(tap->tx_pool->n_free) ||
					     READ_ONCE(tap->port->gone)))
			return -ERESTARTSYS;
	}
	return done;
}

static long ntzc_ioctl_tx_submit(struct file *file, struct ntzc_tap *tap, void __user *arg)
{
	struct ntzc_desc d[NTZC_TX_BATCH] __uninitialized;
	struct ntzc_tx_batch batch;
	unsigned int want;
	long done = 0;
	struct ntzc_queue *q;
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
		/* it was found good, or the error were another */
		q = ntzc_tx_target(tap, d[0].queue)->queue;
		if (wait_event_interruptible(q->tx_wait, ntzc_tx_may_go(q)))
			return -ERESTARTSYS;
	}
	return done;
}

static long ntzc_ioctl_tx_drain(struct file *file, struct ntzc_tap *tap)
{
	unsigned int i, n;

	if (ntzc_tx_drained(tap))
		return 0;
	if (file->f_flags & O_NONBLOCK)
		return -EAGAIN;
	/* pairs with the release in ntzc_tx_new_target() */
	n = smp_load_acquire(&tap->n_targets);
	for (i = 0; i < n; i++) {
		struct ntzc_queue *q = tap->targets[i].queue;

		/* not after detach: pairs with synchronize_net() there */
		rcu_read_lock();
		if (!READ_ONCE(q->port->gone))
			q->port->ops->wake(q);
		rcu_read_unlock();
	}
	return wait_event_interruptible(tap->tx_pool->idle_wait, ntzc_tx_drained(tap));
}

static long ntzc_ioctl_attached(struct file *file, unsigned int cmd, void __user *arg)
{
	struct ntzc_tap *tap = file->private_data;

	switch (cmd) {
	case NTZC_IOC_TAP_STATS:
		return ntzc_ioctl_tap_stats(tap, arg);
	case NTZC_IOC_TX_SETUP:
		return ntzc_ioctl_tx_setup(tap, arg);
	case NTZC_IOC_TX_RESERVE:
		return ntzc_ioctl_tx_reserve(file, tap, arg);
	case NTZC_IOC_TX_SUBMIT:
		return ntzc_ioctl_tx_submit(file, tap, arg);
	case NTZC_IOC_TX_DRAIN:
		return ntzc_ioctl_tx_drain(file, tap);
	case NTZC_IOC_TX_TARGET:
		return ntzc_ioctl_tx_target(tap, arg);
	default:
		return ntzc_ioctl_kick(tap);
	}
}

/* As write() does, they need a file that is open for writing */
static bool ntzc_ioctl_sends(unsigned int cmd)
{
	return cmd == NTZC_IOC_TX_SETUP || cmd == NTZC_IOC_TX_RESERVE ||
	       cmd == NTZC_IOC_TX_SUBMIT || cmd == NTZC_IOC_TX_TARGET;
}

/**
 * ntzc_ioctl() - the commands of ntzc.h
 * @file: a tap
 * @cmd: the command
 * @param: address of its argument
 *
 * Return: as ntzc.h says.
 */
long ntzc_ioctl(struct file *file, unsigned int cmd, unsigned long param)
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
	case NTZC_IOC_PORT_POLICY:
		return ntzc_ioctl_port_policy(arg);
	case NTZC_IOC_TAP_INFO:
		return ntzc_ioctl_tap_info(arg);
	case NTZC_IOC_ATTACH:
		return ntzc_ioctl_attach(tap, arg);
	case NTZC_IOC_FILTER:
		return ntzc_ioctl_filter(tap, arg);
	case NTZC_IOC_TAP_STATS:
	case NTZC_IOC_TX_SETUP:
	case NTZC_IOC_TX_RESERVE:
	case NTZC_IOC_TX_SUBMIT:
	case NTZC_IOC_TX_DRAIN:
	case NTZC_IOC_TX_TARGET:
	case NTZC_IOC_KICK:
		if (!ntzc_tap_port(tap))
			return -ENOTCONN;
		if (ntzc_ioctl_sends(cmd) && !(file->f_mode & FMODE_WRITE))
			return -EBADF;
		return ntzc_ioctl_attached(file, cmd, arg);
	default:
		return -ENOTTY;
	}
}
