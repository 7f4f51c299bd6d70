// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel does for anybody: promiscuous cards, tables of ids, work for later, the time. */
#include "shim.h"

static struct {
	struct work_struct *work;
	struct idr *idrs;
	u64 now;
} services;

int dev_set_promiscuity(struct net_device *dev, int inc)
{
	if (!shim_rtnl_held())
		shim_bug("promiscuity changed without RTNL");
	dev->promiscuity += inc;
	if (dev->promiscuity < 0)
		shim_bug("promiscuity below zero");
	return 0;
}

static void idr_note(struct idr *idr)
{
	if (idr->used)
		return;
	idr->used = true;
	idr->link = services.idrs;
	services.idrs = idr;
}

static void idr_check(struct idr *idr)
{
	if (!shim_rtnl_held())
		shim_bug("ports looked up without RTNL");
	idr_note(idr);
}

int ida_alloc(struct ida *ida, gfp_t gfp)
{
	unsigned int id;

	idr_note(&ida->idr);
	if (gfp & __GFP_RECLAIM)
		shim_might_sleep("ida_alloc");
	if (shim_fails(gfp))
		return -ENOMEM;
	for (id = 0; id < SHIM_IDS; id++) {
		if (ida->idr.of[id])
			continue;
		ida->idr.of[id] = ida;
		return id;
	}
	return -ENOSPC;
}

void ida_free(struct ida *ida, unsigned int id)
{
	if (id >= SHIM_IDS || !ida->idr.of[id])
		shim_bug("id %u freed and not used", id);
	else
		ida->idr.of[id] = NULL;
}

int idr_alloc_cyclic(struct idr *idr, void *p, int start, int end, gfp_t gfp)
{
	unsigned int i, id;

	idr_check(idr);
	if (start || end)
		shim_bug("the stand-in knows whole tables only");
	if (shim_fails(gfp))
		return -ENOMEM;
	for (i = 0; i < SHIM_IDS; i++) {
		id = (idr->next + i) % SHIM_IDS;
		if (idr->of[id])
			continue;
		idr->of[id] = p;
		idr->next = id + 1;
		return id;
	}
	return -ENOSPC;
}

void *idr_find(struct idr *idr, unsigned long id)
{
	idr_check(idr);
	return id < SHIM_IDS ? idr->of[id] : NULL;
}

void *idr_get_next(struct idr *idr, int *id)
{
	idr_check(idr);
	for (; *id < SHIM_IDS; ++*id)
		if (idr->of[*id])
			return idr->of[*id];
	return NULL;
}

void idr_remove(struct idr *idr, unsigned long id)
{
	idr_check(idr);
	if (id >= SHIM_IDS || !idr->of[id])
		shim_bug("id %lu removed and not there", id);
	else
		idr->of[id] = NULL;
}

bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	struct work_struct **at = &services.work;

	(void)wq;
	if (work->pending)
		return false;
	while (*at)
		at = &(*at)->next;
	work->pending = true;
	work->next = NULL;
	*at = work;
	return true;
}

void shim_run_work(void)
{
	while (services.work) {
		struct work_struct *work = services.work;

		services.work = work->next;
		work->pending = false;
		work->run(work);
	}
}

bool shim_work_within(const char *start, const char *end)
{
	const struct work_struct *w;

	for (w = services.work; w; w = w->next)
		if ((const char *)w >= start && (const char *)w < end)
			return true;
	return false;
}

u64 ktime_get_ns(void)
{
	services.now += 1000;
	return services.now;
}

void shim_get_services(struct shim_live *live)
{
	const struct work_struct *w;
	const struct idr *idr;
	unsigned int id;

	for (idr = services.idrs; idr; idr = idr->link)
		for (id = 0; id < SHIM_IDS; id++)
			live->ids += !!idr->of[id];
	for (w = services.work; w; w = w->next)
		live->work++;
}

void shim_reset_services(void)
{
	struct idr *idr;

	for (idr = services.idrs; idr; idr = idr->link)
		*idr = (struct idr){ .link = idr->link };
	memset(&services, 0, sizeof(services));
	services.now = 1000000000ull;
}
