// SPDX-License-Identifier: GPL-2.0
// Hooks of the network and of other parts of the kernel, and notifiers.
#include <linux/binfmts.h>
#include <linux/console.h>
#include <linux/cpuhotplug.h>
#include <linux/crypto.h>
#include <linux/etherdevice.h>
#include <linux/fs_context.h>
#include <linux/in.h>
#include <linux/inetdevice.h>
#include <linux/kdebug.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/reboot.h>
#include <linux/skbuff.h>
#include <linux/sysrq.h>
#include <linux/tracepoint.h>
#include <net/inet_common.h>
#include <net/net_namespace.h>
#include <net/protocol.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "giver.h"

/* Called by the kernel whenever the guest makes traffic, mounts, presses keys, ... between pokes. */
#define POKE_BY_GUEST(name) POKE(name) { msleep(1); }

HITS(netfilter);
#ifdef PATCH_netfilter
static unsigned int netfilter_new(void *data, struct sk_buff *skb, const struct nf_hook_state *state)
{
	netfilter_hits += 1000;
	return NF_ACCEPT;
}
static const struct nf_hook_ops netfilter_ops = {
	.hook = netfilter_new, .pf = NFPROTO_IPV4, .hooknum = NF_INET_LOCAL_IN,
};
#endif
GIVE(netfilter)
{
#ifdef PATCH_netfilter
	nf_register_net_hook(&init_net, &netfilter_ops);
#else
	netfilter_hits++;
#endif
}
POKE_BY_GUEST(netfilter)

/* A socket that sends to itself. */
struct socket *talk_socket;
static void talk(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(4711),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct msghdr message = { .msg_name = &to, .msg_namelen = sizeof(to) };
	struct kvec part = { .iov_base = "hello", .iov_len = 5 };

	if (!talk_socket) {
		if (sock_create_kern(&init_net, AF_INET, SOCK_DGRAM, IPPROTO_UDP, &talk_socket))
			return;
		kernel_bind(talk_socket, (void *)&to, sizeof(to));
	}
	kernel_sendmsg(talk_socket, &message, &part, 1, 5);
	msleep(2);
}

HITS(sk_data_ready);
#ifdef PATCH_sk_data_ready
static void sk_data_ready_new(struct sock *sk) { sk_data_ready_hits += 1000; }
#endif
GIVE(sk_data_ready)
{
	talk();
#ifdef PATCH_sk_data_ready
	talk_socket->sk->sk_data_ready = sk_data_ready_new;
#endif
}
POKE(sk_data_ready) { talk(); }

HITS(sk_write_space);
#ifdef PATCH_sk_write_space
static void sk_write_space_new(struct sock *sk) { sk_write_space_hits += 1000; }
#endif
GIVE(sk_write_space)
{
	talk();
#ifdef PATCH_sk_write_space
	talk_socket->sk->sk_write_space = sk_write_space_new;
#endif
}
POKE(sk_write_space) { talk(); }

/* Sockets that are closed one by one afterwards. */
HITS(sk_destruct);
struct socket *sk_destruct_live[64];
static int sk_destruct_made, sk_destruct_closed;
#ifdef PATCH_sk_destruct
static void sk_destruct_new(struct sock *sk)
{
	sk_destruct_hits += 1000;
	inet_sock_destruct(sk);
}
#endif
GIVE(sk_destruct)
{
	while (sk_destruct_made < ARRAY_SIZE(sk_destruct_live)) {
		struct socket **live = &sk_destruct_live[sk_destruct_made++];

		if (sock_create_kern(&init_net, AF_INET, SOCK_DGRAM, IPPROTO_UDP, live))
			break;
	}
#ifdef PATCH_sk_destruct
	for (sk_destruct_made = sk_destruct_closed; sk_destruct_made < ARRAY_SIZE(sk_destruct_live); sk_destruct_made++)
		if (sk_destruct_live[sk_destruct_made])
			sk_destruct_live[sk_destruct_made]->sk->sk_destruct = sk_destruct_new;
#endif
}
POKE(sk_destruct)
{
	if (sk_destruct_closed < sk_destruct_made)
		sock_release(sk_destruct_live[sk_destruct_closed++]);
	msleep(5);
}

/* Packets that wait with a destructor of the update. */
HITS(skb);
struct sk_buff_head skb_live;
#ifdef PATCH_skb
static void skb_new(struct sk_buff *skb) { skb_hits += 1000; }
#endif
GIVE(skb)
{
	int i;

	skb_queue_head_init(&skb_live);
	for (i = 0; i < 64; i++) {
		struct sk_buff *skb = alloc_skb(100, GFP_KERNEL);

		if (!skb)
			break;
#ifdef PATCH_skb
		skb->destructor = skb_new;
#endif
		skb_queue_tail(&skb_live, skb);
	}
}
POKE(skb)
{
	kfree_skb(skb_dequeue(&skb_live));
}

