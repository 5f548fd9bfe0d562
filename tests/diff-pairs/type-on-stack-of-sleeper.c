// twin of type-only-on-stack: the function that holds it, which may sleep meanwhile, stays
// flags: -g
// expect: changed function begin code
// expect: changed function end code
// expect: refused type_changed struct transfer
#include "kernel.h"

#ifdef POST
struct transfer { int value, reg; };
#else
struct transfer { int reg, value; };
#endif
static noinline void begin(struct transfer *t, int reg)
{
	t->reg = reg;
	t->value = other(reg);
}
static noinline void end(struct transfer *t) { use(t), printk("%d", t->value); }
void f(int reg)
{
	struct transfer t;
	begin(&t, reg);
	another(1000);
	end(&t);
}
