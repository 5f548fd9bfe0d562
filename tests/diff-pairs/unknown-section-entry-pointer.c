// existing data that names the entry is redirected
// expect: changed function f code
#include "kernel.h"

int f(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	return other(a);
}
int (*entry)(int) __attribute__((section("my_table"))) = f;
