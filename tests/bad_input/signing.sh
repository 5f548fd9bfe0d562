#!/usr/bin/env bash
# A tarball is signed as it is made, or later, in the way that openssl checks; bad keys are named before any work.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
patch=$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch
make_signer one
make_signer other
# verify TARBALL NAME: as the man page says.
verify() {
  rm -rf "$WORK/unpacked" && mkdir "$WORK/unpacked" && tar -xzf "$1" -C "$WORK/unpacked" --strip-components=1
  openssl cms -verify -binary -inform DER -in "$WORK/unpacked/manifest.json.p7s" -content "$WORK/unpacked/manifest.json" \
    -certfile "$WORK/$2.cert" -nointern -noverify -out /dev/null 2>"$WORK/err"
}

refused_create 2 usage --patch="$patch" --expires=90d "$SOURCE"
refused_create 2 usage --patch="$patch" --sign-key="$WORK/one.key" --sign-cert="$WORK/one.cert" --expires=2020-01-01 "$SOURCE"
refused_create 2 usage --patch="$patch" --sign-key="$WORK/one.key" --sign-cert="$WORK/one.cert" --generation=x "$SOURCE"
refused_create 1 bad_key --patch="$patch" --sign-key="$WORK/one.key" --sign-cert="$WORK/other.cert" "$SOURCE"
expect 'other.cert holds no certificate of the key' "$WORK/err"
expect_no 'compile' "$WORK/err"

"$create" --patch="$patch" --config="$CONFIG" --id=good --output="$WORK" -q --sign-key="$WORK/one.key" \
  --sign-cert="$WORK/one.cert" --expires=2099-12-31 --generation=4 --cve=CVE-2099-1234 "$SOURCE"
verify "$WORK/ksplice-good.tar.gz" one || fail "$(cat "$WORK/err")"
not verify "$WORK/ksplice-good.tar.gz" other
expect '"expires": "2099-12-31T00:00:00Z"' "$WORK/unpacked/manifest.json"
expect '"generation": 4' "$WORK/unpacked/manifest.json"
cp "$WORK/unpacked/manifest.json" "$WORK/before"
# What it fixes is signed as well, and stays.
expect 'CVE-2099-1234' "$WORK/before"
refused_create 2 usage --patch="$patch" --cve=2099-1234 "$SOURCE"
"$view" --file="$WORK/ksplice-good.tar.gz" >"$WORK/out"
expect '^fixes CVE-2099-1234$' "$WORK/out"

# Anew: with another key, and a passphrase; what is not said stays.
openssl rsa -aes128 -passout pass:open -in "$WORK/other.key" -out "$WORK/locked.key" 2>/dev/null
refused 1 bad_key env KSPLICE_SIGN_PIN=shut "$sign" --key="$WORK/locked.key" --cert="$WORK/other.cert" "$WORK/ksplice-good.tar.gz"
verify "$WORK/ksplice-good.tar.gz" one || fail "a signing that failed changed the tarball"
KSPLICE_SIGN_PIN=open "$sign" --key="$WORK/locked.key" --cert="$WORK/other.cert" "$WORK/ksplice-good.tar.gz" >"$WORK/out"
expect 'signed by CN=other, generation 4, expires 2099-12-31T00:00:00Z' "$WORK/out"
verify "$WORK/ksplice-good.tar.gz" other || fail "$(cat "$WORK/err")"
cmp "$WORK/before" "$WORK/unpacked/manifest.json"
mkdir "$WORK/elsewhere"
"$sign" --key="$WORK/one.key" --cert="$WORK/one.cert" --expires=never --generation=0 --output="$WORK/elsewhere" --json \
  "$WORK/ksplice-good.tar.gz" >"$WORK/out"
expect '"expires": "never"' "$WORK/out"
expect '"signer": "CN=one"' "$WORK/out"
verify "$WORK/elsewhere/ksplice-good.tar.gz" one || fail "$(cat "$WORK/err")"
expect_no '"(expires|generation)"' "$WORK/unpacked/manifest.json"
refused 1 bad_tarball "$sign" --key="$WORK/one.key" --cert="$WORK/one.cert" "$WORK/out"
refused 2 '' "$sign" "$WORK/ksplice-good.tar.gz"
