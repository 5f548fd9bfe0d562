// twin of export-prototype
// flags: -g
// expect: changed function f code
#include "kernel.h"

struct conn;
#ifdef POST
int f(int number, const struct conn *c) { return c != 0 ? other(number) : 3; }
#else
int f(int a, struct conn *conn) { return other(a); }
#endif
EXPORT(f, "");
