# Run by tests/vm/debian_hooks.sh, which gives must, is, and points_to.
must points_to fq_codel_qdisc_ops qdisc_peek_dequeued
must ksplice-apply ksplice-fqpeek.tar.gz
must points_to fq_codel_qdisc_ops fq_codel_peek
must not points_to fq_codel_qdisc_ops qdisc_peek_dequeued
echo fq_codel >/proc/sys/net/core/default_qdisc
ip link add veth0 type veth && ip link set veth0 up && ip link set veth1 up
ip addr add 10.1.1.1/24 dev veth0
ping -c 1 -W 1 10.1.1.2 >/dev/null
must ksplice-undo fqpeek
must points_to fq_codel_qdisc_ops qdisc_peek_dequeued
must not points_to fq_codel_qdisc_ops fq_codel_peek
ip link del veth0
