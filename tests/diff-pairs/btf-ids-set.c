// A set that a function asks: what it gains can be known there.
// expect: new data __BTF_ID__func__second
// expect: refused data_changed allowed
#include "kernel.h"

#define IDS(text) asm(".pushsection .BTF_ids,\"a\"\n" text "\n.popsection")
#define ID(what, number, flags) ".local __BTF_ID__" what "__" number "\n.type __BTF_ID__" what "__" number \
	", STT_OBJECT\n.size __BTF_ID__" what "__" number ", 4\n__BTF_ID__" what "__" number ": .zero 4\n" flags "\n"
#define SET(name) ".local " name "\n" name ":\n.local __BTF_ID__set__" name "\n__BTF_ID__set__" name ": .zero 4\n"
#ifdef POST
IDS(SET("allowed") ID("func__first", "1", "") ID("func__second", "2", ""));
#else
IDS(SET("allowed") ID("func__first", "1", ""));
#endif
extern const int allowed[];
int is_allowed(int id) { use(allowed); return other(id); }
