#!/usr/bin/env bash
# What is in the cache is used without asking any archive; without it and an archive, configure says why.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
mkdir -p "$WORK/bin" "$WORK/cache/xdelta3/3.0.9-1" "$WORK/cache/xdelta3/3.0.11-2"
touch "$WORK/cache/xdelta3/3.0.9-1/xdelta3.h" "$WORK/cache/xdelta3/3.0.11-2/xdelta3.h"
for tool in apt-get apt-cache; do
  printf '#!/bin/sh\necho "no network" >&2\nexit 100\n' >"$WORK/bin/$tool"
  chmod +x "$WORK/bin/$tool"
done
export PATH=$WORK/bin:$PATH
found=$(KSPLICE_CACHE=$WORK/cache "$SOURCE_TREE/cmake/get-xdelta3")
[ "$found" = "$WORK/cache/xdelta3/3.0.11-2" ] || fail "found $found"

KSPLICE_CACHE=$WORK/empty not "$SOURCE_TREE/cmake/get-xdelta3" >"$WORK/out" 2>"$WORK/err"
expect 'no archive offers the package xdelta3' "$WORK/err"
printf '#!/bin/sh\necho "        500 http://archive.example bookworm/main amd64 Packages"\n' >"$WORK/bin/apt-cache"
KSPLICE_CACHE=$WORK/empty not "$SOURCE_TREE/cmake/get-xdelta3" >"$WORK/out" 2>"$WORK/err"
expect 'cannot get the source package of xdelta3: no network' "$WORK/err"
expect '^hint: ' "$WORK/err"
[ -z "$(find "$WORK/empty" -mindepth 2 -not -name .lock)" ] || fail "something was left in the cache"
