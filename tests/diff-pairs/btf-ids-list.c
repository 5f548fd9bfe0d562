// twin of btf-ids-order: places in a list have a meaning
// expect: refused data_changed types
#include "kernel.h"

#define IDS(text) asm(".pushsection .BTF_ids,\"a\"\n" text "\n.popsection")
#define ID(what, number, flags) ".local __BTF_ID__" what "__" number "\n.type __BTF_ID__" what "__" number \
	", STT_OBJECT\n.size __BTF_ID__" what "__" number ", 4\n__BTF_ID__" what "__" number ": .zero 4\n" flags "\n"
#define SET8(name) ".local " name "\n" name ":\n.local __BTF_ID__set8__" name "\n__BTF_ID__set8__" name ": .zero 8\n"
#define LIST(name) ".local " name "\n" name ":\n"
#ifdef POST
IDS(LIST("types") ID("struct__sock", "1", "") ID("struct__file", "2", ""));
#else
IDS(LIST("types") ID("struct__file", "1", "") ID("struct__sock", "2", ""));
#endif
