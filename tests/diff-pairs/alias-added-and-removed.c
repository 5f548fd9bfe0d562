// A name more or less changes no code; who uses a new one is changed.
// expect: changed function user code
#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
int g(int a) __attribute__((alias("f")));
int user(int a) { return g(a) + 1; }
#else
int h(int a) __attribute__((alias("f")));
int user(int a) { return another(a) + 1; }
#endif
