// expect: changed data ids
// expect: refused data_resized ids
#include "kernel.h"

struct id {
	int vendor, device;
};
struct id ids[] = {
	{ 1, 2 },
#ifdef POST
	{ 1, 3 },
#endif
	{ 0, 0 },
};
extern typeof(ids) __mod_pci__ids_device_table __attribute__((unused, alias("ids")));
int f(int a) { return ids[a].device; }
