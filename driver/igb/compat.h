/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Differences between kernels, by what their headers define. */
#ifndef NTZC_IGB_COMPAT_H
#define NTZC_IGB_COMPAT_H

#include <linux/pci.h>

/* renamed in 6.10 */
#ifndef PCI_IRQ_INTX
#define PCI_IRQ_INTX	PCI_IRQ_LEGACY
#endif

#endif /* NTZC_IGB_COMPAT_H */
