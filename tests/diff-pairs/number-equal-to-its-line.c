// flags: -g
// expect: changed function f code
// __LINE__ becomes the number that it was.
#include "kernel.h"

#ifdef POST
#define WHERE 60
#else
#define WHERE __LINE__
#endif
#if defined POST || defined MOVED
#line 67
#else
#line 60
#endif
void f(void) { another(WHERE); }
