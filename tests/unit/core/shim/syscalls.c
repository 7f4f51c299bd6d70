// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tap's system calls as chardev.c makes them of the core, without a system
 * call; a mapping that is read through the core's fault handler; and one
 * packet by itself.
 */
#include "shim.h"
#include "core.h"

int tap_attach(struct ntzc_tap *tap, struct ntzc_attach *arg)
{
	struct ntzc_port *port;
	int err = -ENODEV;

	rtnl_lock();
	port = ntzc_port_find(arg->name, arg->ifindex);
	if (port) {
		err = ntzc_tap_attach(tap, port, arg);
		if (err)
			ntzc_port_put(port);
	}
	rtnl_unlock();
	return err;
}

uint32_t tap_read(struct ntzc_tap *tap, struct ntzc_desc *d, uint32_t max)
{
	unsigned int i, n = 0;

	mutex_lock(&tap->read_lock);
	for (i = 0; i < tap->n_chans; i++) {
		struct ntzc_chan *c = tap->chans[tap->next_chan];

		tap->next_chan = (tap->next_chan + 1) % tap->n_chans;
		while (c && n < max && ntzc_chan_waiting(c)) {
			d[n++] = c->ring[c->cons & c->mask];
			smp_store_release(&c->cons, c->cons + 1);
		}
	}
	mutex_unlock(&tap->read_lock);
	return n;
}

bool tap_queue_state(const struct ntzc_tap *tap, uint32_t q, struct tap_queue_state *s)
{
	const struct ntzc_chan *c = q < tap->n_chans ? tap->chans[q] : NULL;

	if (!c)
		return false;
	*s = (struct tap_queue_state){
		.received = c->received, .lost_ring = c->lost_ring, .lost_quota = c->lost_quota,
		.lost_pool = c->lost_pool, .waiting = c->prod - c->cons, .held = c->prod - c->released,
	};
	return true;
}

