// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mapping packet memory into programs. Pages are ordinary refcounted pages
 * that faults insert one by one, so a mapping and all its pieces, copies and
 * moves are the memory manager's business. A mapping holds its file, the file
 * the tap, the tap its pools: no page can go while it is mapped.
 */
#include <linux/fs.h>
#include <linux/mm.h>

#include "core.h"
#include "compat.h"

static const unsigned long ntzc_tx_pgoff = NTZC_MMAP_TX >> PAGE_SHIFT;

static unsigned long ntzc_pool_pages(const struct ntzc_pool *pool)
{
	return ((u64)pool->size << pool->shift) >> PAGE_SHIFT;
}

/* The page at a page offset of a pool's mapping, which is the buffers in order */
static struct page *ntzc_pool_page(const struct ntzc_pool *pool, unsigned long pgoff)
{
	u64 offset = (u64)pgoff << PAGE_SHIFT;
	const struct m_buf *m = &pool->bufs[offset >> pool->shift];

	return virt_to_page(m->head + (offset & (m->size - 1)));
}

/* The pool that a page offset of the file lies in; moves the offset into the pool */
static struct ntzc_pool *ntzc_mmap_pool(const struct ntzc_tap *tap, unsigned long *pgoff)
{
	if (!ntzc_tap_port(tap))
		return NULL;
	if (*pgoff < ntzc_tx_pgoff)
		return tap->rx_pool;
	*pgoff -= ntzc_tx_pgoff;
	return ntzc_tap_tx_pool(tap);
}

static vm_fault_t ntzc_vm_fault(struct vm_fault *vmf)
{
	const struct ntzc_tap *tap = vmf->vma->vm_file->private_data;
	unsigned long pgoff = vmf->pgoff;
	struct ntzc_pool *pool = ntzc_mmap_pool(tap, &pgoff);

	if (!pool || pgoff >= ntzc_pool_pages(pool))
		return VM_FAULT_SIGBUS;
	vmf->page = ntzc_pool_page(pool, pgoff);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct ntzc_vm_ops = {
	.fault = ntzc_vm_fault,
};

/**
 * ntzc_mmap() - map receive or transmit memory, or a part of it
 * @file: a tap
 * @vma: the offset says which memory
 *
 * Return: 0; -ENOTCONN if there is no such memory (yet); -EINVAL for a private
 * mapping or one that does not lie in the memory; -EACCES for an executable
 * one, or a writable one of receive memory.
 */
int ntzc_mmap(struct file *file, struct vm_area_struct *vma)
{
	const struct ntzc_tap *tap = file->private_data;
	unsigned long pgoff = vma->vm_pgoff, pages;
	struct ntzc_pool *pool = ntzc_mmap_pool(tap, &pgoff);

	if (!pool)
		return -ENOTCONN;
	/* not VM_SHARED: the memory manager drops that where the file is read-only */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	pages = ntzc_pool_pages(pool);
	if (pgoff >= pages || vma_pages(vma) > pages - pgoff)
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC || (!pool->tx && vma->vm_flags & VM_WRITE))
		return -EACCES;

	ntzc_vm_flags_clear(vma, VM_MAYEXEC | (pool->tx ? 0 : VM_MAYWRITE));
	/*
	 * VM_IO: nobody may pin the pages (O_DIRECT, vmsplice, io_uring), or
	 * they would see later packets after the tap is closed.
	 */
	ntzc_vm_flags_set(vma, VM_IO | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &ntzc_vm_ops;
	return 0;
}
