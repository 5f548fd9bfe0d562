// The kernel needs it to handle the breakpoint that stands there while the jump is written.
// expect: changed function rcu_is_watching code
// expect: refused no_ftrace_site rcu_is_watching
#include "kernel.h"

notrace noinline int rcu_is_watching(int a)
{
#ifdef POST
	if (a == 6)
		return 3;
#endif
	return other(a);
}
