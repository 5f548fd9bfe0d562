// expect: refused data_changed kfuncs
#include "kernel.h"

#define IDS(text) asm(".pushsection .BTF_ids,\"a\"\n" text "\n.popsection")
#define ID(what, number, flags) ".local __BTF_ID__" what "__" number "\n.type __BTF_ID__" what "__" number \
	", STT_OBJECT\n.size __BTF_ID__" what "__" number ", 4\n__BTF_ID__" what "__" number ": .zero 4\n" flags "\n"
#define SET8(name) ".local " name "\n" name ":\n.local __BTF_ID__set8__" name "\n__BTF_ID__set8__" name ": .zero 8\n"
#define LIST(name) ".local " name "\n" name ":\n"
#ifdef POST
IDS(SET8("kfuncs") ID("func__first", "1", ".long 0x21") ID("func__second", "2", ".long 0"));
#else
IDS(SET8("kfuncs") ID("func__first", "1", ".long 0x20") ID("func__second", "2", ".long 0"));
#endif