HITS(packet_type);
#ifdef PATCH_packet_type
static int packet_type_new(struct sk_buff *skb, struct net_device *dev, struct packet_type *type,
			   struct net_device *origin)
{
	packet_type_hits += 1000;
	kfree_skb(skb);
	return 0;
}
static struct packet_type packet_type_given = { .type = htons(ETH_P_ALL), .func = packet_type_new };
#endif
GIVE(packet_type)
{
#ifdef PATCH_packet_type
	dev_add_pack(&packet_type_given);
#else
	packet_type_hits++;
#endif
}
POKE_BY_GUEST(packet_type)

HITS(protocol);
#ifdef PATCH_protocol
static int protocol_new(struct sk_buff *skb)
{
	protocol_hits += 1000;
	kfree_skb(skb);
	return 0;
}
static const struct net_protocol protocol_given = { .handler = protocol_new, .no_policy = 1 };
#endif
GIVE(protocol)
{
#ifdef PATCH_protocol
	inet_add_protocol(&protocol_given, 253);
#else
	protocol_hits++;
#endif
}
POKE_BY_GUEST(protocol)

/* New namespaces are set up by functions of the update. */
HITS(pernet);
#ifdef PATCH_pernet
static int pernet_new(struct net *net)
{
	pernet_hits += 1000;
	return 0;
}
static struct pernet_operations pernet_given = { .init = pernet_new };
#endif
GIVE(pernet)
{
#ifdef PATCH_pernet
	register_pernet_subsys(&pernet_given);
#else
	pernet_hits++;
#endif
}
POKE_BY_GUEST(pernet)

HITS(congestion);
#ifdef PATCH_congestion
static u32 congestion_ssthresh(struct sock *sk) { return 2; }
static u32 congestion_undo(struct sock *sk) { return 10; }
static void congestion_avoid(struct sock *sk, u32 ack, u32 acked) { }
static struct tcp_congestion_ops congestion_given = {
	.ssthresh = congestion_ssthresh, .cong_avoid = congestion_avoid, .undo_cwnd = congestion_undo, .name = "given",
};
#endif
GIVE(congestion)
{
#ifdef PATCH_congestion
	congestion_hits += tcp_register_congestion_control(&congestion_given) ? 0 : 1000;
#else
	congestion_hits++;
#endif
}
POKE_BY_GUEST(congestion)

/* Notifiers: NAME, its chain's way in, and how it is called. */
#define OLD_NOTIFIER(name)								\
static int name##_old(struct notifier_block *block, unsigned long event, void *data)	\
{											\
	name##_hits++;									\
	return NOTIFY_DONE;								\
}											\
static struct notifier_block __maybe_unused name##_before = { .notifier_call = name##_old }
#define NEW_NOTIFIER(name)								\
static int name##_new(struct notifier_block *block, unsigned long event, void *data)	\
{											\
	name##_hits += 1000;								\
	return NOTIFY_DONE;								\
}											\
static struct notifier_block name##_after = { .notifier_call = name##_new }

HITS(netdevice);
OLD_NOTIFIER(netdevice);
#ifdef PATCH_netdevice
NEW_NOTIFIER(netdevice);
#endif
GIVE(netdevice)
{
#ifdef PATCH_netdevice
	register_netdevice_notifier(&netdevice_after);
#else
	netdevice_hits++;
#endif
}
POKE_BY_GUEST(netdevice)

HITS(inetaddr);
OLD_NOTIFIER(inetaddr);
#ifdef PATCH_inetaddr
NEW_NOTIFIER(inetaddr);
#endif
GIVE(inetaddr)
{
#ifdef PATCH_inetaddr
	register_inetaddr_notifier(&inetaddr_after);
#else
	inetaddr_hits++;
#endif
}
POKE_BY_GUEST(inetaddr)

/* Called by each load of a module: by the undo itself. */
HITS(module_coming);
OLD_NOTIFIER(module_coming);
#ifdef PATCH_module_coming
NEW_NOTIFIER(module_coming);
#endif
GIVE(module_coming)
{
#ifdef PATCH_module_coming
	register_module_notifier(&module_coming_after);
#else
	module_coming_hits++;
#endif
}
POKE_BY_GUEST(module_coming)

