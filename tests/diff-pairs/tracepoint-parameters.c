// What is attached to a tracepoint gets its parameters as they are; the function that passes them on is the same code.
// flags: -g
// expect: changed function f code
// expect: refused tracepoint_changed x
#include "kernel.h"

struct sock;
struct buffer;
extern int (*probe)(void *, void *, void *);
#ifdef POST
int __traceiter_x(void *data, struct buffer *b, struct sock *s) { return probe(data, b, s); }
int f(struct sock *s, struct buffer *b) { return __traceiter_x(0, b, s); }
#else
int __traceiter_x(void *data, struct sock *s, struct buffer *b) { return probe(data, s, b); }
int f(struct sock *s, struct buffer *b) { return __traceiter_x(0, s, b); }
#endif
