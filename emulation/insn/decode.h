/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the counter must know of an x86-64 instruction from its bytes.
 */
#ifndef NTZC_INSN_DECODE_H
#define NTZC_INSN_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is it atomic: has it a lock prefix, or is it an exchange with memory? */
bool insn_is_atomic(const uint8_t *bytes, size_t len);

/*
 * Is it what a function begins with only so that it may be called indirectly:
 * endbr64, or what the kernel writes over one? Four bytes are looked at.
 */
bool insn_is_landing_pad(const uint8_t *bytes);

#endif
