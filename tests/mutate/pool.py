"""The units that a campaign changes."""
import importlib.machinery
import importlib.util
import json
import os
import random
import re

import mutations
from source import Source

HERE = os.path.dirname(os.path.abspath(__file__))
LEFT_OUT = re.compile(r"(arch/x86/(entry|boot|realmode|purgatory|um|kernel/vmlinux)|scripts/|tools/|samples/)")


def load(name, path):
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


whole = load("whole", os.path.join(HERE, "../whole/whole-kernel"))


def near_sites(args, name):
    """How many numbers of the unit are within six of their line; -1 if it is too long or too short."""
    with open(os.path.join(args.source, name), encoding="latin-1") as stream:
        text = stream.read()
    if not 80 <= text.count("\n") <= 1600:
        return -1
    source = Source(text, {})
    return sum(mutations.is_near(source, token) for token in source.tokens)


def every_unit(args):
    """The .c files of the configuration; finding them takes a minute, so they are noted."""
    noted = os.path.join(args.build, "units.json")
    if not os.path.exists(noted):
        units = whole.list_units(args)
        with open(noted + ".new", "w", encoding="ascii") as stream:
            json.dump(units, stream)
        os.rename(noted + ".new", noted)
    with open(noted, encoding="ascii") as stream:
        return sorted({unit[:-2] + ".c" for _, unit in json.load(stream) if not LEFT_OUT.match(unit)})


def choose(args, count):
    """count units by the seed: half of them those of a larger sample that have most numbers near their lines."""
    listed = os.path.join(args.work, f"pool-{count}.json")
    if os.path.exists(listed):
        with open(listed, encoding="ascii") as stream:
            return json.load(stream)
    every = every_unit(args)
    sample = random.Random(args.seed).sample(every, min(len(every), count * 8))
    known = [(near_sites(args, name), name) for name in sample]
    fit = [name for near, name in known if near >= 0]
    rich = [name for near, name in sorted(known, key=lambda item: (-item[0], item[1])) if near > 0][:count // 2]
    chosen = rich + [name for name in fit if name not in rich][:count - len(rich)]
    random.Random(args.seed).shuffle(chosen)
    with open(listed, "w", encoding="ascii") as stream:
        json.dump(chosen, stream, indent=0)
    return chosen


def command_is_known(args, name):
    folder, base = os.path.split(os.path.join(args.build, name[:-2] + ".o"))
    return os.path.exists(os.path.join(folder, f".{base}.cmd"))


def learn_commands(args, names):
    """Lets kbuild compile the units once; those that have a command then."""
    missing = [("", name[:-2] + ".o") for name in names if not command_is_known(args, name)]
    for start in range(0, len(missing), 20):
        whole.build(args, missing[start:start + 20])
        print(f"kbuild: {min(start + 20, len(missing))} of {len(missing)} units", flush=True)
    return [name for name in names if command_is_known(args, name)]
