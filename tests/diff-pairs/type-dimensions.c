// As many elements in all, in rows of another length.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct names
// expect: refused type_changed variable table
#include "kernel.h"

#ifdef POST
struct names { int n; char name[8][8]; unsigned int (*rows)[4]; };
static unsigned int table[8][2];
#else
struct names { int n; char name[4][16]; unsigned int (*rows)[2]; };
static unsigned int table[2][8];
#endif
int f(struct names *s, int i, int j)
{
	table[j][i]++;
	return other(s->rows[i][j] + table[i][j] + s->name[i][j]);
}
