#!/usr/bin/env bash
# The page for who must approve an update: well-formed, complete by itself, and everything from outside is text.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch fs/proc/version.c '/^static int version_proc_show/,/^}/s/return 0;/\/* <\/pre><script>alert("x")<\/script> *\/\n\tseq_puts(m, "a<b>\&amp;\\n");\n\treturn 0;/'
"$create" --config="$CONFIG" --patch="$WORK/patch" --id=shown --description='<script>x</script> & "y"' --cve=CVE-2026-1234 \
  --output="$WORK" -q "$SOURCE" >/dev/null
"$create" --report="$WORK/first.html" "$WORK/ksplice-shown.tar.gz" >"$WORK/out"
expect '^Report written to ' "$WORK/out"
"$view" --report="$WORK/report.html" --file="$WORK/ksplice-shown.tar.gz" -q
cmp "$WORK/first.html" "$WORK/report.html" || fail "ksplice-view writes another page"

cat >"$WORK/check.py" <<'END'
import html.parser, sys

class Page(html.parser.HTMLParser):
    VOID = {"meta"}
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.levels, self.ids, self.links, self.text, self.rows, self.cells = [], [], [], [], "", [], []
    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        assert tag not in ("script", "link", "img", "iframe", "object"), tag
        assert not any(name.startswith("on") or name == "src" for name in attrs), attrs
        if tag == "html":
            assert attrs["lang"] == "en"
        if tag in ("h1", "h2", "h3"):
            level = int(tag[1])
            assert level <= (self.levels[-1] if self.levels else 0) + 1, (tag, self.levels)
            self.levels.append(level)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "a":
            assert attrs["href"].startswith("#"), attrs
            self.links.append(attrs["href"][1:])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)
    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()
    def handle_data(self, data):
        if "style" in self.open:
            assert "url(" not in data and "@import" not in data
            return
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data

text = open(sys.argv[1], encoding="utf-8").read()
page = Page()
page.feed(text)
page.close()
assert not page.open, page.open
assert page.levels.count(1) == 1 and page.levels[0] == 1
assert len(set(page.ids)) == len(page.ids)
assert set(page.links) <= set(page.ids), set(page.links) - set(page.ids)
assert '<title>Update shown: &lt;script&gt;x&lt;/script&gt; &amp; &quot;y&quot;</title>' in text
for wanted in ('/* </pre><script>alert("x")</script> */', 'seq_puts(m, "a<b>&amp;\\n");', "CVE-2026-1234", "not signed",
               "Changes version_proc_show.", "Code of version_proc_show", "Proven against the kernel's image",
               "call of the function tracer: 1 place, 5 bytes", "the update's module is freed"):
    assert wanted in page.text, wanted
code = [row for row in page.rows if len(row) == 3]
added = [row for row in code if row[0] == "+"]
assert any('"a<b>&amp;' in row[2] for row in added), added
assert all(row[1] == "" and row[2] for row in added)
assert any(row[0] == "" and row[1] and row[2] for row in code), code
assert any(row[0] == "?" and row[1].startswith("callq <vmlinux+") and row[2] == "callq <seq_printf>" for row in code), code
for name in ("callq <__fentry__>", "jmp <__x86_return_thunk>"):
    assert ["", name, name] in code, code
assert ["+", "", "jmp <ksplice_register>"] in code, code
assert "WARNING" not in page.text
END
python3 "$WORK/check.py" "$WORK/report.html" || fail "the page is not as it should be"

# What the modules replace is on the page though the manifest be silent.
tar -xzf "$WORK/ksplice-shown.tar.gz" -C "$WORK"
python3 - "$WORK/ksplice-shown/manifest.json" <<'END'
import json, sys

manifest = json.load(open(sys.argv[1]))
for kernel in manifest["kernels"]:
    for target in kernel["targets"]:
        target["functions"] = []
json.dump(manifest, open(sys.argv[1], "w"))
END
tar -czf "$WORK/silent.tar.gz" -C "$WORK" ksplice-shown
"$view" --report="$WORK/silent.html" --file="$WORK/silent.tar.gz" -q
expect 'WARNING: version_proc_show of vmlinux, kernel .*, is replaced, and the manifest does not say so' "$WORK/silent.html"
expect 'Code of version_proc_show' "$WORK/silent.html"

exits 2 "$create" --report="$WORK/x.html" --patch=p "$SOURCE" 2>/dev/null
exits 2 "$create" --report="$WORK/x.html" 2>/dev/null
refused 1 unknown_update "$view" --report="$WORK/x.html" --id=nobody
refused 1 bad_tarball "$view" --report="$WORK/x.html" --file="$WORK/patch"
