#!/usr/bin/env bash
# What is told without kbuild or without the compiler is what they would have told: the same tarball, byte for byte,
# for a unit with exports and lines in its tables only, and one with lines in its code; also the modules.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel --series "$own_series"
export SOURCE_DATE_EPOCH=1
make_patch net/ipv4/tcp_ipv4.c '/^int tcp_v4_rcv(/,/^}/s/^{/{\n\tif (!skb)\n\t\treturn 0;/'
cp "$WORK/patch" "$WORK/both"
make_patch net/ipv4/devinet.c '/^static struct in_device \*inetdev_init(/,/^{/s/^{/{\n\tif (!dev)\n\t\treturn NULL;/'
cat "$WORK/patch" >>"$WORK/both"

# make FOLDER OPTION...: the update, and what was done for it.
make() {
  mkdir "$WORK/$1"
  "$create" --patch="$WORK/both" --config="$CONFIG" --id=same --output="$WORK/$1" -v -v "${@:2}" "$SOURCE" \
    >"$WORK/$1/text" 2>&1 || fail "$(cat "$WORK/$1/text")"
}
make all --no-shortcuts
expect '^  MODPOST ' "$WORK/all/text"
expect "compile 2 units as the source is, with the patch's line numbers" "$WORK/all/text"
[ "$(grep -c '^  CC .*net/ipv4/devinet\.o' "$WORK/all/text")" -ge 2 ] || fail "kbuild did not compile it each time"
make short
expect "compile 1 unit as the source is, with the patch's line numbers" "$WORK/short/text"
expect_no '^  CC .*net/ipv4/' "$WORK/short/text"
cmp "$WORK/all/ksplice-same.tar.gz" "$WORK/short/ksplice-same.tar.gz" || fail "another tarball with shortcuts"

# Whatever was the first to have the core's steps for modules: now they are there.
make again
expect_no '^  MODPOST ' "$WORK/again/text"
cmp "$WORK/all/ksplice-same.tar.gz" "$WORK/again/ksplice-same.tar.gz" || fail "another tarball with the module's steps"
