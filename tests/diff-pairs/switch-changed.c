// expect: changed function f code
#include "kernel.h"

int f(int a)
{
	switch (a) {
	case 1: return other(1);
	case 2: return another(2);
#ifdef POST
	case 3: return other(7);
#endif
	}
	return 0;
}
