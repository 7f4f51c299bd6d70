// SPDX-License-Identifier: GPL-2.0-or-later
/* See decode.h; encodings are those of the architecture's manual, in 64-bit mode. */
#include <string.h>

#include "decode.h"

#define LOCK		0xf0
#define XCHG_BYTE	0x86
#define XCHG		0x87

static bool is_prefix(uint8_t byte)
{
	static const uint8_t prefixes[] = {
		LOCK, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x66, 0x67,
	};

	return memchr(prefixes, byte, sizeof(prefixes)) || (byte & 0xf0) == 0x40;
}

bool insn_is_atomic(const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	for (; at < len && is_prefix(bytes[at]); at++) {
		if (bytes[at] == LOCK)
			return true;
	}
	/* the mode 3 of the byte after the opcode means a register, else memory */
	return at + 1 < len && (bytes[at] == XCHG || bytes[at] == XCHG_BYTE) &&
	       bytes[at + 1] >> 6 != 3;
}

bool insn_is_landing_pad(const uint8_t *bytes)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	static const uint8_t nop[] = { 0x0f, 0x1f, 0x40 };
	static const uint8_t wide_nop[] = { 0x66, 0x0f, 0x1f, 0x00 };

	return !memcmp(bytes, endbr64, sizeof(endbr64)) || !memcmp(bytes, nop, sizeof(nop)) ||
	       !memcmp(bytes, wide_nop, sizeof(wide_nop));
}
