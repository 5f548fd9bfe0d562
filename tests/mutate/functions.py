"""Modules made of small functions with a /proc file each, and patches of which it is known what the file then says."""
import random
import re

HEAD = """// SPDX-License-Identifier: GPL-2.0
// Made by tests/mutate: each function of this module shows a value in /proc/{name}.
#include <linux/capability.h>
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

static int seven = 7;
module_param(seven, int, 0600);
static DEFINE_STATIC_KEY_FALSE(rare);

"""
TAIL = """static int __init {name}_init(void)
{{
	struct proc_dir_entry *folder = proc_mkdir("{name}", NULL);

	if (!folder)
		return -ENOMEM;
{files}	if (seven < 0)
		static_branch_enable(&rare);
	return 0;
}}

static void __exit {name}_exit(void)
{{
	remove_proc_subtree("{name}", NULL);
}}

module_init({name}_init);
module_exit({name}_exit);
MODULE_LICENSE("GPL");
"""
SHOW = """static int {f}_show(struct seq_file *m, void *v)
{{
{body}	return 0;
}}
"""
# Beside what holds line numbers.
BESIDE = ("", "", "", "\tmight_sleep();\n", "\tWARN_ON(seven < 0);\n", "\tWARN_ONCE(seven < 0, \"%d\", seven);\n",
          "\tif (static_branch_unlikely(&rare))\n\t\tseq_puts(m, \"rare\\n\");\n", "\tBUG_ON(!m);\n")


class Function:
    """text with one part marked «old¦new», and what the file says with each."""

    def __init__(self, kind, text, old, new):
        self.kind, self.marked, self.old, self.new = kind, text, old, new

    def text(self, patched):
        return re.sub("«(.*?)¦(.*?)»", r"\2" if patched else r"\1", self.marked, flags=re.S)


def show(rng, f, body, before=""):
    return before + SHOW.format(f=f, body=rng.choice(BESIDE) + body)


def near_line(rng, line):
    """A number that lies near the lines of the function that begins in that line, and another one."""
    value = line + rng.randint(0, 8)
    return value, max(0, value + rng.choice((1, 2, -1, -2, 5)))


def numbers(rng, line, shift):
    """(old, new) as the mass of mutants has them: near the line, by one or two, by exactly the shift."""
    how = rng.choice(("near", "near", "small", "shift"))
    if how == "near":
        return near_line(rng, line)
    old = rng.randint(10, 2000)
    return old, old + (shift if how == "shift" and shift else rng.choice((1, 2)))


def number(rng, f, line, shift):
    old, new = numbers(rng, line, shift)
    return Function("number", show(rng, f, f'\tseq_printf(m, "%d\\n", «{old}¦{new}»);\n'), old, new)


def sum_of(rng, f, line, shift):
    old, new = numbers(rng, line, shift)
    body = f'\tseq_printf(m, "%d\\n", seven + «{old}¦{new}»);\n'
    return Function("number", show(rng, f, body), old + 7, new + 7)


def text(rng, f, _line, _shift):
    word, at = rng.choice(("ready", "waiting", "closed")), rng.randint(0, 4)
    other = word[:at] + "z" + word[at + 1:]
    return Function("string", show(rng, f, f'\tseq_puts(m, "{f} is «{word}¦{other}»\\n");\n'), f"{f} is {word}",
                    f"{f} is {other}")


def compare(rng, f, _line, _shift):
    signs = rng.choice((("<", "<="), (">", ">="), ("==", "!="), ("!=", "==")))
    old = "yes" if signs[0] == "==" else "no"
    body = f'\tseq_puts(m, seven «{signs[0]}¦{signs[1]}» 7 ? "yes\\n" : "no\\n");\n'
    return Function("compare", show(rng, f, body), old, "no" if old == "yes" else "yes")


def error(rng, f, _line, _shift):
    codes = {"EPERM": 1, "ENOENT": 2, "EIO": 5, "ENOMEM": 12, "EACCES": 13, "EBUSY": 16, "EINVAL": 22, "ENOSPC": 28}
    old, new = rng.sample(sorted(codes), 2)
    helper = f"static noinline int {f}_try(int value)\n{{\n\tif (value > 3)\n\t\treturn -«{old}¦{new}»;\n" \
             "\treturn value;\n}\n\n"
    return Function("error", show(rng, f, f'\tseq_printf(m, "%d\\n", {f}_try(seven));\n', helper), -codes[old],
                    -codes[new])


