// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupts and the polls that they start. With MSI-X there is a vector for
 * each queue as far as they reach (then queues share), and one for all else;
 * with MSI or INTx there is one for everything, and one queue.
 *
 * An interrupt masks itself, the poll unmasks it when it has nothing left to
 * do. Masking is by an explicit write: automatic masking (EIAM) is not to be
 * had everywhere. A handler may find nothing to do: when moderation's timer
 * ends, some cards repeat the last interrupt.
 */
#include <linux/bitfield.h>
#include <linux/interrupt.h>

#include "compat.h"
#include "igb.h"

#define NTZC_IGB_OTHER_CAUSES	(IGB_INT_LSC | IGB_INT_DOUTSYNC | IGB_INT_DRSTA)
#define NTZC_IGB_ALL_CAUSES \
	(NTZC_IGB_OTHER_CAUSES | IGB_INT_TXDW | IGB_INT_RXDW | IGB_INT_RXDMT0 | IGB_INT_RXSEQ)

/* adaptive moderation: frames of one poll cycle, and the interval for such a load */
#define NTZC_IGB_BUSY_FRAMES	64
#define NTZC_IGB_BUSY_USECS	100
#define NTZC_IGB_IDLE_FRAMES	4
#define NTZC_IGB_IDLE_USECS	10

static u32 ntzc_igb_eims_other(const struct ntzc_igb *igb)
{
	return igb->chip->ivar ? BIT(0) : IGB_EICR_OTHER;
}

static u32 ntzc_igb_eims_all(const struct ntzc_igb *igb)
{
	u32 all = ntzc_igb_eims_other(igb), i;

	for (i = 0; i < igb->n_vectors; i++)
		all |= igb->vectors[i].eims;
	return all;
}

/* EITR, datasheet 8.8.12 */
static void ntzc_igb_write_eitr(struct ntzc_igb_vector *vec, u32 usecs)
{
	struct ntzc_igb *igb = vec->igb;
	u32 eitr = FIELD_PREP(IGB_EITR_INTERVAL, usecs);

	vec->usecs = usecs;
	if (igb->chip->eitr_twice)
		eitr |= eitr << 16;
	else
		eitr |= IGB_EITR_CNT_IGNR;
	ntzc_igb_wr(igb, IGB_EITR(vec->eitr), eitr);
}

/**
 * ntzc_igb_irq_moderate() - have all vectors interrupt as seldom as is wanted
 * @igb: the card, started
 *
 * Context: process, RTNL held.
 */
void ntzc_igb_irq_moderate(struct ntzc_igb *igb)
{
	u32 i;

	for (i = 0; i < igb->n_vectors; i++)
		ntzc_igb_write_eitr(&igb->vectors[i], igb->rx_usecs);
}

/* What a poll cycle brought tells how long the next interrupt may wait, if that is wanted */
static void ntzc_igb_adapt(struct ntzc_igb_vector *vec)
{
	u32 usecs = vec->igb->rx_usecs, frames = vec->frames;

	vec->frames = 0;
	if (READ_ONCE(vec->igb->adaptive)) {
		if (frames >= NTZC_IGB_BUSY_FRAMES)
			usecs = NTZC_IGB_BUSY_USECS;
		else if (frames <= NTZC_IGB_IDLE_FRAMES)
			usecs = NTZC_IGB_IDLE_USECS;
	}
	/* also what was decided while the setting changed */
	if (usecs != vec->usecs)
		ntzc_igb_write_eitr(vec, usecs);
}

static void ntzc_igb_unmask(const struct ntzc_igb_vector *vec)
{
	struct ntzc_igb *igb = vec->igb;

	if (igb->irq_mode == NTZC_IGB_MSIX)
		ntzc_igb_wr(igb, IGB_EIMS, vec->eims);
	else
		ntzc_igb_wr(igb, IGB_IMS, NTZC_IGB_ALL_CAUSES);
}

static int ntzc_igb_poll(struct napi_struct *napi, int budget)
{
	struct ntzc_igb_vector *vec = container_of(napi, struct ntzc_igb_vector, napi);
	struct ntzc_igb *igb = vec->igb;
	unsigned int share, done = 0, got, i;
	bool more = false;

	share = DIV_ROUND_UP(budget, vec->n_queues);
	for (i = vec->first; i < igb->n_queues; i += igb->n_vectors) {
		struct ntzc_igb_queue *queue = &igb->queues[i];

		more |= ntzc_igb_tx_clean(queue);
		if (unlikely(!vec->live))
			continue;
		got = ntzc_igb_rx_poll(queue, share);
		more |= got == share;
		done += got;
	}
	vec->frames += done;
	if (more || !budget)
		return budget;
	/* before the poll is complete: from then on another processor may poll */
	if (likely(vec->live))
		ntzc_igb_adapt(vec);
	if (napi_complete_done(napi, done) && likely(vec->live))
		ntzc_igb_unmask(vec);
	return min_t(int, done, budget - 1);
}

