// What is no part of the source may call it: BPF programs that trace it, and new code of another update.
// flags: -g
// expect: changed function f code
// expect: note f was int
#include "kernel.h"

#ifdef POST
int f(long b, int a) { return other(a - b); }
#else
int f(int a, long b) { return other(a - b); }
#endif
