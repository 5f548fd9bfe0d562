/*
 * company FUNCTION FILE [EVENT]: attaches BPF programs to the beginning and the end of a kernel function
 * (fentry, fexit, and with FMOD_RET in the environment fmod_ret, which could change what it returns) and perf events to it (EVENT, by default its kprobe event kprobes/ksplice_probe, and
 * ftrace:function) on the processors that it may run on, fexit first, or last with FENTRY_FIRST in the environment. At SIGUSR1 writes how often each has seen the function since the last time to FILE.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_CPUS 8
#define TRACING "/sys/kernel/tracing/events/"

struct counter {
	const char *name;
	int fds[MAX_CPUS];
	unsigned int nr_fds;
	uint64_t before;
};

static struct counter counters[] = { { "fentry" }, { "fexit" }, { "fmod_ret" }, { "kprobe" }, { "function" } };
#define NR_BPF 3

static void fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* Bytes of a type's record in BTF, see Documentation/bpf/btf.rst. */
static size_t type_size(const struct btf_type *type)
{
	static const uint8_t extra[] = { [BTF_KIND_INT] = 4, [BTF_KIND_ARRAY] = 12, [BTF_KIND_VAR] = 4, [17] = 4 };
	static const uint8_t per_member[] = { [BTF_KIND_STRUCT] = 12, [BTF_KIND_UNION] = 12, [BTF_KIND_ENUM] = 8,
					      [BTF_KIND_FUNC_PROTO] = 8, [BTF_KIND_DATASEC] = 12, [19] = 12 };
	unsigned int kind = type->info >> 24 & 0x1f, members = type->info & 0xffff;
	size_t size = sizeof(*type);

	if (kind < sizeof(extra))
		size += extra[kind];
	if (kind < sizeof(per_member))
		size += members * per_member[kind];
	return size;
}

static int find_function(const char *name)
{
	static char data[16 << 20];
	const struct btf_header *header = (void *)data;
	int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY);
	size_t size = 0, at;
	int id = 1;

	if (fd < 0)
		fail("no BTF");
	for (ssize_t n; (n = read(fd, data + size, sizeof(data) - size)) > 0;)
		size += n;
	close(fd);
	for (at = 0; at < header->type_len; id++) {
		const struct btf_type *type = (void *)(data + header->hdr_len + header->type_off + at);
		const char *own = data + header->hdr_len + header->str_off + type->name_off;

		if ((type->info >> 24 & 0x1f) == BTF_KIND_FUNC && !strcmp(own, name))
			return id;
		at += type_size(type);
	}
	errno = ENOENT;
	fail(name);
	return 0;
}

static void attach_bpf(struct counter *counter, int function, enum bpf_attach_type type)
{
	static const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_TRACING, .insns = (uint64_t)program, .insn_cnt = 2,
				.license = (uint64_t)"GPL", .expected_attach_type = type,
				.attach_btf_id = function };
	int fd = bpf(BPF_PROG_LOAD, &attr);

	if (fd < 0)
		fail("BPF_PROG_LOAD");
	attr = (union bpf_attr){ .raw_tracepoint.prog_fd = fd };
	if (bpf(BPF_RAW_TRACEPOINT_OPEN, &attr) < 0)
		fail("BPF_RAW_TRACEPOINT_OPEN");
	counter->fds[counter->nr_fds++] = fd;
}

static void attach_perf(struct counter *counter, const char *event, const char *filter)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .sample_period = 1,
					.sample_type = PERF_SAMPLE_RAW,
					.exclude_callchain_user = 1, .disabled = 1 };
	char path[128];
	cpu_set_t own;
	FILE *file;

	CPU_ZERO(&own);
	if (sched_getaffinity(0, sizeof(own), &own))
		fail("sched_getaffinity");
	snprintf(path, sizeof(path), TRACING "%s/id", event);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%llu", &attr.config) != 1)
		fail(path);
	fclose(file);
	for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (!CPU_ISSET(cpu, &own))
			continue;
		int fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, 0);

		if (fd < 0 || (filter && ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter)) ||
		    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
			fail(event);
		counter->fds[counter->nr_fds++] = fd;
	}
}

static uint64_t count(const struct counter *counter)
{
	uint64_t sum = 0, value;

	for (unsigned int i = 0; i < counter->nr_fds; i++) {
		struct bpf_prog_info info = { 0 };
		union bpf_attr attr = { .info = { .bpf_fd = counter->fds[i], .info_len = sizeof(info),
						  .info = (uint64_t)&info } };

		if (counter - counters < NR_BPF && !bpf(BPF_OBJ_GET_INFO_BY_FD, &attr))
			sum += info.run_cnt;
		else if (read(counter->fds[i], &value, sizeof(value)) == sizeof(value))
			sum += value;
	}
	return sum;
}

static void write_counts(const char *path)
{
	char temporary[256];
	FILE *file;

	snprintf(temporary, sizeof(temporary), "%s.part", path);
	file = fopen(temporary, "w");
	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
		uint64_t now = count(&counters[i]);

		if (counters[i].nr_fds)
			fprintf(file, "%s%s %llu", i ? ", " : "", counters[i].name,
				(unsigned long long)(now - counters[i].before));
		counters[i].before = now;
	}
	fclose(file);
	rename(temporary, path);
}

int main(int argc, char **argv)
{
	sigset_t set;
	char filter[128];
	int function, number;

	if (argc != 3 && argc != 4)
		return 2;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	function = find_function(argv[1]);
	/*
	 * In this order. The other one, on a function that a livepatch or the handler of an update has, makes 6.1
	 * shut ftrace down: bpf_trampoline_update() then clears fops->func of an ops that is registered already.
	 */
	if (getenv("FENTRY_FIRST"))
		attach_bpf(&counters[0], function, BPF_TRACE_FENTRY);
	attach_bpf(&counters[1], function, BPF_TRACE_FEXIT);
	if (!getenv("FENTRY_FIRST"))
		attach_bpf(&counters[0], function, BPF_TRACE_FENTRY);
	if (getenv("FMOD_RET"))
		attach_bpf(&counters[2], function, BPF_MODIFY_RETURN);
	attach_perf(&counters[3], argc == 4 ? argv[3] : "kprobes/ksplice_probe", NULL);
	snprintf(filter, sizeof(filter), "ip == %s", argv[1]);
	attach_perf(&counters[4], "ftrace/function", filter);
	puts("attached");
	fflush(stdout);
	while (!sigwait(&set, &number))
		write_counts(argv[2]);
	return 1;
}
