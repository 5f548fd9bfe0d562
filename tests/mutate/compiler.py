"""Compiles versions of one unit by kbuild's own command, without kbuild, and nothing twice.

Most of a compilation is reading headers. They are read once per unit: the lines above its first declaration become a
precompiled header, which all versions of the unit share, where the compiler takes it. --plain does without.
"""
import hashlib
import json
import os
import re
import resource
import subprocess

from source import Source



class Compiler:
    def __init__(self, args, name):
        self.name = name  # "mm/slab_common.c"
        self.args = args
        self.stock = os.path.join(args.source, name)
        self.object = name[:-2] + ".o"
        self.folder = os.path.join(args.work, name.replace("/", "+")[:-2])
        self.own = os.path.join(args.work, "source", name)  # where each version of it stands to be compiled
        self.head = self.own[:-2] + "-head.h"
        os.makedirs(os.path.dirname(self.own), exist_ok=True)
        os.makedirs(self.folder, exist_ok=True)
        with open(self.stock, encoding="latin-1") as stream:
            self.text = stream.read()
        self.plain = self.command = self.read_command()
        self.seconds = 0.0  # of the processor, for the last compilation
        self.uses_head = False

    def read_command(self):
        folder, name = os.path.split(os.path.join(self.args.build, self.object))
        with open(os.path.join(folder, f".{name}.cmd"), encoding="ascii") as stream:
            command = stream.readline().split(":= ", 1)[1].strip()
        wanted = f"-c -o {self.object} {self.stock}"
        if wanted not in command:
            raise ValueError(f"{self.name}: kbuild's command is not as expected")
        prefix = os.path.join(self.args.work, "source") + "/"
        command = command.replace(wanted, f"-iquote {os.path.dirname(self.stock)} -fmacro-prefix-map={prefix}= "
                                          f'-c -o "$OUT" {self.own}')
        compile_it, _, objtool = re.sub(r"-MMD,\S+\.d", "-MMD,/dev/null", command).partition(" ; ")
        # Kbuild runs objtool at once over a module's only object.
        self.afterwards = f" && {objtool.removesuffix(self.object)} \"$OUT\"" if objtool.endswith(" " + self.object) else ""
        if objtool and not self.afterwards:
            raise ValueError(f"{self.name}: kbuild's command goes on in a way that is not expected")
        return compile_it

    def run(self, command, out):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(["sh", "-c", command], cwd=self.args.build, env={**os.environ, "OUT": out},
                              capture_output=True, stdin=subprocess.DEVNULL, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return done

    def write(self, text):
        with open(self.own, "w", encoding="latin-1") as stream:
            stream.write(text)

    def head_text(self):
        """What stands above the first declaration, to the last #include where no #if is open."""
        source = Source(self.text, {})
        first = next((token.line for token in source.tokens if token.where == "top"), 1)
        lines, depth, end = self.text.split("\n")[:first - 1], 0, 0
        for number, line in enumerate(lines, 1):
            depth += 1 if re.match(r"\s*#\s*if", line) else -1 if re.match(r"\s*#\s*endif", line) else 0
            if not depth and re.match(r"\s*#\s*include", line):
                end = number
        return "\n".join(lines[:end]) + "\n" if end else ""

    def use_head(self):
        """Makes the precompiled header and takes it, if the unit compiles with it."""
        head = "" if self.args.plain else self.head_text()
        if not head:
            return
        included = re.findall(r"-include (\S+)", self.plain)
        bare = re.sub(r"-include \S+ ?", "", self.plain)
        with open(self.head, "w", encoding="latin-1") as stream:
            stream.write("".join(f'#include "{path}"\n' for path in included) + head)
        made = self.run(bare.replace(self.own, self.head).replace("-c -o", "-x c-header -o"), self.head + ".gch")
        self.command = bare.replace('-c -o "$OUT"', f'-include {self.head} -c -o "$OUT"')
        self.write(self.text)
        self.uses_head = made.returncode == 0 and self.run(self.command, "/dev/null").returncode == 0
        if not self.uses_head:
            self.command = self.plain

    def drop_head(self):
        for path in (self.head, self.head + ".gch"):
            if os.path.exists(path):
                os.remove(path)

    def macros(self):
        """name -> value of the macros that are numbers where the unit is compiled."""
        self.write(self.text)
        done = self.run(self.plain + " -E -dM", "/dev/stdout")
        found = re.findall(rb"^#define ([A-Z]\w{3,}) \(?(0[xX][0-9a-fA-F]+|\d+)[uUlL]*\)?$", done.stdout, re.M)
        return {name.decode(): int(digits, 16 if digits[:2].lower() == b"0x" else 8 if digits[:1] == b"0" else 10)
                for name, digits in found if not re.match(rb"0\d*[89]", digits)}

    def time_of_stock(self):
        """Seconds of the processor that the unit takes as it is; None if it does not compile."""
        noted = os.path.join(self.folder, "seconds")
        if not os.path.exists(noted):
            self.write(self.text)
            done = self.run(self.plain, "/dev/null")
            seconds = self.seconds if done.returncode == 0 else None
            with open(noted, "w", encoding="ascii") as stream:
                json.dump(seconds, stream)
        with open(noted, encoding="ascii") as stream:
            return json.load(stream)

    def compile(self, text):
        """The object that text gives; None if it does not compile."""
        name = hashlib.sha1(f"{self.uses_head}{text}".encode("latin-1")).hexdigest()[:16]
        to = os.path.join(self.folder, name + ".o")
        if os.path.exists(to):
            return to
        if os.path.exists(to + ".failed"):
            return None
        self.write(text)
        done = self.run(self.command + self.afterwards, to + ".new")
        if done.returncode == 0:
            os.rename(to + ".new", to)
            return to
        if b"error:" not in done.stderr:
            raise SystemExit(f"{self.name}: the compiler failed: {done.stderr.decode()[-400:]}")
        with open(to + ".failed", "wb") as stream:
            stream.write(done.stderr)
        return None
