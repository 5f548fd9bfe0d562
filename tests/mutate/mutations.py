"""The small changes that a campaign makes: where they can be made in a source, and what stands there then."""
import re

ERRORS = ("EPERM", "ENOENT", "EIO", "ENXIO", "EAGAIN", "ENOMEM", "EACCES", "EFAULT", "EBUSY", "EEXIST", "ENODEV",
          "EINVAL", "ENOSPC", "ERANGE", "EOPNOTSUPP", "ETIMEDOUT")
COMPARE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&"}
TYPES = {"u8": "u16", "u16": "u32", "u32": "u64", "u64": "u32", "int": "long", "long": "int", "unsigned": "signed",
         "bool": "int", "size_t": "u32", "short": "int", "char": "short", "__le32": "__le64", "__be32": "__be64"}
CODE = ("function", "table", "macro")
NEAR = 6


class Change:
    """One edit: the text from start to end becomes new. by: how much a number grows; near: it is within six of its
    own line."""

    def __init__(self, kind, token, start, end, new, **more):
        self.kind, self.token, self.start, self.end, self.new = kind, token, start, end, new
        self.by, self.near = more.get("by", 0), more.get("near", False)


def value_of(token):
    return number(token.text.rstrip("uUlL"))


def number(digits):
    return int(digits, 16 if digits[:2].lower() == "0x" else 8 if re.match(r"0\d", digits) else 10)


def numeric(source, token):
    """The value of a number, or of a macro that is one; None of anything else."""
    if token.where not in CODE:
        return None
    return value_of(token) if token.kind == "number" else source.values.get(token.text)


def is_near(source, token):
    value = numeric(source, token)
    return value is not None and abs(value - token.line) <= NEAR


def spell(token, value):
    digits = token.text.rstrip("uUlL") if token.kind == "number" else ""
    return (hex(value) if digits[:2].lower() == "0x" else str(value)) + token.text[len(digits):] * bool(digits)


def change_number(rng, source, token, shift, how):
    """how: number (by 1 or 2), line (a number of a line), shift (by as much as lines move)."""
    value = numeric(source, token)
    if how == "shift":
        new = value + shift
    elif how == "line":
        new = rng.choice((token.line, token.line + shift, token.line + shift + rng.randint(-NEAR, NEAR),
                          value + rng.randint(1, NEAR)))
    else:
        new = value + rng.choice((1, 1, 2, -1, -2))
    if new < 0 or new == value:
        new = value + 1
    others = sorted(name for name, known in source.values.items() if token.kind == "name" and known == new
                    and name.split("_")[0] == token.text.split("_")[0])
    return Change(how, token, token.start, token.end, others[0] if others else spell(token, new),
                  near=is_near(source, token), by=new - value)


def sites(source):
    """kind -> tokens at which a change of that kind can be made."""
    found = {}

    def add(kind, token):
        found.setdefault(kind, []).append(token)

    tokens = source.tokens
    for index, token in enumerate(tokens[:-3]):
        previous, following = tokens[index - 1] if index else tokens[0], tokens[index + 1]
        if token.where == "struct":
            add_member_sites(add, token, tokens, index)
        elif token.where in CODE:
            add_code_sites(add, token, previous, following, source)
    add_line_sites(add, source)
    return found


def add_member_sites(add, token, tokens, index):
    if token.text in TYPES and tokens[index + 1].kind == "name" and tokens[index - 1].text in ("{", ";", "const"):
        add("member-type", token)
    if token.kind == "number" and tokens[index - 1].text == "[":
        add("array-size", token)


def add_code_sites(add, token, previous, following, source):
    tokens = source.tokens
    if token.kind == "number":
        if token.where == "macro" and tokens[token.index - 2].text == "define" and following.line == token.line:
            return
        add("near" if is_near(source, token) else "number", token)
        if previous.text == "[" and following.text == "]" and tokens[token.index + 2].text in (";", "="):
            add("array-size", token)
    elif token.kind == "string" and len(token.text) > 3 and previous.kind != "string":
        add("string", token)
    elif token.text in COMPARE and (token.text not in "<>" or previous.kind in ("name", "number") or previous.text == ")"):
        add("compare", token)
    elif token.text == "|" and following.kind == "name" and following.text.isupper():
        add("flag", token)
    elif token.text in ERRORS and previous.text == "-":
        add("error", token)
    elif token.kind == "name" and token.text.isupper() and len(token.text) > 3 and token.text not in ERRORS:
        if following.text != "(" and previous.text not in ("define", "#", ".") and token.where != "macro" \
                and not token.text.startswith("CONFIG_"):
            add("near" if is_near(source, token) else "name", token)
    if token.where == "function" and token.kind == "name" and previous.text in ("(", ",") and token.parens:
        if following.text == "," and tokens[token.index + 2].kind in ("name", "number") \
                and tokens[token.index + 3].text in (",", ")"):
            add("swap-arguments", token)
        elif following.text in (",", ")") and previous.text == ",":
            add("argument", token)


