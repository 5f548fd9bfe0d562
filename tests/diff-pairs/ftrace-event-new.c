// The kernel reads its list of events at its start, and a module's when that is loaded.
// expect: new data event
// expect: new data __event
// expect: refused tracepoint_changed __event
#include "kernel.h"

#ifdef POST
static struct { const char *name; } event = { "x" };
static void *__event __attribute__((section("_ftrace_events"), used)) = &event;
#endif
int f(int a) { return other(a); }
