// expect: changed function f code
// A text that is the name of a function.
#include "kernel.h"

void make_node(const char *name, int mode);
int level(int a) { return other(a) + 2; }
#ifdef POST
#define MODE 0600
#else
#define MODE 0644
#endif
void f(void) { make_node("level", MODE); }
