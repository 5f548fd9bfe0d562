#!/usr/bin/env bash
# A configuration directory from packages whose image is split, as Debian's backports have it: the package of a
# part that is missing is named, and nothing is left behind.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
release=7.3.4-cloud-amd64
modules=usr/lib/modules/$release headers=usr/src/linux-headers-$release

# make_package NAME FILE...: with the content that the file has in $WORK/files.
make_package() {
  local name=$1 file
  shift
  mkdir -p "$WORK/$name/DEBIAN"
  printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: x\n' "$name" >"$WORK/$name/DEBIAN/control"
  for file; do install -D "$WORK/files/$file" "$WORK/$name/$file"; done
  dpkg-deb -b "$WORK/$name" "$WORK/$name.deb" >/dev/null
}
mkdir -p "$WORK/files/$modules/kernel" "$WORK/files/$headers/include/generated"
printf 'CONFIG_X86_64=y\n' >"$WORK/files/$modules/config"
printf '#define UTS_RELEASE "%s"\n' "$release" >"$WORK/files/$headers/include/generated/utsrelease.h"
touch "$WORK/files/$modules/"{vmlinuz,System.map,kernel/a.ko} "$WORK/files/$headers/Module.symvers"
make_package base "$modules/config" "$modules/System.map"
make_package binary "$modules/vmlinuz"
make_package modules "$modules/kernel/a.ko"
make_package headers "$headers/Module.symvers" "$headers/include/generated/utsrelease.h"

for missing in base binary modules headers; do
  packages=()
  for part in base binary modules headers; do
    [ "$part" = "$missing" ] || packages+=("--from=$WORK/$part.deb")
  done
  refused 1 bad_config "$create" --init-config="$WORK/config" "${packages[@]}"
  expect "hint: give .*linux-$missing-$release" "$WORK/err"
  [ ! -e "$WORK/config" ] || fail "half a configuration directory is left"
done
"$create" --init-config="$WORK/config" --from="$WORK"/{base,binary,modules,headers}.deb
for name in .config System.map vmlinuz build/Module.symvers modules/kernel/a.ko; do
  [ -f "$WORK/config/$name" ] || fail "the configuration directory has no $name"
done
