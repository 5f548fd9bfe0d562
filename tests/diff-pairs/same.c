#include "kernel.h"

int f(int a) { return a * 3 + other(a); }
