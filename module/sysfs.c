// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A port's files, /sys/class/net/INTERFACE/ntzc/: one value each. They are there
 * while the port is attached. Readers never wait for RTNL, whose holder may be
 * waiting for them: they start over.
 */
#include <linux/capability.h>
#include <linux/device.h>
#include <linux/kstrtox.h>
#include <linux/rtnetlink.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "core.h"

/**
 * struct ntzc_attr - a file that holds a number
 * @attr: the file
 * @get: reads it. Context: process, RTNL held.
 * @set: NTZC_POLICY_* that writing it sets, or 0
 */
struct ntzc_attr {
	struct device_attribute attr;
	u64 (*get)(struct ntzc_port *port);
	u32 set;
};

static const char * const ntzc_stack_names[] = {
	[NTZC_STACK_OFF]	= "off",
	[NTZC_STACK_COPY]	= "copy",
};

/* Take RTNL, which comes back held, and find the port. Return: 0, or what the call is to return. */
static int ntzc_sysfs_begin(struct device *dev, struct ntzc_port **port)
{
	if (!rtnl_trylock())
		return restart_syscall();
	*port = ntzc_port_find_netdev(to_net_dev(dev));
	if (*port)
		return 0;
	rtnl_unlock();
	return -ENODEV;
}

static int ntzc_sysfs_set(struct device *dev, const struct ntzc_port_policy *policy)
{
	struct ntzc_port *port;
	int err;

	if (!capable(CAP_NET_ADMIN))
		return -EPERM;
	err = ntzc_sysfs_begin(dev, &port);
	if (err)
		return err;
	err = ntzc_port_set_policy(port, policy);
	rtnl_unlock();
	return err;
}

static ssize_t ntzc_sysfs_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct ntzc_attr *a = container_of(attr, struct ntzc_attr, attr);
	struct ntzc_port *port;
	u64 value;
	int err;

	err = ntzc_sysfs_begin(dev, &port);
	if (err)
		return err;
	value = a->get(port);
	rtnl_unlock();
	return sysfs_emit(buf, "%llu\n", value);
}

static ssize_t ntzc_sysfs_store(struct device *dev, struct device_attribute *attr,
				const char *buf, size_t len)
{
	const struct ntzc_attr *a = container_of(attr, struct ntzc_attr, attr);
	struct ntzc_port_policy policy = { .set = a->set };
	u32 value;
	int err;

	err = kstrtou32(buf, 0, &value);
	if (err)
		return err;
	policy.quota = value;
	policy.quota_max = value;
	err = ntzc_sysfs_set(dev, &policy);
	return err ?: len;
}

static ssize_t stack_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ntzc_port *port;
	u32 stack;
	int err;

	err = ntzc_sysfs_begin(dev, &port);
	if (err)
		return err;
	stack = READ_ONCE(port->stack);
	rtnl_unlock();
	return sysfs_emit(buf, "%s\n", ntzc_stack_names[stack]);
}

static ssize_t stack_store(struct device *dev, struct device_attribute *attr, const char *buf,
			   size_t len)
{
	struct ntzc_port_policy policy = { .set = NTZC_POLICY_STACK };
	int which = sysfs_match_string(ntzc_stack_names, buf);
	int err;

	if (which < 0)
		return which;
	policy.stack = which;
	err = ntzc_sysfs_set(dev, &policy);
	return err ?: len;
}

static u64 ntzc_get_pool_size(struct ntzc_port *port)
{
	u64 size;

	mutex_lock(&port->lock);
	size = port->rx_pool ? port->rx_pool->size : 0;
	mutex_unlock(&port->lock);
	return size;
}

static u64 ntzc_get_pool_free(struct ntzc_port *port)
{
	unsigned int i;
	u64 n = 0;

	mutex_lock(&port->lock);
	if (port->rx_pool)
		n = READ_ONCE(port->rx_pool->n_free);
	for (i = 0; i < port->max_queues; i++)
		n += ntzc_glance(port->queues[i].n_spare);
	mutex_unlock(&port->lock);
	return n;
}

