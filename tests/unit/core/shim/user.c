// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program's side: its memory, of which a part can be missing, and its file,
 * a tap, with the system calls that it makes of it.
 */
#include <stdio.h>

#include "shim.h"
#include "core.h"

static struct {
	const u8 *fault_at;	/* from here on, for so long */
	size_t fault_len;
	u64 denied;		/* capabilities, a bit each */
} user;

static const struct file_operations *fops;

/* ---- its memory ---- */

void shim_fault_at(const void *p, size_t len)
{
	user.fault_at = p;
	user.fault_len = p ? len : 0;
}

void shim_deny(int cap, bool deny)
{
	user.denied = deny ? user.denied | 1ull << cap : user.denied & ~(1ull << cap);
}

bool capable(int cap)
{
	return !(user.denied >> cap & 1);
}

/* How much of it is there */
static size_t reachable(const void *p, size_t n)
{
	const u8 *start = p;

	shim_might_sleep("a copy from or to a program");
	if (!p)
		return 0;
	if (!user.fault_len || start >= user.fault_at + user.fault_len || start + n <= user.fault_at)
		return n;
	return start < user.fault_at ? user.fault_at - start : 0;
}

unsigned long copy_from_user(void *to, const void *from, unsigned long n)
{
	size_t good = reachable(from, n);

	if (good)
		memcpy(to, from, good);
	memset(to + good, 0, n - good);
	return n - good;
}

unsigned long copy_to_user(void *to, const void *from, unsigned long n)
{
	size_t good = reachable(to, n);

	if (good)
		memcpy(to, from, good);
	if (good < n)
		shim_run_beside();
	return n - good;
}

size_t copy_to_iter(const void *from, size_t n, struct iov_iter *it)
{
	size_t good = reachable(it->base, min(n, it->count));

	if (good)
		memcpy(it->base, from, good);
	it->base += good;
	it->count -= good;
	return good;
}

size_t copy_from_iter(void *to, size_t n, struct iov_iter *it)
{
	size_t good = reachable(it->base, min(n, it->count));

	if (good)
		memcpy(to, it->base, good);
	it->base += good;
	it->count -= good;
	return good;
}

/* ---- its file ---- */

int misc_register(struct miscdevice *misc)
{
	fops = misc->fops;
	return 0;
}

void misc_deregister(struct miscdevice *misc)
{
	(void)misc;
	fops = NULL;
}

struct file *file_open(int *err)
{
	struct file *file = calloc(1, sizeof(*file));

	file->f_mode = FMODE_READ | FMODE_WRITE;
	if (!fops)
		ntzc_chardev_create();
	file->f_flags = O_NONBLOCK;
	*err = fops->open(NULL, file);
	if (!*err)
		return file;
	free(file);
	return NULL;
}

void file_close(struct file *file)
{
	fops->release(NULL, file);
	free(file);
}

void file_set_blocking(struct file *file, bool blocking)
{
	file->f_flags = blocking ? 0 : O_NONBLOCK;
}

struct ntzc_tap *file_tap(struct file *file)
{
	return file->private_data;
}

int64_t file_read(struct file *file, void *to, size_t n)
{
	struct kiocb iocb = { .ki_filp = file };
	struct iov_iter it = { .base = to, .count = n };

	return fops->read_iter(&iocb, &it);
}

int64_t file_write(struct file *file, const void *from, size_t n)
{
	struct kiocb iocb = { .ki_filp = file };
	struct iov_iter it = { .base = (u8 *)from, .count = n };

	return fops->write_iter(&iocb, &it);
}

int64_t file_ioctl(struct file *file, uint32_t cmd, void *arg)
{
	/* as vfs_ioctl() has it */
	int error = fops->unlocked_ioctl(file, cmd, (unsigned long)arg);

	return error;
}

uint32_t file_poll(struct file *file, uint32_t wants, bool waits)
{
	poll_table wait = { .wants = wants, ._qproc = waits };

	return fops->poll(file, &wait);
}

vm_fault_t vmf_insert_mixed(struct vm_area_struct *vma, unsigned long addr, unsigned long pfn)
{
	unsigned long at = (addr - vma->vm_start) >> PAGE_SHIFT;
	struct page *page = (struct page *)pfn;

	shim_might_sleep("vmf_insert_mixed");
	if (shim_fails(0))
		return VM_FAULT_OOM;
	if (!(vma->vm_flags & VM_MIXEDMAP))
		shim_bug("a page inserted where only counted ones may be");
	else if (addr < vma->vm_start || at >= vma_pages(vma))
		shim_bug("a page inserted outside of the mapping");
	else if (vma->inserted[at] && vma->inserted[at] != page)
		shim_bug("a fault finds another page than was inserted");
	else
		vma->inserted[at] = page;
	return VM_FAULT_NOPAGE;
}

static int map(struct file *file, struct vm_area_struct *vma)
{
	unsigned long i;
	int err;

	/* what is refused for its length gets no table */
	vma->vm_file = file;
	vma->inserted = calloc(min(vma_pages(vma), 1ul << 20), sizeof(struct page *));
	err = fops->mmap(file, vma);
	for (i = 0; !err && i < vma_pages(vma); i++)
		if (!vma->inserted[i])
			shim_bug("page %lu of the mapping was not inserted", i);
	return err;
}

int file_mmap(struct file *file, uint64_t offset, uint64_t len, uint64_t flags, uint64_t *flags_out)
{
	struct vm_area_struct vma = {
		.vm_end = len, .vm_pgoff = offset >> PAGE_SHIFT, .vm_flags = flags,
	};
	int err = map(file, &vma);

	*flags_out = vma.vm_flags;
	free(vma.inserted);
	return err;
}

