// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the sleep of an emulated machine lacks, for as long as this is loaded.
 *
 * Virtio devices stay awake: the root is on one of them, and virtio-9p cannot be suspended. What
 * power management takes for a part of the system's core, it leaves alone.
 *
 * Network cards lose what they knew, as they would without power: when all else is asleep, each is
 * told to reset its function. The sleep lasts for a second at least, ten times what that may take.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/syscore_ops.h>

static void asleep_keep_virtio_awake(bool awake)
{
	struct pci_dev *pdev = NULL;

	while ((pdev = pci_get_device(PCI_VENDOR_ID_REDHAT_QUMRANET, PCI_ANY_ID, pdev)))
		dev_pm_syscore_device(&pdev->dev, awake);
}

static void asleep_power_off(struct pci_dev *pdev)
{
	u32 cap;

	pcie_capability_read_dword(pdev, PCI_EXP_DEVCAP, &cap);
	if (cap & PCI_EXP_DEVCAP_FLR && pdev->class >> 8 == PCI_CLASS_NETWORK_ETHERNET)
		pcie_capability_set_word(pdev, PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
}

static int asleep_cards(void)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev)
		asleep_power_off(pdev);
	return 0;
}

#ifdef ASLEEP_HAVE_SYSCORE_OPS
static struct syscore_ops asleep_ops = { .suspend = asleep_cards };

#define asleep_register()	register_syscore_ops(&asleep_ops)
#define asleep_unregister()	unregister_syscore_ops(&asleep_ops)
#else
static int asleep_suspend(void *data)
{
	return asleep_cards();
}

static const struct syscore_ops asleep_ops = { .suspend = asleep_suspend };
static struct syscore asleep_core = { .ops = &asleep_ops };

#define asleep_register()	register_syscore(&asleep_core)
#define asleep_unregister()	unregister_syscore(&asleep_core)
#endif

static int __init asleep_init(void)
{
	asleep_keep_virtio_awake(true);
	asleep_register();
	return 0;
}
module_init(asleep_init);

static void __exit asleep_exit(void)
{
	asleep_unregister();
	asleep_keep_virtio_awake(false);
}
module_exit(asleep_exit);

MODULE_DESCRIPTION("What the sleep of an emulated machine lacks");
MODULE_AUTHOR("The NTZC authors");
MODULE_LICENSE("GPL");
