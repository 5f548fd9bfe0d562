// What live objects point to is of the old type, whether that is still known or not.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct conn
#include "kernel.h"

struct old { int a, b; };
struct young { int b, a; };
#ifdef POST
struct conn { struct young *peer; };
#else
struct conn { struct old *peer; };
#endif
int f(struct conn *c, struct old *old, struct young *young)
{
	use(old);
	use(young);
	return other(c->peer->a);
}
