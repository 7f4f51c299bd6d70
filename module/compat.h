/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Differences between kernels, by features that module/Kbuild looks for in the headers. */
#ifndef NTZC_COMPAT_H
#define NTZC_COMPAT_H

#include <linux/mm.h>
#include <linux/poll.h>
#include <net/busy_poll.h>

/* Poll the NAPI of that number on this processor, once */
static inline void ntzc_napi_busy_loop(unsigned int id)
{
#ifdef CONFIG_NET_RX_BUSY_POLL
	napi_busy_loop(id, NULL, NULL, false, BUSY_POLL_BUDGET);
#endif
}

/* Whether the caller of poll() goes to sleep if nothing is there; 7.x has no name for it */
static inline bool ntzc_poll_waits(const poll_table *wait)
{
#ifdef NTZC_HAVE_POLL_DOES_NOT_WAIT
	return !poll_does_not_wait(wait);
#else
	return wait && wait->_qproc;
#endif
}

#ifdef NTZC_HAVE_VM_FLAGS_SET
#define ntzc_vm_flags_set	vm_flags_set
#define ntzc_vm_flags_clear	vm_flags_clear
#else
static inline void ntzc_vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void ntzc_vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/*
 * Insert a page into a mapping with VM_MIXEDMAP by its number, without a
 * reference of the mapping's own. Return: VM_FAULT_NOPAGE, or an error.
 */
#ifdef NTZC_HAVE_PFN_T
#include <linux/pfn_t.h>

static inline vm_fault_t ntzc_insert_page(struct vm_area_struct *vma, unsigned long addr,
					  struct page *page)
{
	return vmf_insert_mixed(vma, addr, page_to_pfn_t(page));
}
#else
static inline vm_fault_t ntzc_insert_page(struct vm_area_struct *vma, unsigned long addr,
					  struct page *page)
{
	return vmf_insert_mixed(vma, addr, page_to_pfn(page));
}
#endif

#endif /* NTZC_COMPAT_H */
