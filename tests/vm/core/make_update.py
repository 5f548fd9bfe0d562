#!/usr/bin/env python3
"""Writes the tables of an update object as C, for tests of the core without the rest of the tools.

make_update.py VMLINUX KALLSYMS ID NR_OBJECTS TARGET OLD=NEW... [+RUN...] [hook:KIND=FUNCTION...]

VMLINUX is the decompressed image, KALLSYMS the text of /proc/kallsyms of a kernel booted with
nokaslr. OLD is replaced by the function NEW of the file that includes the output; +RUN is code that
is only verified and must not be on a stack; OLD@NAME is code outside of the image: the parameter
NAME=ADDRESS,SIZE of the update module says where, and its bytes are those found at that time.
"""
import struct
import sys

HOOKS = ["pre_apply", "check_apply", "apply", "post_apply", "fail_apply",
         "pre_reverse", "check_reverse", "reverse", "post_reverse", "fail_reverse"]
VARIANTS, FTRACE, STATIC_CALL, RETPOLINE, RETURN_THUNK = 1, 2, 3, 5, 6
REGISTERS = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
             "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"]


PARAMETER = """
static int set_@NAME@(const char *value, const struct kernel_param *kp)
{
	if (sscanf(value, "%lli,%u", &runs[@I@].addr, &runs[@I@].size) != 2 || runs[@I@].size > 4096)
		return -EINVAL;
	memcpy(b@I@, (void *)runs[@I@].addr, runs[@I@].size);
	r@I@[0].offset = b@I@[0] == 0xf3 || b@I@[0] == 0x66 ? 4 : 0;
	return 0;
}
static const struct kernel_param_ops ops_@NAME@ = { .set = set_@NAME@ };
module_param_cb(@NAME@, &ops_@NAME@, NULL, 0);"""


class Image:
    def __init__(self, path, kallsyms):
        self.data = open(path, "rb").read()
        offset, = struct.unpack_from("<Q", self.data, 40)
        size, count = struct.unpack_from("<HH", self.data, 58)
        self.sections = []
        for i in range(count):
            header = struct.unpack_from("<IIQQQQIIQQ", self.data, offset + i * size)
            if header[2] & 2 and header[1] != 8:
                self.sections.append((header[3], header[4], header[5]))
        self.symbols = {}
        self.names = {}
        for line in open(kallsyms):
            fields = line.split()
            if len(fields) == 3:
                address = int(fields[0], 16)
                self.symbols.setdefault(fields[2], address)
                self.names.setdefault(address, set()).add(fields[2])
        self.addresses = sorted(self.names)

    def bytes_at(self, address, size):
        for start, offset, length in self.sections:
            if start <= address and address + size <= start + length:
                at = offset + address - start
                return self.data[at:at + size]
        raise SystemExit(f"no bytes at {address:#x}")

    def code(self, name):
        import bisect
        address = self.symbols[name]
        end = self.addresses[bisect.bisect_right(self.addresses, address)]
        return address, self.bytes_at(address, end - address).rstrip(b"\xcc\x90")


def find_ranges(image, address, code):
    """(offset, length, kind, param) of the places in code that the kernel rewrites."""
    ranges = []
    i = 4 if code[:4] == b"\xf3\x0f\x1e\xfa" else 0
    if i:
        ranges.append((0, 4, VARIANTS, 0))
    while i + 5 <= len(code):
        names = set()
        if code[i] in (0xe8, 0xe9):
            target = address + i + 5 + struct.unpack_from("<i", code, i + 1)[0]
            names = image.names.get(target & (1 << 64) - 1, set())
        if "__fentry__" in names:
            ranges.append((i, 5, FTRACE, 0))
        elif any(name.startswith("__SCT__") for name in names):
            key = next(name for name in names if name.startswith("__SCT__")).replace("__SCT__", "__SCK__")
            ranges.append((i, 5, STATIC_CALL, image.symbols[key]))
        elif code[i] == 0xe9 and "__x86_return_thunk" in names:
            ranges.append((i, 5, RETURN_THUNK, 0))
        else:
            for number, register in enumerate(REGISTERS):
                if "__x86_indirect_thunk_" + register in names:
                    start = i - 1 if code[i - 1] == 0x2e else i
                    param = number | (0x100 if code[i] == 0xe9 else 0)
                    ranges.append((start, i + 5 - start, RETPOLINE, param))
                    names = {"thunk"}
            if names != {"thunk"}:
                i += 1
                continue
        i += 5
    return ranges


def array(data):
    return "{ " + ", ".join(str(byte) for byte in data) + " }"


def main():
    image = Image(sys.argv[1], sys.argv[2])
    update, count, target = sys.argv[3], sys.argv[4], sys.argv[5]
    hooks = {kind: [] for kind in HOOKS}
    runs, functions = [], []
    for word in sys.argv[6:]:
        if word.startswith("hook:"):
            kind, name = word[5:].split("=")
            hooks[kind].append(name)
        elif word.startswith("+"):
            runs.append(word[1:])
        else:
            old, new = word.split("=")
            functions.append((old, new, len(runs)))
            runs.append(old)
    out = ['#include "ksplice_abi.h"', "#define P(x) ((unsigned long)(x))"]
    rows, parameters = [], []
    for i, run in enumerate(runs):
        name, _, at = run.partition("@")
        if at:
            address, code, ranges, variants = 0, b"\0" * 4096, [(0, 5, FTRACE, 0)], {}
            parameters.append((at, i))
        else:
            address, code = image.code(name)
            ranges = find_ranges(image, address, code)
            variants = {0: [code[:4], b"\x66\x0f\x1f\x00"]} if code[0] == 0xf3 else {}
        items = []
        for j, (offset, length, kind, param) in enumerate(ranges):
            known = variants.get(offset, [code[offset:offset + length]])
            data = b"".join(bytes([len(v)]) + v for v in known)
            out.append(f"static const __u8 v{i}_{j}[] = {array(data)};")
            items.append(f"{{ {offset}, {length}, {kind}, {len(known)}, P(v{i}_{j}), {param:#x} }}")
        const = "" if at else "const "
        out.append(f"static {const}__u8 b{i}[] = {array(code)};")
        out.append(f"static {const}struct ksplice_range r{i}[] = {{ {', '.join(items)} }};")
        rows.append(f'{{ P("{name}"), {address:#x}, P(b{i}), P(r{i}), {len(code)}, {len(items)}, 0, 0 }}')
    out.append("static struct ksplice_run runs[] = { " + ",\n".join(rows) + " };")
    rows = [f'{{ P("{old.partition("@")[0]}"), P(&runs[{i}]), P({new}), 1 }}'
            for old, new, i in functions]
    out.append("static const struct ksplice_function functions[] = { " + ",\n".join(rows) + " };")
    for kind, names in hooks.items():
        out.append(f"static void *const hooks_{kind}[] = {{ {', '.join(names)} }};")
    tables = ", ".join(f"{{ P(hooks_{kind}), {len(names)} }}" for kind, names in hooks.items())
    out.append(f"""struct ksplice_object ksplice_update_object = {{
	KSPLICE_ABI_VERSION, {count}, P("{update}"), P("test update"), P("{target}"), 0,
	P(runs), P(functions), {len(runs)}, {len(functions)}, {{ {tables} }} }};""")
    for name, i in parameters:
        out.append(PARAMETER.replace("@NAME@", name).replace("@I@", str(i)))
    print("\n".join(out))


main()
