// twin of constant-stored and constant-compared: who only reads a constant gets a copy
// cc: gcc
// flags: -g
// expect: changed function find constant
// expect: changed function sum constant
// expect: changed data limits
#include "kernel.h"

#ifdef POST
static const int limits[] = { 3, 7, 11, 20 };
#else
static const int limits[] = { 3, 7, 11, 19 };
#endif
int find(int x)
{
	for (const int *p = limits; p < limits + 4; p++)
		if (other(*p) == x)
			return *p;
	return -1;
}
int sum(int n)
{
	int total = 0;
	while (n-- > 0)
		total += limits[n & 3];
	return total;
}
