// twin of constant-table-private: others may name it
// cc: gcc
// expect: changed data table
// expect: refused data_changed table
#include "kernel.h"

const int table[] = { 1, 2, 3,
#ifdef POST
5
#else
4
#endif
};
int f(int a) { return table[a]; }
