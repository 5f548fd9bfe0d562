/* What the pairs need of the kernel: declarations, and imitations of the macros that make special
 * sections, with the layouts of arch/x86 in 6.1 (ALTERNATIVE14 and EXPORT64: of 6.12). */
#define noinline __attribute__((noinline))
#define notrace __attribute__((no_instrument_function))
#define __init __attribute__((section(".init.text"), no_instrument_function))

int other(int);
int another(int);
int third(int);
int printk(const char *format, ...);
void use(const void *);

/* struct bug_entry { int bug_addr_disp, file_disp; unsigned short line, flags; } */
#define BUG_ENTRY(line, flags)                                                           \
	asm volatile("1: ud2\n.pushsection __bug_table,\"aw\"\n.long 1b - .\n"           \
		     ".long %c0 - .\n.word %c1\n.word %c2\n.popsection"                  \
		     : : "i"(__FILE__), "i"(line), "i"(flags))
#define WARN_FLAGS(flags) BUG_ENTRY(7, flags)
#define WARN_ON(c) do { if (c) BUG_ENTRY(__LINE__, 2305); } while (0)

/* struct jump_entry { int code, target; long key; } */
#define static_branch(key) ({                                                            \
	__label__ yes, end;                                                              \
	int value = 0;                                                                   \
	asm goto("1: .byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"                               \
		 ".pushsection __jump_table,\"aw\"\n.balign 8\n.long 1b - ., %l[yes] - .\n" \
		 ".quad %c0 - .\n.popsection" : : "i"(&(key)) : : yes);                  \
	goto end;                                                                        \
	yes: value = 1;                                                                  \
	end: value; })

/* struct alt_instr { int instr, repl; u16 cpuid; u8 instrlen, replacementlen; } */
#define ALTERNATIVE_(old, new, head)                                                     \
	asm volatile("661: " old "\n662:\n.pushsection .altinstructions,\"a\"\n"         \
		     ".long 661b - .\n.long 663f - .\n" head "\n"                        \
		     ".byte 662b - 661b, 664f - 663f\n.popsection\n"                     \
		     ".pushsection .altinstr_replacement,\"ax\"\n663: " new "\n664:\n"   \
		     ".popsection" : : : "memory", "rax")
#define ALTERNATIVE(old, new, feature) ALTERNATIVE_(old, new, ".word " #feature)
#define ALTERNATIVE14(old, new, feature) ALTERNATIVE_(old, new, ".long " #feature)

/* struct exception_table_entry { int insn, fixup, data; } */
#define EX_LOAD(x, error, kind)                                                          \
	asm volatile("1: movl (%%rax), %0\n2:\n.pushsection __ex_table,\"a\"\n.balign 4\n" \
		     ".long 1b - ., 2b - ., %c2\n.popsection"                            \
		     : "+r"(x), "+r"(error) : "i"(kind) : "rax")
/* as before 5.16: the fixup is code of its own */
#define FIXUP_LOAD(x, error)                                                             \
	asm volatile("jmp 3f\n2:\n.pushsection .fixup,\"ax\"\n3: movl %1, %0\njmp 2b\n"  \
		     ".popsection" : "+r"(x) : "i"(error))

#define LOCK_INC(x)                                                                      \
	asm volatile(".pushsection .smp_locks,\"a\"\n.balign 4\n.long 1f - .\n"          \
		     ".popsection\n1: lock incl %0" : "+m"(x))

/* struct paravirt_patch_site { u8 *instr; u8 type, len; } */
#define PARAVIRT(type)                                                                   \
	asm volatile("771: call *pv_ops(%%rip)\n772:\n"                      \
		     ".pushsection .parainstructions,\"a\"\n.balign 8\n.quad 771b\n"     \
		     ".byte " #type "\n.byte 772b - 771b\n.balign 8\n.popsection" : : : "memory")

struct ddebug {
	const char *modname, *function, *filename, *format;
	unsigned lineno : 18, class_id : 6, flags : 8;
	long key[2];
};
void dynamic_pr_debug(struct ddebug *, const char *, ...);
#define pr_debug(format, ...) do {                                                       \
	static struct ddebug __attribute__((section("__dyndbg"), aligned(8), used))      \
		descriptor = { "mod", __func__, __FILE__, format, __LINE__, 63, 0 };     \
	if (descriptor.flags)                                                            \
		dynamic_pr_debug(&descriptor, format, ##__VA_ARGS__); } while (0)

struct pi_entry {
	const char *fmt, *func, *file;
	unsigned line;
	const char *level, *prefix;
};
#define printk_indexed(format, ...) do {                                                 \
	static const struct pi_entry _entry __attribute__((used)) =                      \
		{ format, __func__, __FILE__, __LINE__, 0, 0 };                          \
	static const struct pi_entry *const _entry_ptr                                   \
		__attribute__((used, section(".printk_index"))) = &_entry;               \
	printk(format, ##__VA_ARGS__); } while (0)

#define EXPORT(name, license)                                                            \
	asm(".pushsection ___ksymtab" license "+" #name ",\"a\"\n.balign 4\n"            \
	    "__ksymtab_" #name ": .long " #name " - .\n.long 0\n.long 0\n.popsection")
#define EXPORT64(name, license)                                                          \
	asm(".pushsection .export_symbol,\"a\"\n__export_symbol_" #name ":\n"            \
	    ".asciz \"" license "\"\n.asciz \"\"\n.balign 8\n.quad " #name "\n.popsection")
