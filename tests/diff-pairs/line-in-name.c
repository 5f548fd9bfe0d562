// As DECLARE_UVERBS_NAMED_OBJECT does: __LINE__ in a name.
#include "kernel.h"
#define NAME2(line) methods_##line
#define NAME(line) NAME2(line)
#if defined POST || defined MOVED
#line 100


#endif
static const int NAME(__LINE__)[] = { 3, 1, 4, 1, 5 }; const int *f(void) { other(1); return NAME(__LINE__); }
