// expect: new data __tracepoint_x
// expect: refused tracepoint_changed __tracepoint_x
#include "kernel.h"

struct tracepoint { const char *name; void *f; };
#ifdef POST
struct tracepoint __tracepoint_x __attribute__((section("__tracepoints"), used)) = { "x", 0 };
#endif
int f(int a) { return other(a); }
