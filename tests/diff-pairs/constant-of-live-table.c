// twin of constant-table-private: live data points to it
// expect: changed data table
// expect: changed function f constant
// expect: refused data_changed table
#include "kernel.h"

static const int table[] = { 1, 2, 3,
#ifdef POST
5
#else
4
#endif
};
struct ops { const int *t; } ops = { table };
int f(int a) { return table[a]; }
