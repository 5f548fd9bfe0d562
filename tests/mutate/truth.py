"""Which functions and data of two objects differ: the truth that a campaign holds ksplice-objdiff to.

Reads ELF itself and shares nothing with objdiff. An object is cut into pieces: each function and each datum
that has a symbol. A piece is its bytes, and for each relocation its place, type and what it leads to: a name,
or the text of a string, or the content of a nameless constant. Entries of tables about code (__bug_table,
__ex_table, ...) belong to the piece that they are about. Two pieces are equal if all of that is; nothing is
forgiven for a line number, so both objects must be compiled with the same lines.
"""
import bisect
import hashlib
import re
import struct
import subprocess

SHF_WRITE, SHF_ALLOC, SHF_EXEC, SHF_MERGE, SHF_STRINGS = 1, 2, 4, 16, 32
# Tables whose entries are about code: the size of an entry, and what is known of its alignment.
TABLES = {"__bug_table": 12, "__ex_table": 12, "__jump_table": 16, ".static_call_sites": 8, "__mcount_loc": 8,
          ".smp_locks": 4, ".parainstructions": 16, ".retpoline_sites": 4, ".return_sites": 4, ".call_sites": 4,
          "__patchable_function_entries": 8, ".printk_index": 8, ".initcall": 4}
# Nothing of these is in a running kernel, or only what the module says of itself.
IGNORED = re.compile(r"\.(discard|comment|note|debug|orc|llvm|modinfo|gnu\.|export_symbol|ibt_endbr|group)")


class Section:
    def __init__(self, name, fields, data):
        (self.type, self.flags, self.offset, self.size, self.link, self.info, self.entry_size) = fields
        self.name, self.data = name, data
        self.relocations = []  # (offset, type, symbol, addend), sorted
        self.starts, self.pieces = [], []  # of symbols, sorted
        self.settled = None


class Symbol:
    def __init__(self, name, info, section, value, size):
        self.name, self.kind, self.bind = name, info & 15, info >> 4
        self.section, self.value, self.size = section, value, size


class Piece:
    def __init__(self, name, kind, section, start, size):
        self.name, self.kind, self.section, self.start, self.size = name, kind, section, start, size
        self.digest, self.entries, self.uses = None, [], set()


def base_name(name):
    """foo.isra.0, __key.3 and __UNIQUE_ID_x42 without their numbers, fragments and __pfx_foo (the room in front of
    foo, which objtool names) as what they are of."""
    name = re.sub(r"^__pfx_|\.(cold|isra|constprop|part|llvm)\b.*", "", name)
    return re.sub(r"^(__UNIQUE_ID_\w*?)\d+$", r"\1", re.sub(r"\.\d+$", "", name))


