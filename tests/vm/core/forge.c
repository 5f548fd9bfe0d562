/*
 * forge MODULE.ko NAME OPTIONS TIMES SEED TABLES: loads the update module with its tables (letters of
 * poke=, in update.h; one twice is changed twice as often) changed at random,
 * and has whatever the core accepts checked, applied, read and reversed. Prints how many were refused
 * at registration, refused later, and applied.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOLDER "/sys/kernel/ksplice"

static int write_stage(const char *id, const char *word)
{
	char path[600];

	snprintf(path, sizeof(path), FOLDER "/%s/stage", id);
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, word, strlen(word));
	close(fd);
	return n < 0 ? -1 : 0;
}

static void read_all(const char *id)
{
	static const char *const names[] = { "functions", "targets", "conflicts", "abort_message" };
	static char buf[65536];
	char path[600];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), FOLDER "/%s/%s", id, names[i]);
		int fd = open(path, O_RDONLY);
		while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0) {
		}
		close(fd);
	}
}

/* Returns how many updates could be applied. */
static int use_updates(void)
{
	DIR *folder = opendir(FOLDER);
	int applied = 0;

	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		write_stage(entry->d_name, "check");
		applied += !write_stage(entry->d_name, "applied");
		read_all(entry->d_name);
		write_stage(entry->d_name, "reversed");
	}
	if (folder)
		closedir(folder);
	return applied;
}

int main(int argc, char **argv)
{
	static char image[8 << 20];
	int refused = 0, later = 0, applied = 0;

	if (argc != 7)
		return 2;
	int fd = open(argv[1], O_RDONLY);
	ssize_t size = read(fd, image, sizeof(image));
	srandom(atoi(argv[5]));
	for (int i = atoi(argv[4]); i; i--) {
		char options[4096];
		int n = snprintf(options, sizeof(options), "%s poke=", argv[3]);

		for (int pokes = 1 + random() % 3; pokes; pokes--)
			n += snprintf(options + n, sizeof(options) - n, "/%c:%ld:%ld" + (options[n - 1] == '='),
				      argv[6][random() % strlen(argv[6])], random() % 4096,
				      random() % 2 ? 1 << random() % 8 : 1 + random() % 255);
		if (syscall(SYS_init_module, image, size, options)) {
			refused++;
			continue;
		}
		if (use_updates())
			applied++;
		else
			later++;
		while (syscall(SYS_delete_module, argv[2], O_NONBLOCK)) {
			if (errno == ENOENT)
				break;
			printf("cannot unload after %s: %s\n", options, strerror(errno));
			return 1;
		}
	}
	printf("refused %d later %d applied %d\n", refused, later, applied);
	return 0;
}
