// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The marks as a function, for programs that are not C: load the shared object
 * and call ntzc_mark(). The id becomes part of an instruction, hence the cases.
 */
#include "marker.h"

void ntzc_mark(int id);

void ntzc_mark(int id)
{
	switch (id) {
	case 0:
		NTZC_MARK(0);
		break;
	case 1:
		NTZC_MARK(1);
		break;
	case 2:
		NTZC_MARK(2);
		break;
	case 3:
		NTZC_MARK(3);
		break;
	case 4:
		NTZC_MARK(4);
		break;
	case 5:
		NTZC_MARK(5);
		break;
	case 6:
		NTZC_MARK(6);
		break;
	case 7:
		NTZC_MARK(7);
		break;
	}
}
