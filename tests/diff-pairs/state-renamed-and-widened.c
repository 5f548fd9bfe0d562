// No function that stays uses the variable, and it has another name and size: nothing tells that it is another.
// flags: -fno-ipa-cp
// expect: changed function f code
// expect: new function count_up
// expect: new data users
// expect: removed function count
// expect: removed data uses
// expect: refused state_lost users
#include "kernel.h"

#ifdef POST
static long users;
static noinline void count_up(int x) { users += x; }
int f(int a) { count_up(a + 1); return other(a); }
#else
static int uses;
static noinline void count(int x) { uses += x; }
int f(int a) { count(a); return other(a); }
#endif
