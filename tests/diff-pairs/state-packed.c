// Variables that become members of one, elements of one, or a wider one.
// cc: gcc
// flags: -g
// expect: changed function get code
// expect: changed function put code
// expect: changed function count code
// expect: changed function open code
// expect: new data stats
// expect: new data counts
// expect: new data opened
// expect: removed data users
// expect: removed data hits
// expect: removed data reads
// expect: removed data openers
// expect: refused state_lost stats
// expect: refused state_lost counts
// expect: refused state_lost opened
#include "kernel.h"

#ifdef POST
static struct { int users, hits; } stats;
static int counts[3];
static long opened;
int get(void) { if (stats.users > 10) { stats.hits++; return -1; } return stats.users++; }
void put(void) { stats.users--; }
int count(int k) { return k > 2 ? -1 : ++counts[k]; }
int open(void) { return opened > 10 ? -1 : (int)opened++; }
#else
static int users, hits, reads, openers;
int get(void) { if (users > 10) { hits++; return -1; } return users++; }
void put(void) { users--; }
int count(int k) { return k ? -1 : ++reads; }
int open(void) { return openers > 10 ? -1 : openers++; }
#endif
