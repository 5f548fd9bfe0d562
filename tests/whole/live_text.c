/*
 * live_text START END FILE: says how many bytes of the kernel's memory from START to END (its code, by
 * /proc/kallsyms) differ from FILE, and in how many places; makes FILE if there is none. So a test that the
 * kernel's rewriting does no harm can show that there was some.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What /proc/kcore, an ELF file, has of these addresses. */
static int read_kernel(unsigned long start, char *to, unsigned long size)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	int fd = open("/proc/kcore", O_RDONLY);

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		return 0;
	for (int i = 0; i < header.e_phnum; i++) {
		off_t at = header.e_phoff + i * sizeof(segment);

		if (pread(fd, &segment, sizeof(segment), at) != sizeof(segment))
			return 0;
		if (segment.p_type != PT_LOAD || start < segment.p_vaddr ||
		    start + size > segment.p_vaddr + segment.p_memsz)
			continue;
		at = segment.p_offset + (start - segment.p_vaddr);
		for (unsigned long done = 0; done < size;) {
			ssize_t n = pread(fd, to + done, size - done, at + done);

			if (n <= 0)
				return 0;
			done += n;
		}
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long start, size, bytes = 0, places = 0;
	char *now, *before;
	FILE *file;

	if (argc != 4)
		return 2;
	start = strtoul(argv[1], NULL, 16);
	size = strtoul(argv[2], NULL, 16) - start;
	now = malloc(size);
	before = malloc(size);
	if (!now || !before || !read_kernel(start, now, size)) {
		perror("/proc/kcore");
		return 1;
	}
	file = fopen(argv[3], "r");
	if (!file) {
		file = fopen(argv[3], "w");
		return !file || fwrite(now, size, 1, file) != 1 || fclose(file);
	}
	if (fread(before, size, 1, file) != 1)
		return 1;
	for (unsigned long i = 0; i < size; i++) {
		if (now[i] == before[i])
			continue;
		places += !bytes || !i || now[i - 1] == before[i - 1];
		bytes++;
	}
	printf("%lu bytes in %lu places\n", bytes, places);
	return 0;
}
