/*
 * flip_keys: uses what makes the kernel turn static keys of cgroups and sockets: a BPF program on a cgroup
 * (its folder is the argument), time stamps, a packet socket with a fanout group, UDP tunnels. Then it waits.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void say(const char *what, long ret)
{
	printf(" %s: %s;", what, ret < 0 ? strerror(errno) : "on");
}

static void option(const char *what, int fd, int level, int name, int value)
{
	say(what, setsockopt(fd, level, name, &value, sizeof(value)));
}

static long attach(const char *cgroup, enum bpf_prog_type program_type, enum bpf_attach_type type)
{
	static const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = program_type, .insns = (uint64_t)program, .insn_cnt = 2,
				.license = (uint64_t)"GPL", .expected_attach_type = type };
	long fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (fd < 0)
		return fd;
	attr = (union bpf_attr){ .target_fd = open(cgroup, O_RDONLY), .attach_bpf_fd = fd, .attach_type = type };
	return syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr));
}

int main(int argc, char **argv)
{
	int udp = socket(AF_INET, SOCK_DGRAM, 0), udp6 = socket(AF_INET6, SOCK_DGRAM, 0);
	int packet = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	struct sockaddr_ll all = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = 1 };

	if (argc != 2)
		return 2;
	say("cgroup ingress", attach(argv[1], BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS));
	say("cgroup egress", attach(argv[1], BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS));
	say("cgroup socket", attach(argv[1], BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE));
	option("time stamps", udp, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	option("time stamping", udp, SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE);
	option("udp encapsulation", udp, IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP);
	option("udp6 encapsulation", udp6, IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP);
	say("packet socket", bind(packet, (struct sockaddr *)&all, sizeof(all)));
	option("fanout", packet, SOL_PACKET, PACKET_FANOUT, 7);
	puts("");
	fflush(stdout);
	pause();
	return 0;
}
