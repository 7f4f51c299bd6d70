/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Differences between kernels, by features that module/Kbuild looks for in the headers. */
#ifndef NTZC_COMPAT_H
#define NTZC_COMPAT_H

#include <linux/mm.h>

#ifdef NTZC_HAVE_VM_FLAGS_SET
#define ntzc_vm_flags_set	vm_flags_set
#define ntzc_vm_flags_clear	vm_flags_clear
#else
static inline void ntzc_vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void ntzc_vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#endif /* NTZC_COMPAT_H */
