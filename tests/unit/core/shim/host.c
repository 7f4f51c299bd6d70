// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * In place of module/stack.c and module/sysfs.c, which are all about the host's
 * stack and file system: here the host has no part in a port, and sees none. It
 * may be said to wait for room in a card.
 */
#include "card.h"

void ntzc_stack_init(struct ntzc_port *port)
{
}

void ntzc_stack_copy(struct ntzc_queue *q, struct m_buf **m, unsigned int n,
		     struct list_head *skbs)
{
	shim_bug("a frame is copied for a host that wants none");
}

void ntzc_stack_receive(struct ntzc_queue *q, struct list_head *skbs)
{
	shim_bug("a frame is handed to a host that wants none");
}

void ntzc_stack_completed(struct ntzc_port *port)
{
	struct card *c = ntzc_port_priv(port);

	if (!ntzc_port_host_queue(port)->tx_full)
		shim_bug("a host is woken that sends nothing");
	ntzc_port_host_queue(port)->tx_full = false;
	c->host_room = c->tx_size - c->tx[0].n;
}

void card_host_waits(struct card *c)
{
	c->host_room = -1;
	ntzc_port_host_queue(c->port)->tx_full = true;
}

void ntzc_stack_up(struct ntzc_port *port)
{
}

void ntzc_stack_down(struct ntzc_port *port)
{
}

void ntzc_stack_get_stats(struct ntzc_port *port, struct ntzc_port_stats *st)
{
}

int ntzc_sysfs_create(struct ntzc_port *port)
{
	return 0;
}

void ntzc_sysfs_remove(struct ntzc_port *port)
{
}
