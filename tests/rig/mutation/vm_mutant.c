// SPDX-License-Identifier: GPL-2.0-only
/* The boot parameter vm_mutant=, and a list of the mutants whose places ran. */
#include <linux/init.h>
#include <linux/moduleparam.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/reboot.h>
#include <linux/vm_mutant.h>

int vm_mutant;
unsigned char vm_mutant_reached[VM_MUTANT_COUNT + 1];
core_param(vm_mutant, vm_mutant, int, 0);

/* With vm_mutant=-1 no mutant is selected, and a reboot or power-off prints the list. */
static int vm_mutant_tell(struct notifier_block *block, unsigned long event, void *data)
{
	int number;

	for (number = 1; vm_mutant == -1 && number <= VM_MUTANT_COUNT; number++)
		if (vm_mutant_reached[number])
			pr_emerg("vm_mutant reached %d\n", number);
	return NOTIFY_DONE;
}

static struct notifier_block vm_mutant_block = { .notifier_call = vm_mutant_tell };

static int __init vm_mutant_init(void)
{
	return register_reboot_notifier(&vm_mutant_block);
}
late_initcall(vm_mutant_init);
