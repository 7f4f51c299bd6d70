// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mapping packet memory into programs. All pages are inserted at once, so that
 * no frame costs a fault; the fault handler is for those that the program had
 * dropped. A mapping and all its pieces, copies and moves are the memory manager's
 * business. Each holds the file, the file the tap, the tap its pools: no page
 * can go while it is mapped, and nobody can keep one for longer.
 *
 * That last is why pages are inserted as numbers, and not counted one by one.
 * VM_IO alone keeps pages only from those who look at the mapping first:
 * get_user_pages_fast(), and with it vmsplice() and direct I/O, looks at page
 * tables alone, and turns back at such entries. VM_PFNMAP would do that, too,
 * but then other drivers may take the numbers and keep them.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "core.h"
#include "compat.h"

/* What a page offset of the file lies in */
struct ntzc_area {
	const struct ntzc_pool *pool;	/* packet memory, or */
	void *rings;			/* memory from vmalloc() */
	unsigned long pages;
	bool writable;
};

static void ntzc_area_pool(struct ntzc_area *area, const struct ntzc_pool *pool)
{
	area->pool = pool;
	area->pages = ((u64)pool->size << pool->shift) >> PAGE_SHIFT;
	area->writable = pool->tx;
}

static void ntzc_area_rings(struct ntzc_area *area, void *rings, size_t bytes)
{
	area->rings = rings;
	area->pages = bytes >> PAGE_SHIFT;
	area->writable = true;
}

static void ntzc_area_rx_rings(struct ntzc_area *area, const struct ntzc_tap *tap, u64 n)
{
	const struct ntzc_chan *c = NULL;

	if (n < tap->n_chans)
		c = tap->chans[array_index_nospec(n, tap->n_chans)];
	if (c)
		ntzc_area_rings(area, c->rings, ntzc_chan_bytes(c));
}

/*
 * Find the area that a page offset of the file lies in, and make the offset
 * one in it. Return: 0; -ENOTCONN if it is not there yet, -EINVAL if it never is.
 */
static int ntzc_area_find(const struct ntzc_tap *tap, unsigned long *pgoff,
			  struct ntzc_area *area)
{
	u64 offset = (u64)*pgoff << PAGE_SHIFT, at;
	const struct ntzc_pool *tx;

	*area = (struct ntzc_area){ };
	if (!ntzc_tap_port(tap))
		return -ENOTCONN;
	tx = ntzc_tap_tx_pool(tap);
	if (offset < NTZC_MMAP_TX) {
		at = offset;
		ntzc_area_pool(area, tap->rx_pool);
	} else if (offset < NTZC_MMAP_RX_RINGS) {
		at = offset - NTZC_MMAP_TX;
		if (!tx)
			return -ENOTCONN;
		ntzc_area_pool(area, tx);
	} else if (offset < NTZC_MMAP_TX_RINGS) {
		at = offset - NTZC_MMAP_RX_RINGS;
		ntzc_area_rx_rings(area, tap, at / NTZC_MMAP_RX_RINGS_STEP);
		at %= NTZC_MMAP_RX_RINGS_STEP;
	} else {
		at = offset - NTZC_MMAP_TX_RINGS;
		if (!tx)
			return -ENOTCONN;
		/* the rings were set before the memory */
		if (tap->tx_door.rings)
			ntzc_area_rings(area, tap->tx_door.rings, tap->tx_door.bytes);
	}
	*pgoff = at >> PAGE_SHIFT;
	return area->pages ? 0 : -EINVAL;
}

static struct page *ntzc_area_page(const struct ntzc_area *area, unsigned long pgoff)
{
	u64 offset = (u64)pgoff << PAGE_SHIFT;
	const struct m_buf *m;

	if (!area->pool)
		return vmalloc_to_page(area->rings + offset);
	/* packet memory is mapped as its buffers follow one another */
	m = &area->pool->bufs[offset >> area->pool->shift];
	return virt_to_page(m->head + (offset & (m->size - 1)));
}

static vm_fault_t ntzc_vm_fault(struct vm_fault *vmf)
{
	const struct ntzc_tap *tap = vmf->vma->vm_file->private_data;
	unsigned long pgoff = vmf->pgoff;
	struct ntzc_area area;

	if (ntzc_area_find(tap, &pgoff, &area) || pgoff >= area.pages)
		return VM_FAULT_SIGBUS;
	return ntzc_insert_page(vmf->vma, vmf->address, ntzc_area_page(&area, pgoff));
}

static const struct vm_operations_struct ntzc_vm_ops = {
	.fault = ntzc_vm_fault,
};

static int ntzc_mmap_fill(struct vm_area_struct *vma, const struct ntzc_area *area,
			  unsigned long pgoff)
{
	unsigned long addr;

	for (addr = vma->vm_start; addr < vma->vm_end; addr += PAGE_SIZE) {
		/* who is killed is told nothing: any error will do */
		if (fatal_signal_pending(current))
			return -ENOMEM;
		/* what was inserted before an error goes with the mapping */
		if (ntzc_insert_page(vma, addr, ntzc_area_page(area, pgoff++)) & VM_FAULT_ERROR)
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

/**
 * ntzc_mmap() - map packet memory or rings, or a part of them
 * @file: a tap
 * @vma: the offset says what
 *
 * Return: 0; -ENOTCONN if there is no such memory (yet); -EINVAL for a private
 * mapping or one that does not lie in the memory; -EACCES for an executable
 * one, or a writable one of receive memory; -ENOMEM.
 */
int ntzc_mmap(struct file *file, struct vm_area_struct *vma)
{
	const struct ntzc_tap *tap = file->private_data;
	unsigned long pgoff = vma->vm_pgoff;
	struct ntzc_area area;
	int err;

	err = ntzc_area_find(tap, &pgoff, &area);
	if (err)
		return err;
	/* not VM_SHARED: the memory manager drops that where the file is read-only */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (pgoff >= area.pages || vma_pages(vma) > area.pages - pgoff)
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC || (!area.writable && vma->vm_flags & VM_WRITE))
		return -EACCES;

	ntzc_vm_flags_clear(vma, VM_MAYEXEC | (area.writable ? 0 : VM_MAYWRITE));
	/* VM_IO: nobody may pin the pages, or they would see later packets after the tap's end */
	ntzc_vm_flags_set(vma, VM_IO | VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &ntzc_vm_ops;
	return ntzc_mmap_fill(vma, &area, pgoff);
}
