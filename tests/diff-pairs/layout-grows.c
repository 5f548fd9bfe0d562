// flags: -g
// expect: changed function conn_put code
// expect: changed function conn_read code
// expect: refused type_changed struct conn
#include "kernel.h"

void kfree(const void *);
struct list_head { struct list_head *next, *prev; };
typedef unsigned int u32;
struct conn {
	int users;
	u32 limit;
#ifdef POST
	u32 burst;
	struct list_head waiting;
	char name[16];
	const char *const *(*names)(struct conn *conn, int (*each)(void *));
	unsigned dead : 1;
#endif
};
void conn_put(struct conn *c)
{
#ifdef POST
	if (c->waiting.next != &c->waiting)
		return;
#endif
	if (!--c->users)
		kfree(c);
}
int conn_read(struct conn *c)
{
#ifdef POST
	if (c->burst > c->limit)
		return other(c->dead);
#endif
	return other(c->limit);
}
