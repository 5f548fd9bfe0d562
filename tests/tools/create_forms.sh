#!/usr/bin/env bash
# Every way to give a change, and to name the source and the kernel, makes the same update.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
own_mounts
get_kernel
writable_source
file=fs/proc/version.c

# update DESCRIPTION OPTION...: makes an update and compares its code with the first one's.
update() {
  local wanted=$1 code
  shift
  "$create" --id=forms --output="$WORK" -q --json "$@" >"$WORK/json"
  expect "\"description\": \"$wanted\"" "$WORK/json"
  expect '"version_proc_show"' "$WORK/json"
  tar -xOzf "$WORK/ksplice-forms.tar.gz" --wildcards '*/vmlinux.ko' >"$WORK/update.ko"
  # Since 6.12 seq_puts() of a text of known length is seq_write().
  code=$(objdump -d -r "$WORK/update.ko" | sed 1,3d)
  [[ $code =~ seq_puts|seq_write ]] || fail "the change is not in the update made with $*"
  [ "${first:=$code}" = "$code" ] || fail "another update is made with $*"
}

make_patch $file '/^static int version_proc_show/,/^}/s/return 0;/seq_puts(m, "patched\\n"); return 0;/'
mv "$WORK/new-file" "$WORK/version.c"
sed 's,^\(---\|+++\) [ab]/,\1 ,; s/$/\r/' "$WORK/patch" >"$WORK/p0-crlf.patch"
(cat - "$WORK/patch" <<<$'From: A <a@b>\nSubject: [PATCH 1/2] proc: say =?UTF-8?q?=C3=A4?=\n\n---') >"$WORK/mail"
mv "$WORK/patch" "$WORK/code.patch"
make_patch Documentation/index.rst '1i text'
ln -s "$SOURCE" "$WORK/source link"
cd "$(dirname "$CONFIG")"

update "" --config=config/ --patch=- --patch-opt=-p0 "$WORK/source link" <"$WORK/p0-crlf.patch"
"$create" --id=text --config="$CONFIG" --patch="$WORK/code.patch" --output="$WORK" "$SOURCE" &>"$WORK/text"
expect '^because +version_proc_show: code \(fs/proc/version\.c:[0-9]+\)$' "$WORK/text"
update "proc: say ä" --config="$CONFIG" --patch="$WORK/patch" --patch="$WORK/mail" "$SOURCE/"
cp "$WORK/version.c" "$SOURCE/$file.fixed"
update given --config="$CONFIG" --diffext=fixed --description=given "$SOURCE"
rm "$SOURCE/$file.fixed"

export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
git=(git -C "$SOURCE")
git config --file "$WORK/gitconfig" safe.directory '*'
export GIT_CONFIG_GLOBAL=$WORK/gitconfig
"${git[@]}" init -q -b fixed
"${git[@]}" add -f $file
"${git[@]}" commit -qm stock
for text in one two; do
  [ $text = one ] || cp "$WORK/version.c" "$SOURCE/$file"
  [ $text = two ] || sed -i 's/^fs_initcall/\/* x *\/\n&/' "$SOURCE/$file"
  "${git[@]}" commit -qam "proc: $text"
done
"${git[@]}" checkout -q HEAD~2
update "proc: two" --config="$CONFIG" --git=fixed "$SOURCE"
update "proc: one" --config="$CONFIG" --git=fixed --series "$SOURCE"
cp "$WORK/version.c" "$SOURCE/$file"
refused 1 already_in_source "$create" --config="$CONFIG" --patch="$WORK/code.patch" --output="$WORK" "$SOURCE"
