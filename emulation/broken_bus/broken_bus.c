// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Errors on the bus that are fatal, for drivers. The kernel resets a link for each, and the link
 * of an emulated root port stays down after that: here a card's function is reset instead.
 *
 * A step of the recovery is written to the parameter "step" as "0000:02:00.0 frozen"; what the
 * driver says to it, an enum pci_ers_result, is read from "verdict".
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>

static int verdict;
module_param(verdict, int, 0400);
MODULE_PARM_DESC(verdict, "what the driver said to the last step");

/* All of an error, from its beginning to its end */
static void broken_bus_recover(struct pci_dev *pdev, const struct pci_error_handlers *driver)
{
	driver->error_detected(pdev, pci_channel_io_frozen);
	pcie_capability_set_word(pdev, PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
	msleep(100);
	verdict = driver->slot_reset(pdev);
	driver->resume(pdev);
}

/*
 * A card comes back, and does not answer soon after: the driver notices within a second. Then
 * another error is told of, at a time when the first is two seconds old, and this is not.
 */
static void broken_bus_relapse(struct pci_dev *pdev, const struct pci_error_handlers *driver)
{
	u16 command;

	broken_bus_recover(pdev, driver);
	msleep(900);
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	pci_write_config_word(pdev, PCI_COMMAND, command & ~PCI_COMMAND_MEMORY);
	msleep(1300);
	broken_bus_recover(pdev, driver);
}

static int broken_bus_take(struct pci_dev *pdev, const struct pci_error_handlers *driver,
			   const char *step)
{
	if (!strcmp(step, "frozen")) {
		verdict = driver->error_detected(pdev, pci_channel_io_frozen);
	} else if (!strcmp(step, "failed")) {
		verdict = driver->error_detected(pdev, pci_channel_io_perm_failure);
	} else if (!strcmp(step, "reset")) {
		/* registers and configuration are lost */
		pcie_capability_set_word(pdev, PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
		msleep(100);
		verdict = driver->slot_reset(pdev);
	} else if (!strcmp(step, "resume")) {
		driver->resume(pdev);
		verdict = 0;
	} else if (!strcmp(step, "relapse")) {
		broken_bus_relapse(pdev, driver);
	} else {
		return -EINVAL;
	}
	return 0;
}

static int broken_bus_step(const char *text, const struct kernel_param *param)
{
	unsigned int domain, bus, slot, function;
	struct pci_driver *driver;
	struct pci_dev *pdev;
	char step[16];
	int err;

	if (sscanf(text, "%x:%x:%x.%x %15s", &domain, &bus, &slot, &function, step) != 5)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, function));
	if (!pdev)
		return -ENODEV;
	device_lock(&pdev->dev);	/* as whoever else tells a driver of an error */
	driver = pci_dev_driver(pdev);
	err = driver && driver->err_handler ? broken_bus_take(pdev, driver->err_handler, step) :
					      -ENODEV;
	device_unlock(&pdev->dev);
	pci_dev_put(pdev);
	return err;
}

static const struct kernel_param_ops broken_bus_step_ops = { .set = broken_bus_step };
module_param_cb(step, &broken_bus_step_ops, NULL, 0200);
MODULE_PARM_DESC(step, "a card's function, and what happens to it");

MODULE_DESCRIPTION("Errors on the bus that are fatal");
MODULE_AUTHOR("The NTZC authors");
MODULE_LICENSE("GPL");
