// as in SYSCALL_ALIAS, and a weak default
// expect: refused alias_changed g
// expect: refused alias_changed weak
#include "kernel.h"

int f(int a) { return other(a); }
int h(int a) { return another(a); }
#ifdef POST
asm(".globl g\n.set g, h\n.weak weak\n.set weak, h");
#else
asm(".globl g\n.set g, f\n.weak weak\n.set weak, f");
#endif
