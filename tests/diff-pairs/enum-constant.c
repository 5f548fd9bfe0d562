// A constant that no object's type has, as a macro would be.
// flags: -g
// expect: changed function f code
#include "kernel.h"

#ifdef POST
enum { LIMIT = 4096, RETRIES = 3 };
#else
enum { LIMIT = 1024, RETRIES = 3 };
#endif
int f(int a) { return a < LIMIT ? other(RETRIES) : 0; }