static irqreturn_t ntzc_igb_irq_queue(int irq, void *data)
{
	struct ntzc_igb_vector *vec = data;

	ntzc_igb_wr(vec->igb, IGB_EIMC, vec->eims);
	napi_schedule_irqoff(&vec->napi);
	return IRQ_HANDLED;
}

static void ntzc_igb_irq_causes(struct ntzc_igb *igb, u32 icr)
{
	if (icr & (IGB_INT_LSC | IGB_INT_RXSEQ)) {
		WRITE_ONCE(igb->link.moved, true);
		cancel_delayed_work(&igb->watchdog);
		schedule_delayed_work(&igb->watchdog, 0);
	}
	if (icr & IGB_INT_DOUTSYNC)
		igb->dma_errors++;
	if (icr & IGB_INT_DRSTA)
		ntzc_igb_ask_reset(igb, NTZC_IGB_UNASKED);
}

static irqreturn_t ntzc_igb_irq_other(int irq, void *data)
{
	struct ntzc_igb *igb = data;
	u32 icr = ntzc_igb_rd(igb, IGB_ICR);

	if (likely(!READ_ONCE(igb->gone)))
		ntzc_igb_irq_causes(igb, icr);
	return IRQ_HANDLED;
}

/* MSI and INTx; the latter's line may be shared */
static irqreturn_t ntzc_igb_irq_single(int irq, void *data)
{
	struct ntzc_igb *igb = data;
	u32 icr = ntzc_igb_rd(igb, IGB_ICR);
	bool gone = READ_ONCE(igb->gone);
	/* of a card that is gone all bits are ones: it must not answer for its neighbours */
	bool ours = igb->irq_mode == NTZC_IGB_MSI || (!gone && icr & IGB_INT_ASSERTED);

	/* read, a cause is cleared: heed it also if it was masked, and somebody else asserted */
	if (unlikely(gone) || !(icr & (IGB_INT_ASSERTED | NTZC_IGB_ALL_CAUSES)))
		return IRQ_RETVAL(ours);
	ntzc_igb_wr(igb, IGB_IMC, NTZC_IGB_ALL_CAUSES);
	ntzc_igb_irq_causes(igb, icr);
	napi_schedule_irqoff(&igb->vectors[0].napi);
	return IRQ_RETVAL(ours);
}

/**
 * ntzc_igb_irq_alloc() - get vectors, of the wanted kind or the next simpler
 * @igb: the card
 * @mode: the kind
 *
 * Return: 0 or a negative errno.
 */
int ntzc_igb_irq_alloc(struct ntzc_igb *igb, enum ntzc_igb_irq_mode mode)
{
	u32 want = min_t(u32, igb->chip->max_queues + 1, NTZC_IGB_MAX_VECTORS);
	int n;

	igb->irq_mode = mode;
	if (igb->irq_mode == NTZC_IGB_MSIX) {
		n = pci_alloc_irq_vectors(igb->pdev, 2, want, PCI_IRQ_MSIX);
		if (n >= 2) {
			igb->max_vectors = n - 1;
			igb->max_queues = igb->chip->max_queues;
			return 0;
		}
		igb->irq_mode = NTZC_IGB_MSI;
	}
	/* one processor would serve all queues: more than one is of no use */
	igb->max_vectors = 1;
	igb->max_queues = 1;
	if (igb->irq_mode == NTZC_IGB_MSI) {
		if (pci_alloc_irq_vectors(igb->pdev, 1, 1, PCI_IRQ_MSI) == 1)
			return 0;
		igb->irq_mode = NTZC_IGB_INTX;
	}
	n = pci_alloc_irq_vectors(igb->pdev, 1, 1, PCI_IRQ_INTX);
	return min(n, 0);
}

/** ntzc_igb_irq_free() - give the vectors back */
void ntzc_igb_irq_free(struct ntzc_igb *igb)
{
	pci_free_irq_vectors(igb->pdev);
}

