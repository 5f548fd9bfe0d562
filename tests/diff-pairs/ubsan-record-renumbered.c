// cc: gcc
// flags: -g -fsanitize=bounds
// expect: changed function second code

// What UBSAN knows of a place is a writable datum without a name; the compiler numbers their sections, and which function
// comes first is not the author's.
int table[4];
int wide[8];

int last(unsigned at) { return wide[at]; }

int second(unsigned at) {
#ifdef POST
  wide[at + 1] = 5;
#endif
  return table[at];
}

int first(unsigned at) { return table[at] + wide[at]; }