class Object:
    def __init__(self, path):
        self.path, self.disassembled = path, {}
        with open(path, "rb") as stream:
            self.file = stream.read()
        self.read_sections()
        self.read_symbols()
        self.read_relocations()
        self.cut()
        self.digest_all()

    def read_sections(self):
        file = self.file
        if file[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{self.path} is no 64-bit ELF file")
        (table,), (size, count, names) = struct.unpack_from("<Q", file, 40), struct.unpack_from("<HHH", file, 58)
        raw = [struct.unpack_from("<IIQQQQIIQQ", file, table + size * i) for i in range(count)]
        strings = raw[names][4]
        self.sections = []
        for name, kind, flags, _, offset, length, link, info, _, entry in raw:
            data = b"" if kind == 8 else memoryview(file)[offset:offset + length]
            self.sections.append(Section(self.text(strings + name), (kind, flags, offset, length, link, info, entry),
                                         data))

    def text(self, offset):
        return self.file[offset:self.file.index(b"\0", offset)].decode("latin-1")

    def read_symbols(self):
        table = next(s for s in self.sections if s.type == 2)
        strings = self.sections[table.link].offset
        self.symbols = []
        for name, info, _, section, value, size in struct.iter_unpack("<IBBHQQ", table.data):
            self.symbols.append(Symbol(self.text(strings + name), info, section, value, size))

    def read_relocations(self):
        for section in self.sections:
            target = self.sections[section.info] if section.type == 4 else None
            if target and target.flags & SHF_ALLOC:
                target.relocations = sorted((offset, info & 0xffffffff, info >> 32, addend) for offset, info, addend
                                            in struct.iter_unpack("<QQq", section.data))

    def cut(self):
        """Makes the pieces. What lies between symbols is reached by references, or is of a table."""
        self.pieces = []
        for symbol in self.symbols:
            if 0 < symbol.section < 0xff00 and symbol.kind in (0, 1, 2, 10) and symbol.name:
                section = self.sections[symbol.section]
                if section.flags & SHF_ALLOC and (symbol.size or symbol.kind == 2) and not IGNORED.match(section.name):
                    kind = "function" if section.flags & SHF_EXEC else "data"
                    section.pieces.append(Piece(symbol.name, kind, section, symbol.value, symbol.size))
        for section in self.sections:
            section.pieces.sort(key=lambda piece: (piece.start, -piece.size))
            section.starts = [piece.start for piece in section.pieces]
            self.pieces += section.pieces
        targets = {}
        for section in self.sections:
            for _, _, symbol, addend in section.relocations:
                found = self.symbols[symbol]
                targets.setdefault(found.section, set()).add(found.value + addend)
        self.targets = {index: sorted(found) for index, found in targets.items()}

    def piece_at(self, section, offset):
        index = bisect.bisect_right(section.starts, offset) - 1
        while index >= 0:
            piece = section.pieces[index]
            if piece.start <= offset < piece.start + max(piece.size, 1):
                return piece
            index -= 1
        return None

    def distance(self, section, offset):
        """From a pc-relative field to the end of its instruction; the disassembler knows."""
        if section.data[offset - 1] in (0xe8, 0xe9) or (offset > 1 and section.data[offset - 2] == 0x0f
                                                        and section.data[offset - 1] & 0xf0 == 0x80):
            return 4
        starts = sorted({start for start, _ in self.instructions(section)}) + [section.size]
        return starts[bisect.bisect_right(starts, offset)] - offset

    def instructions(self, section):
        """(offset, text) of all instructions of a section."""
        if section.name not in self.disassembled:
            done = subprocess.run(["objdump", "-d", "-w", "--no-show-raw-insn", "-j", section.name, self.path],
                                  capture_output=True, text=True, check=True)
            found = re.findall(r"^ *([0-9a-f]+):\t(.*)", done.stdout, re.M)
            self.disassembled[section.name] = [(int(at, 16), text) for at, text in found]
        return self.disassembled[section.name]

    def branches(self, section):
        """(offset of the distance, its size, target) of branches from one function of a section to another: the
        assembler has settled them, and they change with the place of either."""
        if len(section.pieces) < 2 or not section.flags & SHF_EXEC:
            return []
        if section.settled is None:
            section.settled, known = [], {relocation[0] for relocation in section.relocations}
            listed = self.instructions(section) + [(section.size, "")]
            for (start, text), (end, _) in zip(listed, listed[1:]):
                found = re.match(r"(?:call|j\w+) +([0-9a-f]+) <", text)
                size = 4 if end - start >= 5 else 1
                if found and end - size not in known:
                    target = int(found.group(1), 16)
                    if self.piece_at(section, start) is not self.piece_at(section, target):
                        section.settled.append((end - size, size, target))
        return section.settled

    def place(self, section, relocation):
        """The section and offset that a relocation leads to, or None if it is another unit's."""
        offset, kind, symbol, addend = relocation
        found = self.symbols[symbol]
        if not 0 < found.section < 0xff00:
            return None
        if kind in (2, 4, 9, 41, 42):
            addend += self.distance(section, offset) if section.flags & SHF_EXEC else 0
        return self.sections[found.section], found.value + addend

    def target(self, piece, section, relocation):
        """What a relocation leads to, in words that do not depend on where things lie."""
        _, _, symbol, addend = relocation
        place = self.place(section, relocation)
        if place is None:
            piece.uses.add(self.symbols[symbol].name)
            return f"{self.symbols[symbol].name}+{addend}"
        to, offset = place
        if to.flags & SHF_STRINGS:
            data = bytes(to.data)
            return "text:" + data[offset:data.find(b"\0", offset)].decode("latin-1")
        found = self.piece_at(to, offset)
        if not found and to.flags & SHF_EXEC:  # the room in front of a function is that function's
            found = self.piece_at(to, offset + 16)
        if not found and to.pieces and not to.flags & SHF_MERGE:  # one past the end, or before the start
            found = min(to.pieces, key=lambda p: min(abs(p.start - offset), abs(p.start + p.size - offset)))
        if found:
            piece.uses.add(found.name)
            return f"{self.stable_name(found)}+{offset - found.start}"
        if to.name == ".altinstr_replacement":
            return "replacement"  # its code is compared with the entry that it belongs to
        if to.flags & SHF_ALLOC and to.type != 8 and not to.flags & SHF_WRITE:
            return "constant:" + self.constant(piece, to, offset)
        # A variable of no size, a lock's class without lockdep, is a section with its name: .bss.__key.15.
        return f"{to.name if to.size else base_name(to.name)}+{offset}"

    def stable_name(self, found):
        """Numbers of static locals depend on what else is in the unit: the content of constants stands for them. That
        of variables is a difference of their own."""
        if found.kind != "data" or base_name(found.name) == found.name:
            return found.name
        return base_name(found.name) + ("" if found.section.flags & SHF_WRITE else f"({self.digest(found)})")

    def constant(self, piece, section, offset):
        size = section.entry_size if section.flags & SHF_MERGE else 0
        if not size:
            ends = self.targets.get(self.sections.index(section), [])
            index = bisect.bisect_right(ends, offset)
            size = (ends[index] if index < len(ends) else section.size) - offset
        return self.content(piece, section, offset, size)

    def content(self, piece, section, start, size):
        if section.type == 8:
            return f"zero:{size}"
        data, words = bytearray(section.data[start:start + size]), []
        first = bisect.bisect_left(section.relocations, (start,))
        for relocation in section.relocations[first:]:
            at = relocation[0] - start
            if at >= size:
                break
            width = 8 if relocation[1] in (1, 24) else 4
            data[at:at + width] = bytes(min(width, size - at))
            words.append(f"{at}:{relocation[1]}:{self.target(piece, section, relocation)}")
        for at, width, to in self.branches(section):
            if start <= at < start + size:
                data[at - start:at - start + width] = bytes(width)
                found = self.piece_at(section, to)
                words.append(f"{at - start}:branch:{found.name}+{to - found.start}" if found else f"branch:{to}")
        return data.hex() + "|" + "|".join(words)

    def digest(self, piece):
        if piece.digest is None:
            piece.digest = "cycle"
            text = self.content(piece, piece.section, piece.start, piece.size)
            piece.digest = hashlib.sha1(f"{piece.size}|{text}".encode()).hexdigest()
        return piece.digest

    def digest_all(self):
        for piece in self.pieces:
            self.digest(piece)
        self.loose = {}
        for section in self.sections:
            if not section.flags & SHF_ALLOC or not section.size or IGNORED.match(section.name):
                continue
            if section.name == ".altinstr_replacement" or section.flags & (SHF_MERGE | SHF_EXEC):
                continue
            if not section.pieces and section.name not in (".rodata", ".bss", ".data"):
                self.add_table(section)

    def add_table(self, section):
        size = TABLES.get(section.name) or next((TABLES[n] for n in TABLES if section.name.startswith(n)), 0)
        if section.name == ".altinstructions":
            size = next(n for n in (12, 13, 14) if section.size % n == 0 and self.is_stride(section, n))
        if section.name == ".parainstructions":
            size = next((n for n in (12, 16) if section.size % n == 0 and self.is_stride(section, n)), 0)
        if not size or section.size % size or section.name.startswith(".rodata"):
            if not section.name.startswith(".rodata"):
                self.loose[section.name] = self.content(Piece("", "", section, 0, 0), section, 0, section.size)
            return
        for start in range(0, section.size, size):
            self.add_entry(section, start, size)

    @staticmethod
    def is_stride(section, size):
        at = [offset % size for offset, _, _, _ in section.relocations]
        return len(set(at)) <= 2 and 0 in at

    def add_entry(self, section, start, size):
        first = bisect.bisect_left(section.relocations, (start,))
        owner = None
        for relocation in section.relocations[first:]:
            if relocation[0] >= start + size:
                break
            place = self.place(section, relocation)
            if place and not owner:
                # The room in front of a function (call padding) is that function's.
                owner = self.piece_at(*place) or self.piece_at(place[0], place[1] + 16)
        text = f"{section.name}:{self.content(owner or Piece('', '', section, 0, 0), section, start, size)}"
        if section.name == ".altinstructions":
            text += self.replacement(section, start, size)
        if owner:
            owner.entries.append(text)
        else:
            self.loose[section.name] = self.loose.get(section.name, "") + text

    def replacement(self, section, start, size):
        """The code that an alternative brings: its place in its section is of no importance."""
        first = bisect.bisect_left(section.relocations, (start + 4,))
        if first == len(section.relocations) or section.relocations[first][0] != start + 4:
            return ""
        to, offset = self.place(section, section.relocations[first])
        length = section.data[start + size - 1] if size != 13 else section.data[start + 11]
        return self.content(Piece("", "", to, 0, 0), to, offset, length)


def signature(piece):
    return f"{piece.digest}:{sorted(piece.entries)}"


def table(obj):
    found = {}
    for piece in obj.pieces:
        found.setdefault((piece.kind, base_name(piece.name)), []).append(signature(piece))
    for name, text in obj.loose.items():
        found[("section", name)] = [text]
    return {key: sorted(value) for key, value in found.items()}


def differences(before, after):
    """[(kind, name)] of what is not the same: kind is function, data or section; names without numbers."""
    one, two = table(before), table(after)
    return sorted(key for key in one.keys() | two.keys() if one.get(key) != two.get(key))


def users(obj):
    """name -> the names of what refers to it, without numbers."""
    found = {}
    for piece in obj.pieces:
        for used in piece.uses:
            found.setdefault(base_name(used), set()).add(base_name(piece.name))
    return found


def aliases(*objects):
    """name -> all names that the place has."""
    found = {}
    for obj in objects:
        places = {}
        for piece in obj.pieces:
            places.setdefault((piece.section.name, piece.start), set()).add(base_name(piece.name))
        for names in places.values():
            for name in names:
                found.setdefault(name, set()).update(names)
    return found


def reaches(*objects):
    """A function: name -> it and all that it refers to, directly or through others."""
    uses = {}
    for obj in objects:
        for piece in obj.pieces:
            uses.setdefault(base_name(piece.name), set()).update(base_name(used) for used in piece.uses)

    def leads_to(name):
        seen, todo = {name}, [name]
        while todo:
            more = uses.get(todo.pop(), set()) - seen
            seen |= more
            todo += more
        return seen
    return leads_to


if __name__ == "__main__":
    import sys
    for kind, name in differences(Object(sys.argv[1]), Object(sys.argv[2])):
        print(kind, name)