/**
 * ntzc_igb_assign_vectors() - divide the queues among the vectors
 * @igb: the card, not open
 */
void ntzc_igb_assign_vectors(struct ntzc_igb *igb)
{
	bool msix = igb->irq_mode == NTZC_IGB_MSIX;
	u32 i;

	igb->n_vectors = clamp(igb->max_vectors, 1U, igb->n_queues);
	for (i = 0; i < igb->n_vectors; i++) {
		struct ntzc_igb_vector *vec = &igb->vectors[i];

		vec->first = i;
		vec->n_queues = 0;
		vec->eitr = msix ? i + 1 : 0;
		vec->eims = msix && igb->chip->ivar ? BIT(i + 1) : 0;
	}
	for (i = 0; i < igb->n_queues; i++) {
		struct ntzc_igb_vector *vec = &igb->vectors[i % igb->n_vectors];

		igb->queues[i].vec = vec;
		igb->queues[i].q->napi = &vec->napi;
		vec->n_queues++;
		if (msix && !igb->chip->ivar)
			vec->eims |= IGB_EICR_RX0 << i | IGB_EICR_TX0 << i;
	}
}

static int ntzc_igb_irq_request_queue(struct ntzc_igb *igb, u32 i)
{
	struct ntzc_igb_vector *vec = &igb->vectors[i];
	int irq = pci_irq_vector(igb->pdev, i + 1);
	int err, cpu;

	snprintf(vec->name, sizeof(vec->name), "%s-%u", igb->netdev->name, i);
	err = request_irq(irq, ntzc_igb_irq_queue, 0, vec->name, vec);
	if (err)
		return err;
	cpu = cpumask_local_spread(i, dev_to_node(&igb->pdev->dev));
	irq_update_affinity_hint(irq, cpumask_of(cpu));
	return 0;
}

static void ntzc_igb_irq_release_queues(struct ntzc_igb *igb, u32 n)
{
	while (n--) {
		int irq = pci_irq_vector(igb->pdev, n + 1);

		irq_update_affinity_hint(irq, NULL);
		free_irq(irq, &igb->vectors[n]);
	}
}

/**
 * ntzc_igb_irq_request() - connect the vectors in use to their handlers
 * @igb: the card, its interrupts masked
 *
 * Context: process, RTNL held. Return: 0 or a negative errno.
 */
int ntzc_igb_irq_request(struct ntzc_igb *igb)
{
	int irq = pci_irq_vector(igb->pdev, 0);
	int err;
	u32 i;

	if (igb->irq_mode != NTZC_IGB_MSIX)
		return request_irq(irq, ntzc_igb_irq_single,
				   igb->irq_mode == NTZC_IGB_INTX ? IRQF_SHARED : 0,
				   igb->netdev->name, igb);
	err = request_irq(irq, ntzc_igb_irq_other, 0, igb->netdev->name, igb);
	if (err)
		return err;
	for (i = 0; i < igb->n_vectors; i++) {
		err = ntzc_igb_irq_request_queue(igb, i);
		if (err)
			goto release;
	}
	return 0;

release:
	ntzc_igb_irq_release_queues(igb, i);
	free_irq(irq, igb);
	return err;
}

/** ntzc_igb_irq_release() - the reverse of ntzc_igb_irq_request() */
void ntzc_igb_irq_release(struct ntzc_igb *igb)
{
	if (igb->irq_mode == NTZC_IGB_MSIX)
		ntzc_igb_irq_release_queues(igb, igb->n_vectors);
	free_irq(pci_irq_vector(igb->pdev, 0), igb);
}

/* IVAR, datasheet 7.3.1.2: a register has queues i and i + 8, receive before transmit */
static void ntzc_igb_program_ivar(struct ntzc_igb *igb)
{
	u32 ivar[8] = { };
	u32 i;

	for (i = 0; i < igb->n_queues; i++) {
		u32 entry = igb->queues[i].vec->eitr | IGB_IVAR_VALID;

		ivar[i % 8] |= (entry | entry << 8) << (i < 8 ? 0 : 16);
	}
	for (i = 0; i < ARRAY_SIZE(ivar); i++)
		ntzc_igb_wr(igb, IGB_IVAR(i), ivar[i]);
	ntzc_igb_wr(igb, IGB_IVAR_MISC, IGB_IVAR_VALID << 8);
}