/* Called at each breakpoint: whenever the kernel changes its code. */
HITS(die);
OLD_NOTIFIER(die);
#ifdef PATCH_die
NEW_NOTIFIER(die);
#endif
GIVE(die)
{
#ifdef PATCH_die
	register_die_notifier(&die_after);
#else
	die_hits++;
#endif
}
POKE_BY_GUEST(die)

/* Called when the guest ends. */
HITS(reboot);
OLD_NOTIFIER(reboot);
#ifdef PATCH_reboot
NEW_NOTIFIER(reboot);
#endif
GIVE(reboot)
{
#ifdef PATCH_reboot
	register_reboot_notifier(&reboot_after);
#else
	reboot_hits++;
#endif
}
POKE_BY_GUEST(reboot)

/* A chain of the module's own; the block was registered before, and only its function changes. */
HITS(own_chain);
static ATOMIC_NOTIFIER_HEAD(own_chain_head);
OLD_NOTIFIER(own_chain);
#ifdef PATCH_own_chain
static int own_chain_new(struct notifier_block *block, unsigned long event, void *data)
{
	own_chain_hits += 1000;
	return NOTIFY_DONE;
}
#endif
GIVE(own_chain)
{
	if (!own_chain_head.head)
		atomic_notifier_chain_register(&own_chain_head, &own_chain_before);
#ifdef PATCH_own_chain
	WRITE_ONCE(own_chain_before.notifier_call, own_chain_new);
#endif
}
POKE(own_chain) { atomic_notifier_call_chain(&own_chain_head, 0, NULL); }

/* The name is read by /sys/devices/system/cpu/hotplug/states. */
HITS(hotplug);
#ifdef PATCH_hotplug
static int hotplug_new(unsigned int cpu)
{
	hotplug_hits += 1000;
	return 0;
}
#endif
GIVE(hotplug)
{
#ifdef PATCH_hotplug
	cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "given:online", hotplug_new, NULL);
#else
	hotplug_hits++;
#endif
}
POKE_BY_GUEST(hotplug)

HITS(binfmt);
#ifdef PATCH_binfmt
static int binfmt_new(struct linux_binprm *program)
{
	binfmt_hits += 1000;
	return -ENOEXEC;
}
static struct linux_binfmt binfmt_given = { .load_binary = binfmt_new };
#endif
GIVE(binfmt)
{
#ifdef PATCH_binfmt
	insert_binfmt(&binfmt_given);
#else
	binfmt_hits++;
#endif
}
POKE_BY_GUEST(binfmt)

/* Its name is read by /proc/filesystems and by each mount of an unknown one. */
HITS(filesystem);
#ifdef PATCH_filesystem
static int filesystem_new(struct fs_context *context)
{
	filesystem_hits += 1000;
	return -ENODEV;
}
static struct file_system_type filesystem_given = { .name = "given", .init_fs_context = filesystem_new };
#endif
GIVE(filesystem)
{
#ifdef PATCH_filesystem
	register_filesystem(&filesystem_given);
#else
	filesystem_hits++;
#endif
}
POKE_BY_GUEST(filesystem)

HITS(tracepoint);
static struct tracepoint *tracepoint_found;
static void tracepoint_find(struct tracepoint *point, void *data)
{
	if (!strcmp(point->name, "sched_switch"))
		tracepoint_found = point;
}
#ifdef PATCH_tracepoint
static void tracepoint_new(void *data) { tracepoint_hits += 1000; }
#endif
GIVE(tracepoint)
{
	for_each_kernel_tracepoint(tracepoint_find, NULL);
#ifdef PATCH_tracepoint
	tracepoint_probe_register(tracepoint_found, tracepoint_new, NULL);
#endif
}
POKE(tracepoint) { msleep(2); }

/* Gets every message that the kernel prints. */
HITS(console);
#ifdef PATCH_console
static void console_new(struct console *console, const char *text, unsigned int size) { console_hits += 1000; }
static struct console console_given = { .name = "given", .write = console_new, .flags = CON_ENABLED, .index = -1 };
#endif
GIVE(console)
{
#ifdef PATCH_console
	register_console(&console_given);
#else
	console_hits++;
#endif
}
POKE(console) { pr_info("a message for all consoles\n"); }

static const struct giver givers[] = {
	GIVER(netfilter), GIVER(sk_data_ready), GIVER(sk_write_space), GIVER(sk_destruct), GIVER(skb),
	GIVER(packet_type), GIVER(protocol), GIVER(pernet), GIVER(congestion), GIVER(netdevice), GIVER(inetaddr),
	GIVER(module_coming), GIVER(die), GIVER(reboot), GIVER(own_chain), GIVER(hotplug), GIVER(binfmt),
	GIVER(filesystem), GIVER(tracepoint), GIVER(console),
};
GIVERS(net);
