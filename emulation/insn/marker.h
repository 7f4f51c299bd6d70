/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A place in a program that the instruction counter recognises: a nop of 8
 * bytes whose displacement holds a magic number and an id. On anything but the
 * counter it does nothing. It is also a barrier for the compiler, so that what
 * is measured stays between its marks.
 */
#ifndef NTZC_MARKER_H
#define NTZC_MARKER_H

/* nopl disp32(%rax,%rax,1); NTZC_MARK's id is a constant from 0 to 0xffff */
#define NTZC_MARK(id)							\
	do {								\
		__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00\n\t"	\
				 ".long 0x4e540000 + %c0"		\
				 : : "i" (id) : "memory", "cc");	\
	} while (0)

#endif
