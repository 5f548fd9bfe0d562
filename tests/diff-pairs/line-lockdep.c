#include "kernel.h"

void lockdep_rcu_suspicious(const char *file, int line, const char *s);
#if defined POST || defined MOVED
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
int f(int a) { if (a) lockdep_rcu_suspicious(__FILE__, __LINE__, "bad"); return other(a); }