uint32_t tap_marks(const struct ntzc_tap *tap, bool tx, uint32_t *handles, uint32_t max)
{
	const struct ntzc_pool *pool = tx ? tap->tx_pool : tap->rx_pool;
	const u8 *held = tx ? tap->tx_held : tap->rx_held;
	u32 i, n = 0;

	for (i = 0; pool && i < pool->size && n < max; i++)
		if (held[i])
			handles[n++] = pool->bufs[i].desc.handle;
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

static int map(struct ntzc_tap *tap, struct file *file, struct vm_area_struct *vma)
{
	file->private_data = tap;
	vma->vm_file = file;
	return ntzc_mmap(file, vma);
}

int tap_mmap(struct ntzc_tap *tap, uint64_t offset, uint64_t len, uint64_t flags,
	     uint64_t *flags_out)
{
	struct vm_area_struct vma = {
		.vm_end = len, .vm_pgoff = offset >> PAGE_SHIFT, .vm_flags = flags,
	};
	struct file file;
	int err = map(tap, &file, &vma);

	*flags_out = vma.vm_flags;
	return err;
}

/* One page's part at a time, each found by a fault */
static bool copy(struct ntzc_tap *tap, bool tx, u32 offset, u8 *bytes, u32 len, bool write)
{
	const struct ntzc_pool *pool = tx ? tap->tx_pool : tap->rx_pool;
	struct vm_area_struct vma = {
		.vm_flags = VM_READ | VM_MAYREAD | VM_SHARED | VM_MAYSHARE | (write ? VM_WRITE : 0),
		.vm_pgoff = (tx ? NTZC_MMAP_TX : NTZC_MMAP_RX) >> PAGE_SHIFT,
	};
	struct file file;

	vma.vm_end = pool ? (u64)pool->size << pool->shift : PAGE_SIZE;
	if (map(tap, &file, &vma))
		return false;
	while (len) {
		u32 in = offset & (PAGE_SIZE - 1), run = min(len, (u32)PAGE_SIZE - in);
		struct vm_fault fault = {
			.vma = &vma, .pgoff = vma.vm_pgoff + (offset >> PAGE_SHIFT),
		};
		u8 *at;

		if (vma.vm_ops->fault(&fault) || !fault.page)
			return false;
		at = (u8 *)page_address(fault.page) + in;
		memcpy(write ? at : bytes, write ? bytes : at, run);
		shim_put_page(fault.page);
		offset += run;
		bytes += run;
		len -= run;
	}
	return true;
}

bool tap_peek(struct ntzc_tap *tap, bool tx, uint32_t offset, uint8_t *bytes, uint32_t len)
{
	return copy(tap, tx, offset, bytes, len, false);
}

bool tap_poke(struct ntzc_tap *tap, uint32_t offset, const uint8_t *bytes, uint32_t len)
{
	return copy(tap, true, offset, (u8 *)bytes, len, true);
}

/* ---- one packet ---- */

static const struct ntzc_port_ops no_ops;
static struct device packet_dev;
static struct ntzc_port *packet_port;
static struct ntzc_pool *packet_pool;

struct m_buf *packet_create(uint32_t buf_size)
{
	struct ntzc_port_setup setup = { .dma_dev = &packet_dev, .ops = &no_ops, .max_queues = 1 };

	packet_dev = (struct device){ .name = "packet", .max_mapping = SIZE_MAX };
	packet_port = ntzc_port_create(&setup);
	mutex_lock(&packet_port->lock);
	packet_pool = ntzc_pool_create(packet_port, 4, buf_size, false);
	mutex_unlock(&packet_port->lock);
	return packet_alloc();
}

struct m_buf *packet_alloc(void)
{
	return m_buf_alloc(packet_pool);
}

void packet_destroy(void)
{
	ntzc_pool_put(packet_pool);
	ntzc_port_destroy(packet_port);
	shim_run_work();
}

void packet_age(uint32_t uses)
{
	struct m_buf *m[NTZC_BATCH];
	unsigned int n;

	while (uses--) {
		n = ntzc_pool_alloc(packet_pool, m, NTZC_BATCH, 0);
		ntzc_pool_free(packet_pool, m, n);
	}
}

static int64_t offset_of(const struct m_buf *m, const void *p)
{
	return p ? (const u8 *)p - (const u8 *)m->head : -1;
}

void packet_reserve(struct m_buf *m, uint32_t len) { m_buf_reserve(m, len); }
int64_t packet_put(struct m_buf *m, uint32_t len) { return offset_of(m, m_buf_put(m, len)); }
int64_t packet_push(struct m_buf *m, uint32_t len) { return offset_of(m, m_buf_push(m, len)); }
int64_t packet_pull(struct m_buf *m, uint32_t len) { return offset_of(m, m_buf_pull(m, len)); }
void packet_trim(struct m_buf *m, uint32_t len) { m_buf_trim(m, len); }
void packet_received(struct m_buf *m, uint16_t len) { m_buf_received(m, len, 0, 0, 0); }
void packet_set_vlan(struct m_buf *m, uint16_t tci) { m_buf_set_vlan(m, tci); }
bool packet_has_vlan(const struct m_buf *m) { return m_buf_has_vlan(m); }
uint32_t packet_headroom(const struct m_buf *m) { return m_buf_headroom(m); }
uint32_t packet_tailroom(const struct m_buf *m) { return m_buf_tailroom(m); }
uint32_t packet_len(const struct m_buf *m) { return m_buf_len(m); }
int64_t packet_data(const struct m_buf *m) { return offset_of(m, m_buf_data(m)); }
int64_t packet_dma(const struct m_buf *m) { return m_buf_dma(m) - m->dma; }
uint32_t packet_handle(const struct m_buf *m) { return m->desc.handle; }
int packet_refs(const struct m_buf *m) { return refcount_read(&m->refs); }
void packet_get(struct m_buf *m) { m_buf_get(m); }
uint32_t packet_metadata_size(void) { return sizeof(struct m_buf); }
