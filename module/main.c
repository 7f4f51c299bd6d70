// SPDX-License-Identifier: GPL-2.0-or-later
/* The module's own life: the device node, and the queue that frees pools. */
#include <linux/module.h>

#include "core.h"

/* frees pools whose last reference went where nothing can sleep */
struct workqueue_struct *ntzc_wq;

static int __init ntzc_init(void)
{
	int err;

	ntzc_wq = alloc_workqueue("ntzc", WQ_UNBOUND, 0);
	if (!ntzc_wq)
		return -ENOMEM;
	err = ntzc_chardev_create();
	if (err)
		destroy_workqueue(ntzc_wq);
	return err;
}

static void __exit ntzc_exit(void)
{
	ntzc_chardev_destroy();
	destroy_workqueue(ntzc_wq);	/* runs what is queued */
	rcu_barrier();			/* kfree_rcu() of taps */
}

module_init(ntzc_init);
module_exit(ntzc_exit);
MODULE_DESCRIPTION("NTZC: zero-copy packet tap, core");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