/* MSIXBM: each vector has a map of causes */
static void ntzc_igb_program_msixbm(struct ntzc_igb *igb)
{
	u32 i;

	if (igb->irq_mode != NTZC_IGB_MSIX) {
		ntzc_igb_wr(igb, IGB_MSIXBM(0), IGB_EICR_RX0 | IGB_EICR_TX0 | IGB_EICR_OTHER);
		return;
	}
	ntzc_igb_wr(igb, IGB_CTRL_EXT, ntzc_igb_rd(igb, IGB_CTRL_EXT) |
		    IGB_CTRL_EXT_PBA_CLR | IGB_CTRL_EXT_IRCA);
	ntzc_igb_wr(igb, IGB_MSIXBM(0), IGB_EICR_OTHER);
	for (i = 0; i < igb->n_vectors; i++)
		ntzc_igb_wr(igb, IGB_MSIXBM(i + 1), igb->vectors[i].eims);
}

/**
 * ntzc_igb_irq_program() - tell the card which cause goes to which vector
 * @igb: the card, just reset
 */
void ntzc_igb_irq_program(struct ntzc_igb *igb)
{
	bool msix = igb->irq_mode == NTZC_IGB_MSIX;

	if (igb->chip->ivar) {
		/* before the rest, which does not stick in the other mode */
		ntzc_igb_wr(igb, IGB_GPIE, IGB_GPIE_NSICR |
			    (msix ? IGB_GPIE_MSIX | IGB_GPIE_PBA : 0));
		ntzc_igb_program_ivar(igb);
	} else {
		ntzc_igb_program_msixbm(igb);
	}
	if (msix)
		ntzc_igb_wr(igb, IGB_EIAC, ntzc_igb_eims_all(igb));
	ntzc_igb_irq_moderate(igb);
}

/** ntzc_igb_irq_on() - unmask all causes that we have a use for */
void ntzc_igb_irq_on(struct ntzc_igb *igb)
{
	if (igb->irq_mode == NTZC_IGB_MSIX) {
		ntzc_igb_wr(igb, IGB_EIMS, ntzc_igb_eims_all(igb));
		ntzc_igb_wr(igb, IGB_IMS, NTZC_IGB_OTHER_CAUSES);
	} else {
		ntzc_igb_wr(igb, IGB_IMS, NTZC_IGB_ALL_CAUSES);
	}
	ntzc_igb_flush(igb);
}

/** ntzc_igb_irq_off() - mask everything */
void ntzc_igb_irq_off(struct ntzc_igb *igb)
{
	ntzc_igb_wr(igb, IGB_IMC, ~0u);
	ntzc_igb_wr(igb, IGB_EIMC, ~0u);
	ntzc_igb_flush(igb);
}

/**
 * ntzc_igb_kick() - have a vector's poll run soon
 * @vec: the vector; nothing happens unless the interface is open
 *
 * Context: any.
 */
void ntzc_igb_kick(struct ntzc_igb_vector *vec)
{
	if (in_hardirq() || irqs_disabled()) {
		napi_schedule(&vec->napi);
		return;
	}
	/* in process context, it is enabling bottom halves that runs the poll */
	local_bh_disable();
	napi_schedule(&vec->napi);
	local_bh_enable();
}

/** ntzc_igb_kick_all() - the same for all vectors */
void ntzc_igb_kick_all(struct ntzc_igb *igb)
{
	u32 i;

	for (i = 0; i < igb->n_vectors; i++)
		ntzc_igb_kick(&igb->vectors[i]);
}

/*
 * All polls exist from probe to remove, so that a kick is harmless at any
 * time; disabled ones ignore it.
 */

/** ntzc_igb_napi_add() - make the polls, disabled */
void ntzc_igb_napi_add(struct ntzc_igb *igb)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(igb->vectors); i++) {
		igb->vectors[i].igb = igb;
		netif_napi_add(igb->netdev, &igb->vectors[i].napi, ntzc_igb_poll);
	}
}

/** ntzc_igb_napi_del() - the reverse */
void ntzc_igb_napi_del(struct ntzc_igb *igb)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(igb->vectors); i++)
		netif_napi_del(&igb->vectors[i].napi);
}

/**
 * ntzc_igb_napi_enable() - let the polls in use run, or wait until none runs
 * @igb: the card
 * @enable: which
 *
 * Context: process, RTNL held.
 */
void ntzc_igb_napi_enable(struct ntzc_igb *igb, bool enable)
{
	u32 i;

	for (i = 0; i < igb->n_vectors; i++)
		if (enable)
			napi_enable(&igb->vectors[i].napi);
		else
			napi_disable(&igb->vectors[i].napi);
}
