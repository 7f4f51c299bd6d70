// SPDX-License-Identifier: GPL-2.0-or-later
/* One packet by itself, for the tests of m_buf.h. */
#include "shim.h"
#include "core.h"

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
	packet_pool = ntzc_pool_create(packet_port, 4, buf_size);
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
void packet_received(struct m_buf *m, uint16_t len) { m_buf_received(m, 0, len, 0, 0, 0); }
void packet_set_vlan(struct m_buf *m, uint16_t tci) { m_buf_set_vlan(m, tci); }
bool packet_has_vlan(const struct m_buf *m) { return m_buf_has_vlan(m); }
uint32_t packet_headroom(const struct m_buf *m) { return m_buf_headroom(m); }
uint32_t packet_tailroom(const struct m_buf *m) { return m_buf_tailroom(m); }
uint32_t packet_len(const struct m_buf *m) { return m_buf_len(m); }
int64_t packet_data(const struct m_buf *m) { return offset_of(m, m_buf_data(m)); }
int64_t packet_dma(const struct m_buf *m) { return m_buf_dma(m) - m->dma; }
uint32_t packet_handle(const struct m_buf *m) { return m->desc.handle; }
int packet_refs(const struct m_buf *m) { return atomic_read(&m->refs); }
void packet_get(struct m_buf *m) { m_buf_get(m); }
uint32_t packet_metadata_size(void) { return sizeof(struct m_buf); }
