# Beginning of the scripts that tests of the core run in the guest. What a scenario has to tell goes to
# the kernel log, between the lines of the core and the hooks: the log is what is compared.
K=/sys/kernel/ksplice

say() { echo "% $*" >/dev/kmsg; }

# put ID STAGE: writes the stage, and says what came of it.
put() {
  if echo "$2" 2>/dev/null >$K/"$1"/stage; then result=ok; else result=refused; fi
  say "$2 $1: $result: $(cat $K/"$1"/stage) $(cat $K/"$1"/abort_cause)"
}

# explain ID: what the core says about the last operation.
explain() { cat $K/"$1"/stage $K/"$1"/abort_cause $K/"$1"/abort_message $K/"$1"/conflicts; }

# must WHAT COMMAND...: ends the test if the command fails.
must() {
  what=$1
  shift
  "$@" || { echo "FAILED: $what"; exit 1; }
}

TRACING=/sys/kernel/tracing
# into FILE WORDS: writes lines to a file of the tracers.
into() {
  printf '%b\n' "$2" >$TRACING/"$1" || { echo "FAILED: write '$2' into $1"; exit 1; }
}

# is EXPECTED ACTUAL
is() { [ "$1" = "$2" ] || { echo "FAILED: expected '$1', found '$2'"; exit 1; }; }

# until COMMAND...: waits for it to succeed, for a minute at most.
until_() {
  for _ in $(seq 600); do
    "$@" && return
    usleep 100000
  done
  echo "FAILED: waited in vain: $*"
  exit 1
}

# find_leaks: prints the memory that is lost, if the kernel looks for it.
find_leaks() {
  [ -e /sys/kernel/debug/kmemleak ] || return 0
  # Twice, as what is young is not yet called a leak.
  for _ in 1 2; do
    echo scan >/sys/kernel/debug/kmemleak
    sleep 6
  done
  cat /sys/kernel/debug/kmemleak
}

no_leaks() {
  find_leaks >/tmp/leaks
  cat /tmp/leaks
  [ ! -s /tmp/leaks ]
}

# sleeps_in PID FUNCTION: whether the task has that function on its stack.
sleeps_in() { grep -q " $2+" /proc/"$1"/stack; }

# symbols MODULE: "ADDRESS NAME" lines in their order; those of the kernel itself are kept, there are many.
symbols() {
  if [ -n "$1" ]; then grep -F "[$1]" /proc/kallsyms | awk '{ print $1, $3 }' | sort; else
    [ -e /tmp/vmlinux ] || grep -vF '[' /proc/kallsyms | awk '{ print $1, $3 }' >/tmp/vmlinux
    cat /tmp/vmlinux
  fi
}

# code FUNCTION...: the parameter code of an update of these functions of the kernel or a module
# (MODULE/FUNCTION).
code() {
  text=
  for name; do
    case $name in */*) module=${name%/*} ;; *) module= ;; esac
    # Its address and the next one; the emulator is slow, and grep reads ten times as fast as awk.
    # shellcheck disable=SC2046
    set -- $(symbols "$module" | grep -m 1 -A 50 " ${name##*/}\$" |
      awk 'NR == 1 { start = $1 "" } $1 "" > start { end = $1; exit } END { print start, end }')
    # The last function of a section, or what follows is elsewhere: some of it will do.
    size=$((0x${2:-$1} - 0x$1))
    [ "$size" -gt 0 ] && [ "$size" -le 2048 ] || size=96
    text=$text/${name##*/}:0x$1:$size
  done
  echo "code=${text#/}"
}

# module_address MODULE: where the kernel has its struct module.
module_address() { echo "0x$(symbols "$1" | awk '$2 == "__this_module" { print $1 }')"; }

# load UPDATE CODE-OR-OPTION...
load() {
  name=$1
  shift
  insmod "ksplice_$name.ko" "$@"
}

# cmdline: says who wrote /proc/cmdline, the function that most updates here replace.
C=${C:-$(code cmdline_proc_show)}
ORIGINAL=$(sed 's/ .*//' /proc/cmdline)
cmdline() { say "/proc/cmdline: $(sed "s/^$ORIGINAL .*/original/" /proc/cmdline)"; }
