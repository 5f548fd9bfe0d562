#!/usr/bin/env bash
# A new .c file that no Makefile builds, and a patch whose targets are all left out, are refused.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch fs/proc/cmdline.c "s/seq_putc(m, '.n');/seq_puts(m, \" patched\\\\n\");/"
refused_create 1 no_change --only-targets=tcp% --only-targets=dummy --patch="$WORK/patch" "$SOURCE"
expect 'fs/proc/cmdline\.o of vmlinux' "$WORK/err"
"$create" --only-targets=vm%x --patch="$WORK/patch" --config="$CONFIG" --id=only --output="$WORK" -q "$SOURCE"

printf 'int not_in_a_makefile(void)\n{\n\treturn 1;\n}\n' >"$WORK/added"
diff -u --label /dev/null --label b/fs/proc/lonely.c /dev/null "$WORK/added" >>"$WORK/patch" || true
refused_create 3 unsupported_file --patch="$WORK/patch" "$SOURCE"
expect 'fs/proc/lonely\.c is new, and no Makefile builds it' "$WORK/err"
