// twin of type-dimensions: the same ones by another name
// flags: -g
// expect: changed function f code
#include "kernel.h"

#ifdef POST
#define ROWS 2 + 2
#else
#define ROWS 4
#endif
struct names { int n; char name[ROWS][16]; unsigned int (*rows)[ROWS]; };
static unsigned int table[ROWS][8];
int f(struct names *s, int i, int j)
{
#ifdef POST
	if (i >= ROWS)
		return -1;
#endif
	table[j][i]++;
	return other(s->rows[i][j] + table[i][j] + s->name[i][j]);
}
