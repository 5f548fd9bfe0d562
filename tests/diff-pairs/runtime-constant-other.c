// expect: changed function put special
// The code has a dummy for what the kernel's start puts in: only the section's name says which constant it is.
extern void free_to(void *cache, void *object);

#ifdef POST
#define CONSTANT "runtime_ptr_files"
#else
#define CONSTANT "runtime_ptr_backing_files"
#endif

void put(void *object)
{
	void *cache;

	asm("movabs $0x0123456789abcdef, %0\n1:\n.pushsection " CONSTANT ",\"a\"\n.long 1b - 8 - .\n.popsection" : "=r"(cache));
	free_to(cache, object);
}
