#!/usr/bin/env bash
# tests/kernel: the image of a kernel may be split into packages. A part that the archive lacks, or that
# holds nothing, is named with its package. A series may name the release and the flavour as well. An rt kernel before
# 6.13 has its own source: the common one with debian/patches-rt of the same version.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cat >"$WORK/test.py" <<'END'
import argparse, importlib.machinery, importlib.util, pathlib, sys

loader = importlib.machinery.SourceFileLoader("kernel", sys.argv[1])
kernel = importlib.util.module_from_spec(importlib.util.spec_from_loader("kernel", loader))
loader.exec_module(kernel)
version, release = "7.3.4-1~bpo13+1", "7.3.4+deb13-rt-amd64"
parts = [f"linux-{part}-{release}" for part in ("base", "binary", "modules")]
headers, common = f"linux-headers-{release}", "linux-headers-7.3.4+deb13-common"


class Archive:
    def __init__(self, *lacking):
        needs = {f"linux-image-{release}": f"dracut, {', '.join(f'{part} (= {version})' for part in parts)}",
                 headers: f"{common} (= {version}), linux-kbuild-7.3.4+deb13"}
        names = [*needs, *parts, common, "linux-kbuild-7.3.4+deb13", "linux-source-7.3"]
        self.found = {(name, version): needs.get(name, "") for name in names if name not in lacking}

    def offers(self, series):
        return self.found


(found,) = kernel.candidates(Archive(), "7.3", "rt-amd64")
assert found[:2] == (version, release) and {f"{part}={version}" for part in parts} < set(found[2]), found
assert f"{common}={version}" in found[2], found
for part in (*parts, common, "linux-kbuild-7.3.4+deb13"):
    print("without", part, file=sys.stderr)
    assert not kernel.candidates(Archive(part), "7.3", "rt-amd64")
for word, wanted in (("7.3+deb13-rt", ("7.3", "13", "rt")), ("6.1", ("6.1", "12", "cloud")), (None, (None, "12", "cloud")),
                     ("6.12+deb13", ("6.12", "13", "cloud")), ("backports+deb13-generic", ("backports", "13", "generic")),
                     ("6.1-rt", ("6.1", "12", "rt"))):
    said = argparse.Namespace(series=word, debian="12", flavour="cloud")
    kernel.take_word(said)
    assert (said.series, said.debian, said.flavour) == wanted, said
for word, flavour, wanted in (("6.1.187-1", "rt-amd64", "source-rt"), ("6.12.107-1", "rt-amd64", "source-rt"),
                              ("6.12.107-1", "cloud-amd64", "source"), (version, "rt-amd64", "source")):
    assert kernel.source_folder(word, flavour).name == wanted, (word, flavour)


class Sources:
    debian, series = "12", "6.1"

    def is_fresh(self):
        return True

    def command(self, *words):
        assert words[-1] == "linux=6.1.9-1", words
        return ["cp", str(work / "linux_6.1.9-1.debian.tar.xz"), "."]


work = pathlib.Path(sys.argv[3])
kernel.Apt, kernel.CACHE = lambda debian, kind: Sources(), work
patched = kernel.fetch_flavour_source(Sources(), "6.1.9-1", "rt-amd64")
assert (patched / "sched.c").read_text() == "rt\n" and sorted(f.name for f in patched.iterdir()) == ["sched.c"]
assert (patched.parent / "source/sched.c").read_text() == "plain\n"
kernel.unpacked(pathlib.Path(sys.argv[2]), release, "vmlinuz")
END
mkdir -p "$WORK/debian/patches-rt" "$WORK/kernels/6.1.9-1/source"
printf '# in this order\nz.patch\n\na.patch\n' >"$WORK/debian/patches-rt/series"
printf -- '--- a/sched.c\n+++ b/sched.c\n@@ -1 +1 @@\n-plain\n+half\n' >"$WORK/debian/patches-rt/z.patch"
printf -- '--- a/sched.c\n+++ b/sched.c\n@@ -1 +1 @@\n-half\n+rt\n' >"$WORK/debian/patches-rt/a.patch"
tar -C "$WORK" -cJf "$WORK/linux_6.1.9-1.debian.tar.xz" debian
echo plain >"$WORK/kernels/6.1.9-1/source/sched.c"
release=7.3.4+deb13-rt-amd64 shown=7.3.4.deb13-rt-amd64
mkdir -p "$WORK/root/usr/lib/modules/$release"
not python3 "$WORK/test.py" "$SOURCE_TREE/tests/kernel" "$WORK/root" "$WORK" 2>"$WORK/err"
for part in base binary modules; do
  expect "linux-image-$shown is left out, because the archive lacks linux-$part-$shown" "$WORK/err"
done
expect "lacks linux-headers-7.3.4.deb13-common" "$WORK/err"
expect "^tests/kernel: error: the packages of $shown hold no vmlinuz" "$WORK/err"
expect "^hint: .*linux-binary-$shown should have it" "$WORK/err"
expect_no Traceback "$WORK/err"
touch "$WORK/root/usr/lib/modules/$release/vmlinuz"
python3 "$WORK/test.py" "$SOURCE_TREE/tests/kernel" "$WORK/root" "$WORK"
