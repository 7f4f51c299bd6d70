// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What all taps of a port lost together, those that are gone included: for the
 * administrator, who sees cards and not taps. port->lock guards the sums.
 */
#include <linux/module.h>

#include "core.h"

static void ntzc_losses_add(struct ntzc_losses *sum, const struct ntzc_tap *tap)
{
	unsigned int i;

	for (i = 0; i < tap->n_chans; i++) {
		const struct ntzc_chan *c = tap->chans[i];

		if (!c)
			continue;
		sum->ring += ntzc_glance(c->lost_ring);
		sum->quota += ntzc_glance(c->lost_quota);
		sum->pool += ntzc_glance(c->lost_pool);
		sum->filtered += ntzc_glance(c->filtered);
	}
}

/**
 * ntzc_losses_keep() - remember what a tap lost that is going
 * @tap: the tap; no poll knows it any more, and it is still among the port's
 *
 * Context: process, port->lock held.
 */
void ntzc_losses_keep(const struct ntzc_tap *tap)
{
	ntzc_losses_add(&tap->port->losses, tap);
}

/**
 * ntzc_port_losses() - add up what the port's taps lost
 * @port: the port
 * @sum: filled in
 *
 * Context: process, may sleep.
 */
void ntzc_port_losses(struct ntzc_port *port, struct ntzc_losses *sum)
{
	const struct ntzc_tap *tap;

	mutex_lock(&port->lock);
	*sum = port->losses;
	list_for_each_entry(tap, &port->taps, link)
		ntzc_losses_add(sum, tap);
	mutex_unlock(&port->lock);
}
EXPORT_SYMBOL_GPL(ntzc_port_losses);
