/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * m_buf: one packet's metadata, the twin of sk_buff.
 *
 * It lives in kernel memory that is never mapped; the packet's bytes live in
 * one buffer of a pool. Calls named like those of sk_buff mean the same, so
 * that a driver is ported by replacing the one with the other: m_buf_put()
 * appends data, m_buf_get() and m_buf_free() take and drop a reference.
 *
 * Who may touch it: the holder of a reference. The data offset and length, and
 * all that goes into the descriptor, are written only while one holder exists
 * (the driver on receive, the submitting tap on transmit); later they are read-only.
 */
#ifndef NTZC_M_BUF_H
#define NTZC_M_BUF_H

#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/dma-mapping.h>
#include <linux/types.h>

#include "ntzc.h"

struct ntzc_pool;
struct ntzc_queue;

/*
 * A handle is | tx:1 | generation:11 | index:20 |. The generation moves on
 * each time the buffer is freed. All arithmetic between a handle, a buffer and
 * its offset in the mapping is in this file and in ntzc_tap_held().
 */
#define NTZC_HANDLE_INDEX_BITS	20
#define NTZC_HANDLE_INDEX	((1u << NTZC_HANDLE_INDEX_BITS) - 1)
#define NTZC_HANDLE_GEN_ONE	(NTZC_HANDLE_INDEX + 1)
#define NTZC_HANDLE_GEN		(~NTZC_HANDLE_INDEX & ~NTZC_HANDLE_TX)

/** NTZC_HEADROOM - bytes before the data of a fresh m_buf, a cache-line multiple */
#define NTZC_HEADROOM		128

/**
 * struct m_buf - metadata of one packet
 * @refs: holders; the driver is one while it has the buffer for the card. At most one a tap
 *	and one a transmission, so that it cannot overflow; where it falls, a mark was cleared
 *	or a transmission ended, so that it cannot fall twice
 * @size: bytes in the buffer
 * @in_flight: times that it is being sent now, if it was received; under the pool's lock
 * @head: the buffer's first byte
 * @dma: the buffer's address for the port's device
 * @pool: where the buffer belongs
 * @desc: what a tap is told about the packet; also holds its offset and length
 *
 * One cache line, so that a packet costs one line of metadata.
 */
struct m_buf {
	atomic_t refs;
	u16 size;
	u16 in_flight;
	void *head;
	dma_addr_t dma;
	struct ntzc_pool *pool;
	struct ntzc_desc desc;
} __aligned(64);

/** m_buf_index() - the buffer's number in its pool. Return: the index. */
static inline u32 m_buf_index(const struct m_buf *m)
{
	return m->desc.handle & NTZC_HANDLE_INDEX;
}

/**
 * m_buf_headroom() - room before the data
 * @m: the packet
 *
 * Buffers are aligned to their size in the mapping, so the low bits of the
 * mapping offset are the offset in the buffer.
 * Return: bytes.
 */
static inline u32 m_buf_headroom(const struct m_buf *m)
{
	return m->desc.offset & (m->size - 1);
}

/** m_buf_tailroom() - room after the data. Return: bytes. */
static inline u32 m_buf_tailroom(const struct m_buf *m)
{
	return m->size - m_buf_headroom(m) - m->desc.len;
}

/** m_buf_data() - the packet's first byte. Return: its kernel address. */
static inline void *m_buf_data(const struct m_buf *m)
{
	return m->head + m_buf_headroom(m);
}

/** m_buf_len() - the packet's length. Return: bytes. */
static inline u32 m_buf_len(const struct m_buf *m)
{
	return m->desc.len;
}

/** m_buf_dma() - the packet's first byte as the card sees it. Return: its DMA address. */
static inline dma_addr_t m_buf_dma(const struct m_buf *m)
{
	return m->dma + m_buf_headroom(m);
}

/**
 * m_buf_rx_dma() - where the card is to write the next frame
 * @m: a buffer from ntzc_rx_refill()
 *
 * Return: the DMA address of the byte at NTZC_HEADROOM; m->size - NTZC_HEADROOM
 * bytes may be written there.
 */
static inline dma_addr_t m_buf_rx_dma(const struct m_buf *m)
{
	return m->dma + NTZC_HEADROOM;
}

/**
 * m_buf_reserve() - make headroom in an empty packet
 * @m: a packet without data
 * @len: bytes to add to the headroom, less than m_buf_tailroom()
 */
static inline void m_buf_reserve(struct m_buf *m, u32 len)
{
	if (WARN_ON_ONCE(m->desc.len || len >= m_buf_tailroom(m)))
		return;
	m->desc.offset += len;
}

