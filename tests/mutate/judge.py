"""Holds what ksplice-objdiff says of a mutant to the truth.

Every function and datum that differs must be in its list, or in a refusal that names it. A local constant may be
reported by the functions that use it. What it reports beyond that must lead to a difference: a function by a
fragment, a callee or a constant, and a table by what it points to.
"""
import json
import subprocess

from truth import aliases, base_name, differences, reaches, users

# Reports of a function for what another one is; the truth lists that other one.
DERIVED = {"callee", "fragment", "carried", "constant"}


class Verdict:
    def __init__(self):
        self.changed, self.missing, self.extra, self.reported = [], [], [], 0
        self.error = ""


def run_objdiff(objdiff, pre, post, moved=None):
    command = [objdiff, "diff", "--json"] + ([f"--moved={moved}"] if moved else []) + [pre, post]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode not in (0, 3):
        return {"error": f"status {done.returncode}: {(done.stdout + done.stderr)[:400]}"}
    return json.loads(done.stdout)


class Answer:
    """What ksplice-objdiff said, and who uses what, without the numbers of names."""

    def __init__(self, answer, used_by, same_place):
        self.used_by, self.same_place = used_by, same_place
        self.sections = {refusal.get("section", "") for refusal in answer["refusals"]}
        self.names = {base_name(item["name"]) for item in answer["functions"] + answer["data"]}
        self.names |= {base_name(refusal.get("symbol", "")) for refusal in answer["refusals"]}

    def covers(self, kind, name):
        if kind == "section":
            return name in self.sections
        return self.names & self.same_place.get(name, {name}) or (kind == "data" and self.covers_users(name, {name}))

    def covers_users(self, name, seen):
        """A constant that is reported by all that use it."""
        found = self.used_by.get(name, set()) - seen
        return bool(found) and all(user in self.names or self.covers_users(user, seen | found) for user in found)


def judge(before, after, answer):
    """Compares the answer with the truth. before and after are truth.Object."""
    verdict = Verdict()
    verdict.changed = [list(key) for key in differences(before, after)]
    if "error" in answer:
        verdict.error = answer["error"]
        return verdict
    used_by = users(before)
    for name, more in users(after).items():
        used_by.setdefault(name, set()).update(more)
    said = Answer(answer, used_by, aliases(before, after))
    verdict.missing = [[kind, name] for kind, name in verdict.changed if not said.covers(kind, name)]
    differ = {name for _, name in verdict.changed}
    leads_to = reaches(before, after)
    for item in answer["functions"]:
        if item["status"] not in ("changed", "new"):
            continue
        verdict.reported += 1
        kinds = {reason["kind"] for reason in item["reasons"]}
        if base_name(item["name"]) not in differ and not (differ and kinds and kinds <= DERIVED):
            verdict.extra.append(["function", item["name"]])
    for item in answer["data"]:
        if item["status"] == "changed" and not differ & leads_to(base_name(item["name"])):
            verdict.extra.append(["data", item["name"]])
    return verdict
