// SPDX-License-Identifier: GPL-2.0-or-later
/* A program that tells the counter to read the list of what is watched (watch.h). */
#include "marker.h"
#include "watch.h"

int main(void)
{
	NTZC_MARK(WATCH_MARK);
	return 0;
}
