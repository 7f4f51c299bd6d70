// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See watch.h. The list is written while the guest stands still in its mark, and
 * read by translations after it: they begin anew then.
 */
#include <stdio.h>
#include <string.h>

#include "decode.h"
#include "watch.h"

#define MAX_WATCHES	64
#define PAD_LEN		4

static struct watch watches[MAX_WATCHES];
static unsigned int n_watches;
static bool user_mmio;

static struct qemu_plugin_register *find_register(const char *name)
{
	const GArray *all = qemu_plugin_get_registers();
	const qemu_plugin_reg_descriptor *registers = (const void *)all->data;

	for (unsigned int i = 0; i < all->len; i++) {
		if (!strcmp(registers[i].name, name))
			return registers[i].handle;
	}
	return NULL;
}

static uint64_t behind_pad(uint64_t vaddr)
{
	static GByteArray *bytes;

	if (!bytes)
		bytes = g_byte_array_new();
	if (qemu_plugin_read_memory_vaddr(vaddr, bytes, PAD_LEN) &&
	    insn_is_landing_pad(bytes->data))
		return vaddr + PAD_LEN;
	return vaddr;
}

static bool add(uint64_t vaddr, const char *what)
{
	struct watch *watch = &watches[n_watches];

	if (n_watches == MAX_WATCHES)
		return false;
	*watch = (struct watch) { .given = vaddr, .vaddr = behind_pad(vaddr) };
	if (strcmp(what, "count")) {
		watch->reg = find_register(what);
		if (!watch->reg)
			return false;
	}
	n_watches++;
	return true;
}

bool watch_load(const char *path)
{
	FILE *file = fopen(path, "r");
	bool good = file;
	char line[80];

	n_watches = 0;
	user_mmio = false;
	while (good && fgets(line, sizeof(line), file)) {
		unsigned long long vaddr;
		char what[8];

		if (!strcmp(line, "mmio user\n"))
			user_mmio = true;
		else
			good = sscanf(line, "%llx %7s", &vaddr, what) == 2 && add(vaddr, what);
	}
	if (file)
		fclose(file);
	return good;
}

const struct watch *watch_find(uint64_t vaddr)
{
	for (unsigned int i = 0; i < n_watches; i++) {
		if (watches[i].vaddr == vaddr)
			return &watches[i];
	}
	return NULL;
}

bool watch_user_mmio(void)
{
	return user_mmio;
}

uint64_t watch_register(const struct watch *watch)
{
	static __thread GByteArray *bytes;
	uint64_t value = 0;

	if (!bytes)
		bytes = g_byte_array_new();
	g_byte_array_set_size(bytes, 0);
	if (qemu_plugin_read_register(watch->reg, bytes) == sizeof(value))
		memcpy(&value, bytes->data, sizeof(value));
	return value;
}
