// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A QEMU plugin that counts the guest's instructions by the address of their
 * translation block. Whenever the guest executes a mark (marker.h), what was
 * executed since the mark before is appended to the file given as out=FILE:
 *
 *	u32 magic, u32 mark's id, u32 blocks, u32 0, u64 MMIO reads,
 *	u64 MMIO writes, then for each block executed: u64 address, u64
 *	instructions executed in it.
 *
 * Blocks add to counters of their own virtual CPU, inline and without a lock.
 * The table of blocks is guarded by `lock`: translation and marks come from
 * any virtual CPU's thread. MMIO is counted for instructions of modules alone
 * (mmio=on), as each counted access is a call.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

#define MAGIC		0x4e544943u
#define MARK_PREFIX	0x00841f0fu	/* nopl disp32(%rax,%rax,1) */
#define MARK_LEN	8
#define MAX_BLOCKS	(1u << 20)
#define HASH_SLOTS	(MAX_BLOCKS * 2)
#define MODULES_START	0xffffffffc0000000ull

/* The scoreboard's element: a counter for each block, and the MMIO counters. */
struct counters {
	uint64_t insns[MAX_BLOCKS];
	uint64_t mmio[2];		/* by qemu_plugin_mem_is_store() */
};

struct block {
	uint64_t vaddr;
	uint64_t seen;			/* its counter at the last mark */
};

struct record {
	uint32_t magic, id, blocks, zero;
	uint64_t mmio[2];
};

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct qemu_plugin_scoreboard *score;
static struct block blocks[MAX_BLOCKS];
static uint32_t block_count;
static uint32_t slots[HASH_SLOTS];	/* a block's index + 1, or 0 */
static uint64_t mmio_seen[2];
static FILE *out;
static bool count_mmio;

static qemu_plugin_u64 block_counter(uint32_t index)
{
	return (qemu_plugin_u64) {
		score, offsetof(struct counters, insns) + index * sizeof(uint64_t)
	};
}

static qemu_plugin_u64 mmio_counter(bool store)
{
	return (qemu_plugin_u64) {
		score, offsetof(struct counters, mmio) + store * sizeof(uint64_t)
	};
}

/*
 * Find or add the block at vaddr. A block is translated again and again, and
 * each time it finds its counter here. Called with the lock held.
 */
static uint32_t block_index(uint64_t vaddr)
{
	uint32_t slot = (vaddr * 0x9e3779b97f4a7c15ull) >> 43;

	for (; slots[slot]; slot = (slot + 1) % HASH_SLOTS) {
		if (blocks[slots[slot] - 1].vaddr == vaddr)
			return slots[slot] - 1;
	}
	if (block_count == MAX_BLOCKS) {
		qemu_plugin_outs("insn: too many blocks\n");
		abort();
	}
	blocks[block_count].vaddr = vaddr;
	slots[slot] = ++block_count;
	return block_count - 1;
}

static void write_or_die(const void *data, size_t len)
{
	if (fwrite(data, 1, len, out) != len) {
		qemu_plugin_outs("insn: cannot write\n");
		abort();
	}
}

static void on_mark(unsigned int vcpu, void *data)
{
	static uint64_t changed[MAX_BLOCKS][2];
	struct record record = { MAGIC, (uint32_t)(uintptr_t)data, 0, 0, {} };
	uint64_t now;

	(void)vcpu;
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < block_count; i++) {
		now = qemu_plugin_u64_sum(block_counter(i));
		if (now == blocks[i].seen)
			continue;
		changed[record.blocks][0] = blocks[i].vaddr;
		changed[record.blocks++][1] = now - blocks[i].seen;
		blocks[i].seen = now;
	}
	for (int store = 0; store < 2; store++) {
		now = qemu_plugin_u64_sum(mmio_counter(store));
		record.mmio[store] = now - mmio_seen[store];
		mmio_seen[store] = now;
	}
	write_or_die(&record, sizeof(record));
	write_or_die(changed, record.blocks * sizeof(changed[0]));
	fflush(out);
	pthread_mutex_unlock(&lock);
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info,
		      uint64_t vaddr, void *data)
{
	struct qemu_plugin_hwaddr *hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
	qemu_plugin_u64 counter;

	(void)data;
	if (!hwaddr || !qemu_plugin_hwaddr_is_io(hwaddr))
		return;
	counter = mmio_counter(qemu_plugin_mem_is_store(info));
	qemu_plugin_u64_add(counter, vcpu, 1);
}

/* Is the instruction a mark? Then *id is its id. */
static bool is_mark(const struct qemu_plugin_insn *insn, uint32_t *id)
{
	uint32_t words[2];

	if (qemu_plugin_insn_size(insn) != MARK_LEN)
		return false;
	qemu_plugin_insn_data(insn, words, sizeof(words));
	*id = words[1] & 0xffff;
	return words[0] == MARK_PREFIX && words[1] >> 16 == 0x4e54;
}

/*
 * A block with a mark counts each instruction on its own, so that the mark
 * parts those before it from those after it; any other counts as a whole.
 */
static void on_translation(qemu_plugin_id_t plugin, struct qemu_plugin_tb *tb)
{
	uint64_t vaddr = qemu_plugin_tb_vaddr(tb);
	size_t count = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn;
	qemu_plugin_u64 counter;
	bool marked = false;
	uint32_t id;

	(void)plugin;
	pthread_mutex_lock(&lock);
	counter = block_counter(block_index(vaddr));
	pthread_mutex_unlock(&lock);

	for (size_t i = 0; i < count; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (is_mark(insn, &id)) {
			marked = true;
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark,
							       QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)id);
		}
		if (count_mmio && vaddr >= MODULES_START)
			qemu_plugin_register_vcpu_mem_cb(insn, on_access,
							 QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_RW, NULL);
	}
	if (!marked) {
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb,
								  QEMU_PLUGIN_INLINE_ADD_U64,
								  counter, count);
		return;
	}
	for (size_t i = 0; i < count; i++)
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(qemu_plugin_tb_get_insn(tb, i),
								    QEMU_PLUGIN_INLINE_ADD_U64,
								    counter, 1);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
			char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "wb");
		else if (!strcmp(argv[i], "mmio=on"))
			count_mmio = true;
		else if (strcmp(argv[i], "mmio=off"))
			return -1;
	}
	if (!out)
		return -1;
	score = qemu_plugin_scoreboard_new(sizeof(struct counters));
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