def add_line_sites(add, source):
    """Changes of whole lines: they are told by the first token of the line."""
    first = {}
    for token in source.tokens:
        first.setdefault(token.line, token)
    for line, token in first.items():
        text = source.lines[line - 1]
        if token.where == "function" and re.fullmatch(r"\t+\w+\(.*\);", text) and not text.strip().startswith(
                ("return", "if", "for", "while")) and is_plain(source, line - 1):
            add("deleted-call", token)
        follows = source.lines[line] if line < len(source.lines) else ""
        if token.where == "table" and re.fullmatch(r"\t+[^#].*,", text) and text.count("{") == text.count("}") \
                and text.count("(") == text.count(")"):
            add("table-delete", token)
            if re.fullmatch(r"\t+[^#].*,", follows) and follows != text and follows.count("{") == follows.count("}"):
                add("table-swap", token)
        if token.where == "struct" and re.fullmatch(r"\t\w[^(){}#]*;.*", text) and re.fullmatch(
                r"\t\w[^(){}#]*;", follows) and "*/" not in text.split(";")[1][:1]:
            add("member-swap", token)


def is_plain(source, line):
    """The line ends a statement or opens a block: what follows it stands by itself."""
    text = source.lines[line - 1].split("/*")[0].rstrip()
    return text.endswith((";", "{", "}")) or not text


def make(rng, source, kind, token, shift, names):
    """The Change at one site; None if nothing can be made of it after all."""
    text = source.text
    start_of_line = text.rfind("\n", 0, token.start) + 1
    line, following = source.lines[token.line - 1], source.lines[token.line] if token.line < len(source.lines) else ""
    if kind in ("number", "near"):
        how = rng.choice(("shift", "shift", "number", "line")) if shift else rng.choice(("number", "number", "line"))
        if kind == "near":
            how = rng.choice(("line", "number", *(("shift", "shift") if shift else ("line",))))
        return change_number(rng, source, token, shift, how)
    if kind == "string":
        return change_string(rng, token)
    if kind == "compare":
        return Change(kind, token, token.start, token.end, COMPARE[token.text])
    if kind == "flag":
        following_token = source.tokens[token.index + 1]
        if source.tokens[token.index + 2].text == "(" or "\n" in text[token.start:following_token.end]:
            return None
        return Change(kind, token, token.start, following_token.end, "")
    if kind == "error":
        return Change(kind, token, token.start, token.end, rng.choice([e for e in ERRORS if e != token.text]))
    if kind == "name":
        prefix = token.text.split("_")[0] + "_"
        others = [name for name in names if name.startswith(prefix) and name != token.text]
        new = rng.choice(others) if others and rng.random() < 0.6 else f"({token.text} ^ {rng.choice((1, 2))})"
        return Change(kind, token, token.start, token.end, new)
    if kind == "swap-arguments":
        other = source.tokens[token.index + 2]
        if "\n" in text[token.start:other.end] or token.text == other.text:
            return None
        return Change("argument", token, token.start, other.end,
                      other.text + text[token.end:other.start] + token.text)
    if kind == "argument":
        return Change(kind, token, token.start, token.end, rng.choice(("0", "1", f"({token.text} + 1)")))
    if kind == "member-type":
        return Change(kind, token, token.start, token.end, TYPES[token.text])
    if kind == "array-size":
        return Change(kind, token, token.start, token.end, str(value_of(token) + rng.choice((1, 2, 8))))
    if kind in ("deleted-call", "table-delete"):
        return Change(kind, token, start_of_line, start_of_line + len(line), "")
    if kind in ("table-swap", "member-swap"):
        return Change(kind, token, start_of_line, start_of_line + len(line) + 1 + len(following),
                      following + "\n" + line)
    raise ValueError(kind)


def change_string(rng, token):
    letters = [i for i in range(1, len(token.text) - 1) if token.text[i].isalpha() and token.text[i - 1] not in "%\\"
               and not re.search(r"%[-0-9.*lhz]*$|\\x?[0-9a-fA-F]*$", token.text[:i])]
    if not letters:
        return None
    at = rng.choice(letters)
    new = rng.choice([c for c in "abcdefgxyz" if c != token.text[at]])
    return Change("string", token, token.start, token.end, token.text[:at] + new + token.text[at + 1:])
