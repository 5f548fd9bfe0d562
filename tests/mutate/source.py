"""A .c file as a campaign sees it: tokens, where they stand, and places where lines can be added."""
import re

TOKEN = re.compile(r"""(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*")|(?P<char>'(?:\\.|[^'\\\n])*')
    |(?P<number>\b(?:0[xX][0-9a-fA-F]+|\d+)[uUlL]*\b)|(?P<name>[A-Za-z_]\w*)|(?P<line>\\\n|\n)|(?P<space>[ \t]+)
    |(?P<op><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)""", re.X | re.S)
BESIDE = re.compile(r"\b(WARN_ON|WARN|WARN_ONCE|WARN_ON_ONCE|BUG_ON|BUG|VM_BUG_ON\w*|VM_WARN_ON\w*|might_sleep|"
                    r"lockdep_assert_held\w*|static_branch_\w+|pr_\w+_once|net_ratelimit|pr_\w+ratelimited)\b")
# Text that is not code, or that only the compiler or the assembler sees.
SKIPPED = re.compile(r"\b(MODULE_\w+|EXPORT_\w+|__attribute__|asm|__asm__|_ASM_\w+|BUILD_BUG_ON\w*|static_assert|"
                     r"EXPORT|ALTERNATIVE\w*|__section|__aligned|BUILD_BUG)\b")


class Token:
    __slots__ = ("kind", "text", "start", "line", "where", "depth", "parens", "macro", "near_check", "index", "function")

    def __init__(self, kind, text, start, line):
        self.kind, self.text, self.start, self.line = kind, text, start, line
        self.where = "top"  # function, struct, table, macro, directive or top
        self.macro = self.near_check = False

    @property
    def end(self):
        return self.start + len(self.text)


class Source:
    def __init__(self, text, values):
        self.text, self.values = text, values  # values: of macros that are numbers
        self.lines = text.split("\n")
        self.tokens = []
        self.taken = set()  # lines that begin in the middle of something
        self.starts = [0]
        for text_line in self.lines:
            self.starts.append(self.starts[-1] + len(text_line) + 1)
        self.lex()
        self.mark()
        checks = {token.line for token in self.tokens if BESIDE.fullmatch(token.text)}
        for token in self.tokens:
            token.near_check = any(line in checks for line in range(token.line - 3, token.line + 4))

    def lex(self):
        """All tokens but comments and white space; directives are told by their first word."""
        line, at, directive, started = 1, 0, "", False
        for match in TOKEN.finditer(self.text):
            kind, text = match.lastgroup, match.group()
            if kind == "line" and text == "\n":
                directive, started = "", False
            elif kind == "op" and text == "#" and not started:
                rest = re.match(r"#\s*(\w+)", self.text[match.start():match.start() + 40])
                directive, started = rest.group(1) if rest else "?", True
            if kind not in ("comment", "line", "space"):
                token = Token(kind, text, match.start(), line)
                token.where = {"": "top", "define": "macro"}.get(directive, "directive")
                token.macro, started = token.where == "macro", True
                self.tokens.append(token)
            if "\n" in text and (kind in ("comment", "string") or text == "\\\n"):
                self.taken.update(range(line + 1, line + text.count("\n") + 1))
            line += text.count("\n")
            at = match.end()
        assert at == len(self.text)

    def mark(self):
        """Says of each token what it is in, by the braces around it; skipped calls become directives."""
        stack, parens, skip, previous, head, number = [], 0, -1, "", [], 0
        for index, token in enumerate(self.tokens):
            token.index, token.function = index, number
            if token.where != "top":
                token.depth, token.parens = len(stack), parens
                continue
            if token.text == "{":
                stack.append(self.kind_of_block(stack, previous, head))
                number += len(stack) == 1
            token.where = stack[-1] if stack else "top"
            token.depth, token.parens = len(stack), parens
            if token.text == "}" and stack:
                stack.pop()
            parens += {"(": 1, ")": -1}.get(token.text, 0)
            if skip < 0 and SKIPPED.fullmatch(token.text):
                skip = parens
            elif skip >= 0 and parens <= skip and token.text in (")", ";"):
                token.where, skip = "directive", -1
            if skip >= 0:
                token.where = "directive"
            head = [] if not stack and token.text in (";", "}") else head + [token.text] if not stack else head
            previous = token.text

    @staticmethod
    def kind_of_block(stack, previous, head):
        if stack:
            return stack[-1] if stack[-1] != "function" else "table" if previous == "=" else "function"
        if "=" in head:
            return "table"
        if ")" in head:
            return "function"
        return "struct" if {"struct", "union"} & set(head) else "enum" if "enum" in head else "top"

    def line_start(self, line):
        return self.starts[line - 1]

    def gaps(self, inside):
        """Numbers of lines before which comment lines can be added; inside of functions, or between them."""
        depth = {}
        for token in self.tokens:
            depth.setdefault(token.line, (token.depth, token.parens, token.where, token.text))
        found = []
        for line, (deep, parens, where, text) in depth.items():
            if line in self.taken or parens or where == "directive":
                continue
            if inside and deep and where == "function" and text not in ("{", "}", "else", "."):
                found.append(line)
            elif not inside and not deep and line > 1 and not self.lines[line - 2].strip():
                found.append(line)
        return found


def comment_lines(count, seed=0):
    return "".join(f"/* line {seed + i} of an addition */\n" for i in range(count))
