// SPDX-License-Identifier: GPL-2.0
/*
 * poke: changes one byte of the running kernel's code, at the parameter addr, by the bits of flip, while
 * it is loaded. For tests of the core's verification.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

static unsigned long addr;
module_param(addr, ulong, 0);
static unsigned char flip = 1;
module_param(flip, byte, 0);

static int change(void)
{
	struct page *page = pfn_to_page(__pa_symbol(addr) >> PAGE_SHIFT);
	u8 *map = vmap(&page, 1, VM_MAP, PAGE_KERNEL);

	if (!map)
		return -ENOMEM;
	map[offset_in_page(addr)] ^= flip;
	vunmap(map);
	return 0;
}

static int __init poke_init(void)
{
	return change();
}

static void __exit poke_exit(void)
{
	change();
}

module_init(poke_init);
module_exit(poke_exit);
MODULE_LICENSE("GPL");