/**
 * m_buf_put() - append data
 * @m: the packet
 * @len: bytes
 *
 * Return: the first byte added, or NULL if the tailroom is too small (where
 * skb_put() would panic); the packet is unchanged then.
 */
static inline void *m_buf_put(struct m_buf *m, u32 len)
{
	void *tail = m_buf_data(m) + m->desc.len;

	if (WARN_ON_ONCE(len > m_buf_tailroom(m)))
		return NULL;
	m->desc.len += len;
	return tail;
}

/**
 * m_buf_push() - prepend data
 * @m: the packet
 * @len: bytes
 *
 * Return: the new first byte, or NULL if the headroom is too small; the packet
 * is unchanged then.
 */
static inline void *m_buf_push(struct m_buf *m, u32 len)
{
	if (WARN_ON_ONCE(len > m_buf_headroom(m)))
		return NULL;
	m->desc.offset -= len;
	m->desc.len += len;
	return m_buf_data(m);
}

/**
 * m_buf_pull() - remove data from the front
 * @m: the packet
 * @len: bytes
 *
 * Return: the new first byte, or NULL if the packet is shorter than @len.
 */
static inline void *m_buf_pull(struct m_buf *m, u32 len)
{
	/* a full pull must not step into the next buffer */
	if (len > m->desc.len || m_buf_headroom(m) + len >= m->size)
		return NULL;
	m->desc.offset += len;
	m->desc.len -= len;
	return m_buf_data(m);
}

/**
 * m_buf_trim() - cut the packet to a length
 * @m: the packet
 * @len: bytes to keep; a longer value changes nothing
 */
static inline void m_buf_trim(struct m_buf *m, u32 len)
{
	if (len < m->desc.len)
		m->desc.len = len;
}

/**
 * m_buf_set_vlan() - record a VLAN tag that is not in the data
 * @m: the packet
 * @tci: the tag's TCI, host order
 */
static inline void m_buf_set_vlan(struct m_buf *m, u16 tci)
{
	BUILD_BUG_ON(NTZC_RX_VLAN != NTZC_TX_VLAN);	/* forwarding puts the tag back */
	m->desc.vlan_tci = tci;
	m->desc.flags |= NTZC_RX_VLAN;
}

/** m_buf_has_vlan() - Return: whether a VLAN tag is recorded beside the data. */
static inline bool m_buf_has_vlan(const struct m_buf *m)
{
	return m->desc.flags & NTZC_RX_VLAN;
}

/*
 * The last word of a descriptor. It is stored whole: field by field it would be four stores,
 * and more to put them together from.
 */
static inline u64 m_buf_last_word(u16 orig_len, u16 vlan_tci, u16 flags, u8 queue, u8 hash_type)
{
	BUILD_BUG_ON(offsetof(struct ntzc_desc, orig_len) != 3 * sizeof(u64) ||
		     offsetof(struct ntzc_desc, hash_type) != 4 * sizeof(u64) - 1);
	if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		return (u64)orig_len << 48 | (u64)vlan_tci << 32 | (u64)flags << 16 |
		       (u64)queue << 8 | hash_type;
	return orig_len | (u64)vlan_tci << 16 | (u64)flags << 32 | (u64)queue << 48 |
	       (u64)hash_type << 56;
}

/**
 * m_buf_received() - describe a frame that the card wrote at the default headroom
 * @m: the packet, as ntzc_rx_refill() gave it
 * @queue: index of the queue
 * @len: bytes that the card wrote, without FCS
 * @hash: receive-side-scaling hash, or 0
 * @hash_type: NTZC_HASH_*
 * @flags: checksum verdicts, NTZC_RX_L3_* and NTZC_RX_L4_*
 *
 * Resets all the metadata that a tap sees but for the handle; m_buf_set_vlan()
 * may follow.
 */
static inline void m_buf_received(struct m_buf *m, u8 queue, u16 len, u32 hash, u8 hash_type,
				  u16 flags)
{
	m->desc.offset = (m->desc.offset & ~(m->size - 1)) | NTZC_HEADROOM;
	m->desc.len = len;
	m->desc.hash = hash;
	((u64 *)&m->desc)[3] = m_buf_last_word(len, 0, flags, queue, hash_type);
}

struct m_buf *m_buf_alloc(struct ntzc_pool *pool);
void m_buf_free(struct m_buf *m);

/**
 * m_buf_get() - take a reference
 * @m: a packet that the caller holds
 *
 * Context: any. Return: @m.
 */
static inline struct m_buf *m_buf_get(struct m_buf *m)
{
	atomic_inc(&m->refs);
	return m;
}

#endif /* NTZC_M_BUF_H */
