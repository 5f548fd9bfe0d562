/*
 * fail_nth CORE.ko UPDATE.ko NAME ID OPTIONS: lets the n-th allocation that the kernel makes for one operation
 * fail, for each n until the operation no longer reaches it: loading the core, loading an update module,
 * check, applied, reading all files, writing allow_busy, reversed, and unloading. After each the state must be
 * the one before or the one after, as the operation has said, and the same operation must then succeed.
 * Needs a kernel with failslab. Prints per operation how many places there were, and how many made it fail.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOLDER "/sys/kernel/ksplice"

enum operation { LOAD_CORE, LOAD, CHECK, APPLY, READ, SETTING, REVERSE, UNLOAD, NR_OPERATIONS };
static const char *const operations[] = { "core", "load", "check", "applied", "read", "setting", "reversed",
					  "unload" };

static struct {
	char data[8 << 20];
	ssize_t size;
} core, update;
static const char *name, *id, *options;
static int control;
static char original[4096];

static void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	exit(1);
}

static const char *in_folder(const char *file)
{
	static char path[600];

	snprintf(path, sizeof(path), FOLDER "/%s/%s", id, file);
	return path;
}

static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n < 0 ? 0 : n] = 0;
	return n;
}

static int write_file(const char *file, const char *word)
{
	int fd = open(in_folder(file), O_WRONLY);
	ssize_t n = fd < 0 ? -1 : write(fd, word, strlen(word));

	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : 0;
}

static int read_all(void)
{
	static char buf[65536];
	char folder[300];
	DIR *dir;
	int ret = 0;

	snprintf(folder, sizeof(folder), FOLDER "/%s", id);
	dir = opendir(folder);
	if (!dir)
		return -1;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.' && read_file(in_folder(entry->d_name), buf, sizeof(buf)) < 0)
			ret = -1;
	closedir(dir);
	return ret;
}

static int operate(enum operation operation)
{
	switch (operation) {
	case LOAD_CORE:
		return syscall(SYS_init_module, core.data, core.size, "");
	case LOAD:
		return syscall(SYS_init_module, update.data, update.size, options);
	case READ:
		return read_all();
	case SETTING:
		return write_file("allow_busy", "hrtimer_nanosleep") | write_file("partial", "none");
	case UNLOAD:
		return syscall(SYS_delete_module, name, O_NONBLOCK);
	default:
		return write_file("stage", operations[operation]);
	}
}

/* Is the state that of before (done 0) or after (done 1) the operation? */
static void check_state(enum operation operation, int done, int n)
{
	int applied = operation == APPLY ? done : operation == REVERSE ? !done :
		      operation > APPLY && operation < UNLOAD;
	int present = operation == LOAD ? done : operation == UNLOAD ? !done : operation > LOAD;
	char text[4096], stage[64];

	read_file("/proc/cmdline", text, sizeof(text));
	if ((strcmp(text, original) != 0) != applied)
		fail("%s, allocation %d: /proc/cmdline is %s", operations[operation], n, text);
	if ((access(in_folder("stage"), F_OK) == 0) != present)
		fail("%s, allocation %d: present: %d", operations[operation], n, !present);
	if (present && read_file(in_folder("stage"), stage, sizeof(stage)) < 0)
		fail("%s, allocation %d: no stage", operations[operation], n);
	if (present && (strcmp(stage, "applied\n") == 0) != applied)
		fail("%s, allocation %d: stage %s", operations[operation], n, stage);
}

static void must(enum operation operation)
{
	if (operate(operation))
		fail("%s fails without a fault: %s", operations[operation], strerror(errno));
}

/* What has to be before the operation, if it is not so already. */
static void before(enum operation operation)
{
	if (operation > LOAD && access(in_folder("stage"), F_OK))
		must(LOAD);
	if (operation > APPLY && operation < UNLOAD)
		must(APPLY);	/* nothing to do if it is applied */
}

/* Back to where before() begins, unless the operation has changed nothing. */
static void after(enum operation operation)
{
	if (operation == LOAD_CORE && syscall(SYS_delete_module, "ksplice", O_NONBLOCK))
		fail("the core cannot be unloaded: %s", strerror(errno));
	if (operation == APPLY)
		must(REVERSE);
	if (operation == LOAD || operation == APPLY || operation == REVERSE)
		must(UNLOAD);
}

/* The operation with its n-th allocation failing; whether there was an n-th. */
static int inject(enum operation operation, int n, int *refused)
{
	char text[32];
	int ret, left;

	snprintf(text, sizeof(text), "%d", n);
	if (pwrite(control, text, strlen(text), 0) < 0)
		fail("fail-nth cannot be set: %s", strerror(errno));
	ret = operate(operation);
	memset(text, 0, sizeof(text));
	if (pread(control, text, sizeof(text) - 1, 0) < 0)
		fail("fail-nth cannot be read: %s", strerror(errno));
	left = atoi(text);
	if (pwrite(control, "0", 1, 0) < 0)
		fail("fail-nth cannot be set back: %s", strerror(errno));
	if (ret && left)
		fail("%s fails without a fault: %s", operations[operation], strerror(errno));
	if (operation != LOAD_CORE)
		check_state(operation, !ret, n);
	*refused += ret != 0;
	if (ret && operate(operation))
		fail("%s fails after allocation %d had failed: %s", operations[operation], n, strerror(errno));
	return !left;
}

static void run(enum operation operation)
{
	int n = 0, refused = 0, more;

	do {
		before(operation);
		more = inject(operation, ++n, &refused);
		if (more || operation != LOAD_CORE)
			after(operation);
	} while (more);
	if (operation == SETTING) {
		must(REVERSE);
		must(UNLOAD);
	}
	printf("%s: %d places, %d refused\n", operations[operation], n - 1, refused);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	core.size = read_file(argv[1], core.data, sizeof(core.data));
	update.size = read_file(argv[2], update.data, sizeof(update.data));
	name = argv[3];
	id = argv[4];
	options = argv[5];
	read_file("/proc/cmdline", original, sizeof(original));
	control = open("/proc/self/fail-nth", O_RDWR);
	if (control < 0)
		fail("no fail-nth: %s", strerror(errno));
	for (enum operation operation = LOAD_CORE; operation < NR_OPERATIONS; operation++)
		run(operation);
	return 0;
}
