// A thread that start code begins never leaves its body; one that a function begins may.
// expect: changed function boot_thread code
// expect: changed function later_thread code
// expect: refused always_busy boot_thread
#include "kernel.h"

void *kthread_create_on_node(int (*body)(void *), void *data, int node, const char *name, ...);

static int boot_thread(void *data)
{
#ifdef POST
	if (!data)
		return 3;
#endif
	while (other(1))
		;
	return 0;
}

static int later_thread(void *data)
{
#ifdef POST
	if (!data)
		return 3;
#endif
	while (other(2))
		;
	return 0;
}

void *later(void)
{
	return kthread_create_on_node(later_thread, 0, -1, "later");
}

__init void *start(void)
{
	return kthread_create_on_node(boot_thread, 0, -1, "boot");
}
