#!/usr/bin/env bash
# The units of systemd are understood, and their order has no circle.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
command -v systemd-analyze >/dev/null || skip "no systemd"
for unit in "$SOURCE_TREE"/packaging/systemd/*; do
  sed "s|/usr/sbin/ksplice-boot|$boot|" "$unit" >"$WORK/${unit##*/}"
done
systemd-analyze verify --man=no "$WORK"/*.service "$WORK"/*.timer 2>&1 | tee "$WORK/said"
expect_no "ksplice" "$WORK/said"
sed -i 's/^Before=sysinit/After=multi-user.target\n&/; s/^ExecStart=.*/ExecStart=none/' "$WORK/ksplice-boot.service"
systemd-analyze verify --man=no "$WORK"/*.service >"$WORK/said" 2>&1 || true
expect "ksplice" "$WORK/said"
