#include "kernel.h"

__init int start(void) { return other(1); }
#ifdef POST
int (*__initcall__kmod_x__201_340_start6)(void) __attribute__((section(".initcall6.init"))) = start;
#else
int (*__initcall__kmod_x__200_330_start6)(void) __attribute__((section(".initcall6.init"))) = start;
#endif
