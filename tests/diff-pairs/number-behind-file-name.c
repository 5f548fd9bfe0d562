// expect: changed function f code
#include "kernel.h"

int read_image(const char *name, int most);
#ifdef POST
#define MOST 512
#else
#define MOST 8192
#endif
int f(void) { return read_image("tables.h", MOST) + 1; }