/* A page of a mapping: that which was inserted, and which a fault finds again */
static u8 *page_at(struct vm_area_struct *vma, u64 offset)
{
	struct vm_fault fault = {
		.vma = vma, .pgoff = vma->vm_pgoff + (offset >> PAGE_SHIFT), .address = offset,
	};

	if (offset >= vma->vm_end || vma->vm_ops->fault(&fault) != VM_FAULT_NOPAGE)
		return NULL;
	return page_address(vma->inserted[offset >> PAGE_SHIFT]);
}

static int map_all(struct file *file, struct vm_area_struct *vma, u64 offset, u64 len, bool write)
{
	*vma = (struct vm_area_struct){
		.vm_flags = VM_READ | VM_MAYREAD | VM_SHARED | VM_MAYSHARE | (write ? VM_WRITE : 0),
		.vm_pgoff = offset >> PAGE_SHIFT, .vm_end = len,
	};
	return map(file, vma);
}

/* One page's part at a time, each found by a fault */
static bool copy(struct file *file, bool tx, u32 offset, u8 *bytes, u32 len, bool write)
{
	const struct ntzc_tap *tap = file->private_data;
	const struct ntzc_pool *pool = tx ? tap->tx_pool : tap->rx_pool;
	struct vm_area_struct vma;
	bool there;

	there = !map_all(file, &vma, tx ? NTZC_MMAP_TX : NTZC_MMAP_RX,
			 pool ? (u64)pool->size << pool->shift : PAGE_SIZE, write);
	while (there && len) {
		u32 in = offset & (PAGE_SIZE - 1), run = min(len, (u32)PAGE_SIZE - in);
		u8 *at = page_at(&vma, offset);

		there = at;
		if (!there)
			break;
		memcpy(write ? at + in : bytes, write ? bytes : at + in, run);
		offset += run;
		bytes += run;
		len -= run;
	}
	free(vma.inserted);
	return there;
}

bool file_peek(struct file *file, bool tx, uint32_t offset, uint8_t *bytes, uint32_t len)
{
	return copy(file, tx, offset, bytes, len, false);
}

bool file_poke(struct file *file, uint32_t offset, const uint8_t *bytes, uint32_t len)
{
	return copy(file, true, offset, (u8 *)bytes, len, true);
}

void *file_map_rings(struct file *file, uint64_t offset, uint64_t len)
{
	struct vm_area_struct vma;
	u8 *start = NULL, *page;
	u64 at;

	if (map_all(file, &vma, offset, len, true))
		len = 0;
	for (at = 0; at < len; at += PAGE_SIZE) {
		page = page_at(&vma, at);
		start = start ?: page;
		if (!page || page != start + at)
			shim_bug("page %llu of the rings is not where it belongs", at >> PAGE_SHIFT);
	}
	free(vma.inserted);
	return start;
}

/* ---- what it cannot see: for the tests to compare ---- */

bool tap_queue_state(const struct ntzc_tap *tap, uint32_t q, struct tap_queue_state *s)
{
	const struct ntzc_chan *c = q < tap->n_chans ? tap->chans[q] : NULL;

	if (!c)
		return false;
	*s = (struct tap_queue_state){
		.received = c->received, .received_bytes = c->received_bytes,
		.lost_ring = c->lost_ring, .lost_quota = c->lost_quota, .lost_pool = c->lost_pool,
		.filtered = c->filtered, .bad_release = c->bad_release, .prod = c->prod,
		.release_cons = c->release_cons, .held = c->prod - c->released,
	};
	return true;
}

bool tap_door_state(const struct ntzc_tap *tap, struct tap_door_state *s)
{
	const struct ntzc_tx_door *door = &tap->tx_door;

	*s = (struct tap_door_state){
		.tx_cons = door->tx_cons, .free_prod = door->free_prod, .bad_submit = door->bad_submit,
	};
	return door->rings;
}

void tap_hide_received(struct ntzc_tap *tap, uint32_t q, int32_t n)
{
	tap->chans[q]->prod -= n;
}

uint32_t tap_marks(const struct ntzc_tap *tap, bool tx, uint32_t *handles, uint32_t max)
{
	const struct ntzc_pool *pool = tx ? tap->tx_pool : tap->rx_pool;
	const u32 *held = tx ? tap->tx_held : tap->rx_held;
	u32 i, n = 0;

	for (i = 0; pool && i < pool->size && n < max; i++) {
		if (held[i] == NTZC_MARK_NONE)
			continue;
		handles[n] = pool->bufs[i].desc.handle;
		if (!ntzc_tap_held(pool, held, handles[n]))
			shim_bug("the mark of %#x is of another use of it", handles[n]);
		n++;
	}
	return n;
}

void tap_sleep(struct ntzc_tap *tap)
{
	tap->rx_wait.sleepers = 1;
	tap->rx_wait.wakeups = 0;
}

bool tap_woken(struct ntzc_tap *tap)
{
	return tap->rx_wait.wakeups;
}

void tap_sleep_tx(struct ntzc_tap *tap)
{
	tap->targets[0].queue->tx_wait.sleepers = 1;
	tap->targets[0].queue->tx_wait.wakeups = 0;
}

bool tap_woken_tx(struct ntzc_tap *tap)
{
	return tap->targets[0].queue->tx_wait.wakeups;
}

void tap_sleep_drain(struct ntzc_tap *tap)
{
	tap->tx_pool->idle_wait.sleepers = 1;
	tap->tx_pool->idle_wait.wakeups = 0;
}

bool tap_woken_drain(struct ntzc_tap *tap)
{
	return tap->tx_pool->idle_wait.wakeups;
}
