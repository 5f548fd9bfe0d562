// expect: changed data _entry
// expect: refused data_changed _entry
// Named as what printk's index makes.
struct limits { long head[3]; unsigned int most, least; };
#ifdef POST
struct limits _entry = { { 1, 2, 3 }, 700, 5 };
#else
struct limits _entry = { { 1, 2, 3 }, 300, 5 };
#endif
