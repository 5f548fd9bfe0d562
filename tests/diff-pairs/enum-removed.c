// flags: -g
// expect: changed function f code
// expect: refused type_changed state_t
#include "kernel.h"

typedef enum {
	IDLE,
	BUSY,
#ifndef POST
	WAITING,
#endif
} state_t;
int f(state_t *s)
{
#ifndef POST
	if (*s == WAITING)
		return other(2);
#endif
	return *s == BUSY ? other(1) : 0;
}
