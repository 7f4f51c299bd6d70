// SPDX-License-Identifier: GPL-2.0-or-later
/* The instruction counter's marks for programs that are not in C. */
#include "marker.h"

void mark1(void);
void mark2(void);
void mark3(void);

void mark1(void)
{
	NTZC_MARK(1);
}

void mark2(void)
{
	NTZC_MARK(2);
}

void mark3(void)
{
	NTZC_MARK(3);
}
