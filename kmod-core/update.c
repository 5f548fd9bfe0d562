// SPDX-License-Identifier: GPL-2.0
/*
 * The module part of an update module. It is linked with the update object, which defines
 * ksplice_update_object; this text is the same for every update. Loading the module only makes the
 * update known to the core: nothing is replaced until "applied" is written to its stage file.
 */
#include <linux/module.h>

#include "ksplice_abi.h"

extern struct ksplice_object ksplice_update_object;

static int __init ksplice_update_init(void)
{
	return ksplice_register(&ksplice_update_object, THIS_MODULE);
}

static void __exit ksplice_update_exit(void)
{
	ksplice_unregister(&ksplice_update_object);
}

module_init(ksplice_update_init);
module_exit(ksplice_update_exit);
MODULE_DESCRIPTION("Ksplice update");
MODULE_LICENSE("GPL");
