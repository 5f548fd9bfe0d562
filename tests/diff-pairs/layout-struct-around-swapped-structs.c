// Each inner member has its like at its place, but of the other structure.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct range
#include "kernel.h"

struct place { int x, y; };
#ifdef POST
struct pair { struct place end, begin; };
#endif
struct range {
#ifdef POST
	struct pair pair;
#define BEGIN pair.begin
#else
	struct place begin, end;
#define BEGIN begin
#endif
	long count;
};
int f(struct range *r) { return other(r->BEGIN.x) + r->count; }
