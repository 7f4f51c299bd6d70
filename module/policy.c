// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the administrator lets a port's users do. Written under port->lock, by
 * callers that hold RTNL; quotas are read under port->lock when a tap attaches,
 * the stack's part by the polls without a lock.
 */
#include "core.h"

/** ntzc_port_get_policy() - tell a port's policy. Context: process, may sleep. */
void ntzc_port_get_policy(struct ntzc_port *port, struct ntzc_port_policy *p)
{
	mutex_lock(&port->lock);
	p->stack = port->stack;
	p->quota = port->quota;
	p->quota_max = port->quota_max;
	mutex_unlock(&port->lock);
}

/**
 * ntzc_port_set_policy() - change a port's policy, all of what is asked or nothing
 * @port: the port
 * @p: &ntzc_port_policy.set says which fields; the others are not looked at
 *
 * Context: process, RTNL held. Return: 0, -EINVAL, or -ENODEV after detach.
 */
int ntzc_port_set_policy(struct ntzc_port *port, const struct ntzc_port_policy *p)
{
	int err = 0;

	if (p->set & ~(NTZC_POLICY_STACK | NTZC_POLICY_QUOTA | NTZC_POLICY_QUOTA_MAX))
		return -EINVAL;
	if (p->set & NTZC_POLICY_STACK && p->stack > NTZC_STACK_COPY)
		return -EINVAL;

	mutex_lock(&port->lock);
	if (port->gone) {
		err = -ENODEV;
		goto unlock;
	}
	if (p->set & NTZC_POLICY_STACK)
		WRITE_ONCE(port->stack, p->stack);
	if (p->set & NTZC_POLICY_QUOTA)
		WRITE_ONCE(port->quota, p->quota);
	if (p->set & NTZC_POLICY_QUOTA_MAX)
		WRITE_ONCE(port->quota_max, p->quota_max);
unlock:
	mutex_unlock(&port->lock);
	return err;
}

/**
 * ntzc_port_quota() - the quota that a tap gets
 * @port: the port
 * @want: what it asked for; 0 for the default
 * @otherwise: the default where the administrator gave none
 *
 * Context: process, port->lock held. Return: frames.
 */
u32 ntzc_port_quota(const struct ntzc_port *port, u32 want, u32 otherwise)
{
	u32 quota = want ?: port->quota ?: otherwise;

	return port->quota_max ? min(quota, port->quota_max) : quota;
}
