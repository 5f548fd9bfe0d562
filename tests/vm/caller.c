/* caller N FILE [BYTES [MS]]: opens and reads the file N times, with a pause after the first, for trace.sh. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static __attribute__((noinline)) void call_often(int times, const char *path, size_t bytes, int pause)
{
	char text[4096];

	for (int i = 0; i < times; ++i) {
		int fd = open(path, O_RDONLY);

		if (fd < 0)
			continue;
		if (read(fd, text, bytes) < 0)
			exit(1);
		close(fd);
		if (i == 0)
			usleep(pause * 1000);
	}
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 3 ? (size_t)atoi(argv[3]) : 512;

	call_often(atoi(argv[1]), argv[2], bytes > 4096 ? 4096 : bytes, argc > 4 ? atoi(argv[4]) : 0);
	return argc < 3;
}
