# Beginning of the scripts that tests of the core run in the guest.
K=/sys/kernel/ksplice

# state ID: one line.
state() { echo "$1 $(cat $K/$1/stage) $(cat $K/$1/abort_cause) $(cat $K/$1/abort_message)"; }

# put ID STAGE: writes the stage and prints what came of it.
put() {
  if echo "$2" 2>/dev/null >$K/"$1"/stage; then echo "$2: ok: $(state "$1")"; else echo "$2: refused: $(state "$1")"; fi
}

# must WHAT COMMAND...: ends the test if the command fails.
must() {
  what=$1
  shift
  "$@" || { echo "FAILED: $what"; exit 1; }
}

# is EXPECTED ACTUAL
is() { [ "$1" = "$2" ] || { echo "FAILED: expected '$1', found '$2'"; exit 1; }; }

# code FUNCTION...: the parameter code of an update of these functions of the kernel or a module
# (MODULE/FUNCTION).
code() {
  text=
  for name; do
    case $name in */*) module="[${name%/*}]" ;; *) module= ;; esac
    awk -v module="$module" '$4 == module { print $1, $3 }' /proc/kallsyms >/tmp/symbols
    start=$(awk -v name="${name##*/}" '$2 == name { print $1; exit }' /tmp/symbols)
    end=$(cut -d ' ' -f 1 /tmp/symbols | sort -u | grep -A 1 "$start" | tail -n 1)
    size=$((0x$end - 0x$start))
    # The last function of a section: some of it will do.
    [ "$size" -gt 0 ] && [ "$size" -le 2048 ] || size=96
    text=$text/${name##*/}:0x$start:$size
  done
  echo "code=${text#/}"
}

# load UPDATE CODE-OR-OPTION...
load() {
  name=$1
  shift
  insmod "ksplice_$name.ko" "$@"
}
