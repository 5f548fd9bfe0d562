# Run by tests/vm/debian_hooks.sh, which gives must, is, and points_to.
rescuer() { ps | grep -c '[q]uota_events_un'; }
is 0 "$(rescuer)"
must ksplice-apply ksplice-quota.tar.gz
is 1 "$(rescuer)"
must ksplice-undo quota
is 0 "$(rescuer)"
must ksplice-apply ksplice-quota.tar.gz
is 1 "$(rescuer)"
must ksplice-undo quota
is 0 "$(rescuer)"
