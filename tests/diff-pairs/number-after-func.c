// expect: changed function f code
#include "kernel.h"

#ifdef POST
#define ROUNDS 40000
#else
#define ROUNDS 12
#endif
void f(int a) { printk("%s: %d of %d rounds", __func__, ROUNDS, a); }
