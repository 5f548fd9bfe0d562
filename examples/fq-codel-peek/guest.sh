# Run by tests/vm/debian_hooks.sh, which gives must, is, and points_to.
must points_to fq_codel_qdisc_ops qdisc_peek_dequeued
must ksplice-apply ksplice-fqpeek.tar.gz
must points_to fq_codel_qdisc_ops fq_codel_peek
must not points_to fq_codel_qdisc_ops qdisc_peek_dequeued
echo fq_codel >/proc/sys/net/core/default_qdisc
must modprobe ifb
must ip link set ifb0 up
must ip addr add 10.1.1.1/24 dev ifb0
ping -c 1 -W 1 10.1.1.2 >/dev/null # its ARP request goes through the queue
must ksplice-undo fqpeek
must points_to fq_codel_qdisc_ops qdisc_peek_dequeued
must not points_to fq_codel_qdisc_ops fq_codel_peek
must ip link set ifb0 down
