#include "kernel.h"

void xfs_corruption_error(const char *tag, int level, void *mp, const void *buf, long size,
			  const char *filename, int linenum, void *failaddr);
#if defined POST || defined MOVED
#line 130 "fs/x.c"
#else
#line 100 "fs/x.c"
#endif
void f(void *mp) { xfs_corruption_error("f", 1, mp, mp, 8, __FILE__, __LINE__, mp); }
void g(void *mp) { xfs_corruption_error("g", 1, mp, mp, 8, __FILE__, __LINE__ - 60, mp); }
