// twin of export-checksum
// expect: changed function f code
#include "kernel.h"

int f(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	return other(a);
}
EXPORT(f, "");
CRC(f, 0x12345678);
