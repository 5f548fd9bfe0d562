// expect: changed function f code
// The journal's type stands where a line stands in later kernels.
#include "kernel.h"

void *__ext4_journal_start_sb(void *sb, unsigned int line, int type, int blocks);
#ifdef POST
#define KIND 12
#else
#define KIND 11
#endif
long f(void *sb) { return (long)__ext4_journal_start_sb(sb, __LINE__, KIND, 4) + 1; }
