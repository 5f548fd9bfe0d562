/*
 * multi SYMBOL|0xADDRESS FILE: attaches a BPF program of the kind kprobe.multi to a function, by its name or
 * address, and writes how often it has run to FILE at SIGUSR1. Needs kernel.bpf_stats_enabled.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRACE_KPROBE_MULTI 42

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	static const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_KPROBE, .insns = (uint64_t)program, .insn_cnt = 2,
				.license = (uint64_t)"GPL", .expected_attach_type = TRACE_KPROBE_MULTI };
	union bpf_attr attach = { .link_create.attach_type = TRACE_KPROBE_MULTI, .link_create.kprobe_multi.cnt = 1 };
	uint64_t address, symbol;
	sigset_t set;
	int number, fd;

	if (argc != 3)
		return 2;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = bpf(BPF_PROG_LOAD, &load);
	if (fd < 0)
		return fail("BPF_PROG_LOAD");
	address = strtoull(argv[1], NULL, 0);
	symbol = (uint64_t)argv[1];
	attach.link_create.prog_fd = fd;
	if (address)
		attach.link_create.kprobe_multi.addrs = (uint64_t)&address;
	else
		attach.link_create.kprobe_multi.syms = (uint64_t)&symbol;
	if (bpf(BPF_LINK_CREATE, &attach) < 0)
		return fail("BPF_LINK_CREATE");
	puts("attached");
	fflush(stdout);
	while (!sigwait(&set, &number)) {
		struct bpf_prog_info info = { 0 };
		union bpf_attr ask = { .info = { .bpf_fd = fd, .info_len = sizeof(info), .info = (uint64_t)&info } };
		FILE *file = fopen(argv[2], "w");

		if (!file || bpf(BPF_OBJ_GET_INFO_BY_FD, &ask))
			return fail(argv[2]);
		fprintf(file, "%llu\n", (unsigned long long)info.run_cnt);
		fclose(file);
	}
	return 1;
}
