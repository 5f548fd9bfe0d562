// flags: -fno-data-sections
#include "kernel.h"

#ifdef POST
void g(int a) { printk("g %d\n", a); }
void f(int a) { printk("f %d\n", a); }
#else
void f(int a) { printk("f %d\n", a); }
void g(int a) { printk("g %d\n", a); }
#endif
