// cc: gcc
// expect: new data __key
// expect: new function e
#include "kernel.h"

struct key { int k; };
void init_lock(void *, const char *, struct key *);
#define lock_init(l) do { static struct key __key; init_lock(l, #l, &__key); } while (0)
#ifdef POST
void e(void *p) { lock_init(p); other(2); }
#endif
void f(void *p) { lock_init(p); }
void g(void *p) { lock_init(p); other(1); }
