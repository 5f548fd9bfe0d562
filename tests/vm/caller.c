/* caller N FILE: opens and reads the file N times, for trace.sh. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char text[512];
	for (int i = 0; i < atoi(argv[1]); ++i) {
		int fd = open(argv[2], O_RDONLY);
		if (fd < 0)
			continue;
		if (read(fd, text, sizeof text) < 0)
			return 1;
		close(fd);
	}
	return 0;
}
