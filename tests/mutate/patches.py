"""The patches that a campaign makes of one unit: seeded, each with its original, its neutral twin and its result.

The original is the unit as it is, or with comment lines at its top, so that some number comes to stand near its
own line. A patch adds lines in one or two places, or none, and makes one to three changes. The neutral twin has
the added lines and nothing else, so that its lines have the same numbers as those of the patched file.
"""
import difflib
import hashlib
import random

import mutations
from mutations import NEAR
from source import Source, comment_lines

WEIGHTS = {"number": 20, "near": 30, "string": 5, "compare": 7, "flag": 5, "error": 6, "name": 7, "swap-arguments": 3,
           "argument": 4, "member-type": 4, "member-swap": 4, "array-size": 4, "deleted-call": 6, "table-delete": 4,
           "table-swap": 4}


class Mutant:
    def __init__(self, unit, base, added, changes, joined):
        self.base, self.changes = base, changes
        self.original = base.text
        self.neutral = apply(base.text, added + joined)
        self.post = apply(base.text, added + [(c.start, c.end, c.new) for c in changes])
        self.patch = "".join(difflib.unified_diff(self.original.splitlines(True), self.post.splitlines(True),
                                                  "a/" + unit, "b/" + unit))
        self.id = hashlib.sha1(self.patch.encode("latin-1")).hexdigest()[:12]
        self.facts = {
            "kinds": sorted({c.kind for c in changes}), "changes": len(changes),
            "near": any(c.near for c in changes), "moved_base": base.moved,
            "shift": any(c.by and c.by == shift_at(added, c.token.start) for c in changes), "lines_added": bool(added),
            "macro": any(c.token.macro for c in changes), "beside": any(c.token.near_check for c in changes)}


class Base:
    """A text to be patched."""

    def __init__(self, text, values, moved=0):
        self.moved = moved
        self.text = comment_lines(moved) + text
        self.source = Source(self.text, values)
        self.sites = mutations.sites(self.source)
        self.names = sorted({t.text for t in self.source.tokens if t.kind == "name" and t.text.isupper()})
        self.gaps_between, self.gaps_inside = self.source.gaps(False), self.source.gaps(True)


def apply(text, edits):
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def moved_base(rng, text, values):
    """The unit moved down until many of its numbers are within six of their lines, above all numbers that are
    passed to functions; None if it has none."""
    plain = Source(text, values)
    weights = {}
    for token in plain.tokens:
        value = mutations.numeric(plain, token)
        if value is None or not token.line < value < 4200:
            continue
        passed = token.where == "function" and token.parens and {
            plain.tokens[token.index - 1].text, plain.tokens[token.index + 1].text} <= {"(", ",", ")"}
        for moved in range(max(1, value - token.line - NEAR + 1), value - token.line + NEAR):
            weights[moved] = weights.get(moved, 0) + (5 if passed else 2 if token.where == "function" else 1)
    if not weights:
        return None
    best = sorted(weights, key=lambda moved: (-weights[moved], moved))[:12]
    return Base(text, values, rng.choice(best))


def shape(rng, base, number):
    """Added lines: [(offset, offset, text)]. The first shape of each base adds none."""
    places = []
    if number % 6 in (1, 3, 5) and base.gaps_between:
        places.append((rng.choice(base.gaps_between[:3] if number % 6 == 1 else base.gaps_between),
                       rng.choice((1, 2, 3, 5, 8, rng.randint(1, 60)))))
    if number % 6 in (2, 3, 4) and base.gaps_inside:
        places.append((rng.choice(base.gaps_inside), rng.randint(1, 4 if number % 6 == 2 else 12)))
    edits = {}
    for line, count in places:
        offset = base.source.line_start(line)
        text = comment_lines(count) if rng.random() < 0.7 else "\n" * count
        if line in base.gaps_between and rng.random() < 0.3:
            text = f"struct added_{count};\n" + "\n" * (count - 1)
        edits[offset] = (offset, offset, text)
    return list(edits.values())


def shift_at(added, offset):
    return sum(text.count("\n") for start, _, text in added if start <= offset)


def pick_site(rng, base, near_wanted):
    kinds = [kind for kind in WEIGHTS if kind in base.sites]
    if near_wanted and "near" in kinds:
        return "near", rng.choice(base.sites["near"])
    if not kinds:
        return None, None
    kind = rng.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]
    return kind, rng.choice(base.sites[kind])


def with_comment_above(rng, base, change, added):
    """Some patches say why, in lines above the changed one."""
    line = change.token.line
    if line not in base.gaps_inside or rng.random() > 0.12:
        return
    offset = base.source.line_start(line)
    if all(start != offset for start, _, _ in added):
        added.append((offset, offset, comment_lines(rng.randint(1, 3))))


def remove_line(rng, base, change):
    """A deleted call that takes its line with it; in the neutral twin the call stands behind the line before."""
    if change.kind != "deleted-call" or rng.random() < 0.5:
        return None
    statement = base.text[change.start:change.end].strip()
    change.start -= 1  # the end of the line before
    return [(change.start, change.end, " " + statement)]


def overlap(edits):
    edits = sorted(edits)
    return any(a[1] > b[0] or a[0] == b[0] for a, b in zip(edits, edits[1:]))


def one_mutant(rng, unit, base, added, near_wanted):
    added, changes, joined = list(added), [], []
    for number in range(rng.choice((1, 1, 1, 2, 3))):
        kind, token = pick_site(rng, base, near_wanted and not number)
        if kind is None:
            return None
        shift = shift_at(added, token.start)
        change = mutations.make(rng, base.source, kind, token, shift, base.names)
        if change is None:
            continue
        join = remove_line(rng, base, change)
        joined += join or []
        if not join:
            with_comment_above(rng, base, change, added)
        changes.append(change)
    if not changes or overlap(added + [(c.start, c.end, c.new) for c in changes]):
        return None
    return Mutant(unit, base, added, changes, joined)


def mutants_of(unit, text, values, seed, per_shape):
    """All patches of a unit, each once, in an order that interleaves its shapes."""
    rng = random.Random(f"{seed}/{unit}")
    bases = [(Base(text, values), 6)]
    moved = moved_base(rng, text, values)
    if moved:
        bases.append((moved, 3))
    found = {}
    for base, shapes in bases:
        for number in range(shapes):
            added = shape(rng, base, number if base.moved == 0 else number * rng.choice((1, 2, 3)))
            for turn in range(per_shape):
                near_wanted = base.moved > 0 or turn % 3 == 0
                mutant = one_mutant(rng, unit, base, added, near_wanted)
                if mutant:
                    found.setdefault(mutant.id, mutant)
    return list(found.values())
