// expect: changed function index_of special
// A shift that the kernel's start sets, and one that is always 12.
unsigned index_of(unsigned hash)
{
#ifdef POST
	asm("shrl $12, %0" : "+r"(hash));
#else
	asm("shrl $12, %0\n1:\n.pushsection runtime_shift_hash,\"a\"\n.long 1b - 1 - .\n.popsection" : "+r"(hash));
#endif
	return hash;
}
