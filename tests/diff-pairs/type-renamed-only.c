// twin of type-renamed: nothing but the name is another, also where a member leads to one
// flags: -g
// expect: changed function g code
#include "kernel.h"

#ifdef POST
#define context state
#define Item Entry
#endif
typedef struct { int key; } Item;
struct context { int id; struct context *next; Item items[2]; };
struct file { struct context *private; Item *first; };
int g(struct file *file, int v)
{
	struct context *c = file->private;
#ifdef POST
	if (!v)
		return 3;
#endif
	return c->next->id + c->items[v].key + file->first->key;
}