static u64 ntzc_get_taps(struct ntzc_port *port)
{
	return READ_ONCE(port->n_taps);
}

static u64 ntzc_get_rx_missed(struct ntzc_port *port)
{
	return ntzc_port_missed(port);
}

static u64 ntzc_get_quota(struct ntzc_port *port)
{
	return READ_ONCE(port->quota);
}

static u64 ntzc_get_quota_max(struct ntzc_port *port)
{
	return READ_ONCE(port->quota_max);
}

static struct ntzc_losses ntzc_get_losses(struct ntzc_port *port)
{
	struct ntzc_losses sum;

	ntzc_port_losses(port, &sum);
	return sum;
}

static u64 ntzc_get_lost_ring(struct ntzc_port *port)
{
	return ntzc_get_losses(port).ring;
}

static u64 ntzc_get_lost_quota(struct ntzc_port *port)
{
	return ntzc_get_losses(port).quota;
}

static u64 ntzc_get_lost_pool(struct ntzc_port *port)
{
	return ntzc_get_losses(port).pool;
}

static u64 ntzc_get_filtered(struct ntzc_port *port)
{
	return ntzc_get_losses(port).filtered;
}

#define NTZC_ATTR_RO(_name) \
	static struct ntzc_attr ntzc_attr_##_name = { \
		.attr = __ATTR(_name, 0444, ntzc_sysfs_show, NULL), \
		.get = ntzc_get_##_name, \
	}

#define NTZC_ATTR_RW(_name, _set) \
	static struct ntzc_attr ntzc_attr_##_name = { \
		.attr = __ATTR(_name, 0644, ntzc_sysfs_show, ntzc_sysfs_store), \
		.get = ntzc_get_##_name, \
		.set = _set, \
	}

NTZC_ATTR_RO(pool_size);
NTZC_ATTR_RO(pool_free);
NTZC_ATTR_RO(taps);
NTZC_ATTR_RO(rx_missed);
NTZC_ATTR_RO(lost_ring);
NTZC_ATTR_RO(lost_quota);
NTZC_ATTR_RO(lost_pool);
NTZC_ATTR_RO(filtered);
NTZC_ATTR_RW(quota, NTZC_POLICY_QUOTA);
NTZC_ATTR_RW(quota_max, NTZC_POLICY_QUOTA_MAX);
static DEVICE_ATTR_RW(stack);

static struct attribute *ntzc_sysfs_attrs[] = {
	&ntzc_attr_pool_size.attr.attr,
	&ntzc_attr_pool_free.attr.attr,
	&ntzc_attr_taps.attr.attr,
	&ntzc_attr_rx_missed.attr.attr,
	&ntzc_attr_lost_ring.attr.attr,
	&ntzc_attr_lost_quota.attr.attr,
	&ntzc_attr_lost_pool.attr.attr,
	&ntzc_attr_filtered.attr.attr,
	&ntzc_attr_quota.attr.attr,
	&ntzc_attr_quota_max.attr.attr,
	&dev_attr_stack.attr,
	NULL
};

static const struct attribute_group ntzc_sysfs_group = {
	.name = "ntzc",
	.attrs = ntzc_sysfs_attrs,
};

/**
 * ntzc_sysfs_create() - make the port's files
 * @port: the port, attached; its netdev is registered
 *
 * Context: process, may sleep. Return: 0 or a negative errno.
 */
int ntzc_sysfs_create(struct ntzc_port *port)
{
	return sysfs_create_group(&port->netdev->dev.kobj, &ntzc_sysfs_group);
}

/**
 * ntzc_sysfs_remove() - remove them; when it returns, nobody reads them any more
 * @port: the port, not detached yet
 *
 * Context: process, may sleep.
 */
void ntzc_sysfs_remove(struct ntzc_port *port)
{
	sysfs_remove_group(&port->netdev->dev.kobj, &ntzc_sysfs_group);
}