def flag(rng, f, _line, _shift):
    body = '\tseq_printf(m, "%x\\n", FMODE_READ« | FMODE_LSEEK¦»);\n'
    return Function("flag", show(rng, f, body), "5", "1")


def name(rng, f, _line, _shift):
    codes = {"CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24, "CAP_NET_ADMIN": 12, "CAP_SYS_PTRACE": 19, "CAP_KILL": 5}
    old, new = rng.sample(sorted(codes), 2)
    return Function("name", show(rng, f, f'\tseq_printf(m, "%d\\n", «{old}¦{new}» + seven);\n'), codes[old] + 7,
                    codes[new] + 7)


def argument(rng, f, line, shift):
    old, new = numbers(rng, line, shift)
    helper = f"static noinline int {f}_add(int a, int b)\n{{\n\treturn a * 10000 + b;\n}}\n\n"
    body = f'\tseq_printf(m, "%d\\n", {f}_add(seven, «{old}¦{new}»));\n'
    return Function("argument", show(rng, f, body, helper), 70000 + old, 70000 + new)


def table(rng, f, line, shift):
    old, new = numbers(rng, line, shift)
    body = f'\tstatic const int steps[] = {{ 1, 2, 3, 4, 5, 6, 7, «{old}¦{new}» }};\n\n' \
           '\tseq_printf(m, "%d\\n", steps[seven & 7]);\n'
    return Function("table", SHOW.format(f=f, body=body), old, new)


def macro(rng, f, line, shift):
    old, new = numbers(rng, line, shift)
    define = f"#define {f.upper()}(x) \\\n\t((x) + «{old}¦{new}»)\n\n"
    return Function("macro", show(rng, f, f'\tseq_printf(m, "%d\\n", {f.upper()}(seven));\n', define), old + 7, new + 7)


def deleted_call(rng, f, _line, _shift):
    helper = f"static noinline void {f}_grow(int *value)\n{{\n\t*value += seven;\n}}\n\n"
    body = f'\tint value = 100;\n\n«\t{f}_grow(&value);\n¦»\tseq_printf(m, "%d\\n", value);\n'
    return Function("deleted-call", helper + SHOW.format(f=f, body=body), 107, 100)


def array_size(rng, f, line, shift):
    old, new = numbers(rng, line, shift)
    body = f'\tchar space[«{old}¦{new}»];\n\n\tmemset(space, seven, sizeof(space));\n' \
           '\tseq_printf(m, "%zu %d\\n", sizeof(space), space[seven]);\n'
    return Function("array-size", SHOW.format(f=f, body=body), f"{old} 7", f"{new} 7")


def member(rng, f, _line, _shift):
    pair = rng.choice((("u8", "u16"), ("u16", "u32"), ("u32", "u64")))
    size = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
    define = f"struct {f} {{\n\t«{pair[0]}¦{pair[1]}» member;\n}};\n\n"
    body = f'\tseq_printf(m, "%zu\\n", seven * sizeof(struct {f}));\n'
    return Function("member-type", show(rng, f, body, define), 7 * size[pair[0]], 7 * size[pair[1]])


MAKERS = (number, number, sum_of, sum_of, text, compare, error, flag, name, argument, table, macro, deleted_call,
          array_size, member)


class Module:
    """A module of some functions; patch(i) is the text with the i-th changed and lines added above it."""

    def __init__(self, seed, name_, count):
        rng = random.Random(f"{seed}/{name_}")
        self.name, self.functions, self.shifts = name_, [], []
        line = HEAD.format(name=name_).count("\n") + 1
        for number_ in range(count):
            shift = rng.choice((0, 0, 1, 2, 3, 7, rng.randint(1, 50)))
            maker = rng.choice(MAKERS)
            function = maker(rng, f"f{number_}", line, shift)
            while str(function.old) == str(function.new) or (maker is array_size and int(function.new.split()[0]) > 900):
                function = maker(rng, f"f{number_}", line, shift)
            self.functions.append(function)
            self.shifts.append(shift)
            line += function.text(False).count("\n") + 1

    def text(self, patched=None):
        parts = [HEAD.format(name=self.name)]
        for number_, function in enumerate(self.functions):
            if number_ == patched:
                parts.append("".join(f"/* Why, part {i}. */\n" for i in range(self.shifts[number_])))
            parts.append(function.text(number_ == patched) + "\n")
        files = "".join(f'\tproc_create_single("f{i}", 0444, folder, f{i}_show);\n' for i in range(len(self.functions)))
        return "".join(parts) + TAIL.format(name=self.name, files=files)
