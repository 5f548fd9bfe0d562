#include "create/patch.h"

#include <gtest/gtest.h>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

constexpr const char* Simple =
    "--- a/mm/slab.c\t2024-01-01\n+++ b/mm/slab.c\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n";

std::string code_of(const std::string& text, unsigned strip = 1) {
  try {
    parse_patch(text, strip, "test");
  } catch (const Error& error) {
    return error.code;
  }
  return "";
}

// A source tree and the result of applying patches to it.
struct Tree {
  TempDir source, staging;
  void put(const std::string& path, const std::string& text) {
    fs::create_directories((source.path() / path).parent_path());
    write_file(source.path() / path, text);
  }
  AppliedPatch apply(const std::vector<std::string>& texts,
                     const std::vector<std::string>& options = {}) {
    std::vector<Patch> patches;
    for (const std::string& text : texts)
      patches.push_back(parse_patch(text, strip_of(options), "test"));
    return apply_patches(patches, options, source.path(), staging.path());
  }
};

// What a patch with a mail's head is refused for; "" if it is not.
std::string refused_mail(const std::string& text) {
  try {
    parse_patch(text, 1, "mail");
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "bad_patch");
    EXPECT_NE(error.hint.find("save its text decoded"), std::string::npos) << error.what();
    return error.what();
  }
}

std::string diff_to(const std::string& line) {
  return "--- a/f.c\n+++ b/f.c\n@@ -1 +1 @@\n-int x;\n+" + line + "\n";
}

TEST(ParsePatch, RefusesATransferEncodingThatIsUsed) {
  const std::string head = "Subject: x\nContent-Transfer-Encoding: quoted-printable\n\n";
  const std::string say = "mail:8: the patch is not decoded: its mail is in quoted-printable";
  EXPECT_EQ(refused_mail(head + diff_to("puts(\"a=3Db\");")).find(say), 0u);
  EXPECT_EQ(refused_mail(head + diff_to("puts(\"caf=C3=A9\");")).find(say), 0u);
  EXPECT_EQ(refused_mail("content-transfer-encoding:  Quoted-Printable; x\n\n\n" +
                         diff_to("puts(\"a=3Db\");"))
                .find(say),
            0u);
  EXPECT_NE(refused_mail(head + "--- a/f=3D.c\n+++ b/f=3D.c\n@@ -1 +1 @@\n-a\n+b\n"), "");
  // It is decoded, the head was left alone; there is nothing to decode; it is of a mail before.
  EXPECT_EQ(refused_mail(head + diff_to("int x = 1, y =20;")), "");
  EXPECT_EQ(refused_mail(head + diff_to("int x;  /* = */")), "");
  EXPECT_EQ(refused_mail(head + diff_to("int y;")), "");
  EXPECT_EQ(refused_mail(diff_to("puts(\"a=3Db\");")), "");
  const std::string plain = "Content-Transfer-Encoding: 8bit\n\n" + diff_to("puts(\"a=3Db\");");
  EXPECT_EQ(refused_mail(head + diff_to("int y;") + "\n" + plain), "");
  EXPECT_NE(refused_mail(plain + "\n" + head + diff_to("puts(\"a=3Db\");")), "");
}

TEST(ParsePatch, RefusesAPartInBase64) {
  const std::string head = "Content-Transfer-Encoding: base64\n\n";
  const std::string part = "LS0tIGEvZi5jCisrKyBiL2YuYwpAQCAtMSArMSBAQAo=\n\n";
  EXPECT_NE(refused_mail(head + part), "");
  EXPECT_NE(refused_mail(diff_to("int y;") + "\n" + head + part), "");
  EXPECT_NE(refused_mail(head + part + "Content-Transfer-Encoding: 7bit\n\n" + diff_to("int y;")),
            "");
  EXPECT_EQ(refused_mail(head + "a word\n" + diff_to("int y;")), "");
}

TEST(ParsePatch, ReadsNamesAndHunks) {
  Patch patch = parse_patch(Simple, 1, "test");
  ASSERT_EQ(patch.files.size(), 1u);
  EXPECT_EQ(patch.files[0].old_path, "mm/slab.c");
  EXPECT_EQ(patch.files[0].new_path, "mm/slab.c");
  ASSERT_EQ(patch.files[0].hunks.size(), 1u);
  EXPECT_EQ(patch.files[0].hunks[0].range, "@@ -1,3 +1,3 @@");
  EXPECT_EQ(patch.files[0].hunks[0].first, 1u);
  EXPECT_EQ(patch.files[0].hunks[0].lines,
            (std::vector<std::string>{" one", "-two", "+TWO", " three"}));
}

TEST(ParsePatch, TakesSubjectOfMail) {
  Patch patch = parse_patch(
      "From: x\nSubject: [PATCH v2 1/2] mm: fix a\n leak\n\nbody\n" + std::string(Simple), 1, "t");
  EXPECT_EQ(patch.subject, "mm: fix a leak");
}

TEST(ParsePatch, DecodesSubjectsAndReadsDep3) {
  auto subject = [](const std::string& head) {
    return parse_patch(head + "\n\n" + Simple, 1, "t").subject;
  };
  EXPECT_EQ(subject("Subject: [PATCH] =?UTF-8?q?caf=C3=A9=20?=\n =?UTF-8?q?au_lait?="),
            "caf\xc3\xa9 au lait");
  EXPECT_EQ(subject("Subject: =?UTF-8?B?YQ==?= b"), "=?UTF-8?B?YQ==?= b");
  EXPECT_EQ(subject("Subject: a\tb\x1b[0m"), "a b [0m");
  EXPECT_EQ(subject("Subject: [PATCH]"), "");
  EXPECT_EQ(subject("Description: from a quilt series\nOrigin: x"), "from a quilt series");
}

TEST(ParsePatch, GivesOnlyItsOwnSectionsToPatch) {
  std::string cover =
      "Subject: x\n\n  --- a/mm/evil.c\n  +++ b/mm/evil.c\n  @@ -0,0 +1 @@\n  +1\n"
      "1d\n.\n--- separator\nIndex: mm/slab.c\n=====\n";
  Patch patch = parse_patch(cover + Simple + "-- \n2.39\n", 1, "test");
  EXPECT_EQ(patch.diff, Simple);
  EXPECT_EQ(patch.files.size(), 1u);
}

TEST(ParsePatch, HintsAtAnEncodedMail) {
  try {
    parse_patch(
        "Content-Transfer-Encoding: quoted-printable\n\n--- a/x.c\n+++ b/x.c\n"
        "@@ -1,2 +1,2 @@\n a =3D=\nb\n",
        1, "test");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.hint.find("quoted-printable"), std::string::npos);
  }
}

TEST(SplitSeries, OnePatchPerMailWithoutTheCoverLetter) {
  std::string mark = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n";
  std::string series = mark + "Subject: [PATCH 0/2] all\n\ntext\n" + mark +
                       "Subject: [PATCH 1/2] one\n\n" + Simple + mark +
                       "Subject: [PATCH 2/2] two\n\nFrom me\n" + Simple;
  std::vector<std::string> parts = split_series(series);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parse_patch(parts[0], 1, "t").subject, "one");
  EXPECT_EQ(parse_patch(parts[1], 1, "t").subject, "two");
  EXPECT_EQ(split_series("Subject: x\n").size(), 1u);
  EXPECT_EQ(split_series("").size(), 1u);
}

TEST(ParsePatch, HeaderLikeLinesInsideHunksAreText) {
  Patch patch = parse_patch(
      "--- a/x.c\n+++ b/x.c\n@@ -1,2 +1,2 @@\n--- a/../../etc/passwd\n+++ b/../../etc/passwd\n z\n",
      1, "test");
  EXPECT_EQ(patch.files.size(), 1u);
}

TEST(ParsePatch, RefusesNamesOutsideTheTree) {
  for (const char* name : {"a/../x.c", "a/b/../../../x.c", "/etc/passwd", "a//etc/../../x"}) {
    std::string text = Simple;
    for (size_t at; (at = text.find("a/mm/slab.c")) != text.npos;) text.replace(at, 11, name);
    EXPECT_EQ(code_of(text), "bad_patch") << name;
  }
  EXPECT_EQ(code_of("diff --git a/x b/x\nrename from ../x\nrename to y\n"), "bad_patch");
  EXPECT_EQ(code_of("--- \"a/x\\033[2J.c\"\n+++ b/x.c\n@@ -1 +1 @@\n-1\n+2\n"), "bad_patch");
}

TEST(ParsePatch, RefusesLinks) {
  for (const char* mode : {"new file mode 120000", "deleted file mode 120000", "new mode 160000",
                           "index 123..456 120000"})
    EXPECT_EQ(code_of("diff --git a/m/x b/m/x\n" + std::string(mode) +
                      "\n--- a/m/x\n+++ b/m/x\n@@ -1 +1 @@\n-1\n+2\n"),
              std::string(mode).starts_with("index") ? "" : "bad_patch")
        << mode;
}

TEST(ParsePatch, RefusesWhatIsNoUnifiedDiff) {
  EXPECT_EQ(code_of(""), "bad_patch");
  EXPECT_EQ(code_of("hello\n"), "bad_patch");
  EXPECT_EQ(code_of("*** a/x.c\n--- b/x.c\n***************\n"), "bad_patch");
  EXPECT_EQ(code_of("diff --git a/x b/x\nGIT binary patch\nliteral 3\n"), "bad_patch");
  EXPECT_EQ(code_of(std::string(Simple).substr(0, 50)), "bad_patch");  // cut off
}

// patch(1) takes what stands behind a line of no section for a mail's text.
TEST(ParsePatch, RefusesHunksThatWouldBeLeftOut) {
  const std::string hunk = "@@ -11,1 +11,1 @@\n-four\n+FOUR\n";
  EXPECT_EQ(code_of(Simple + hunk), "");
  EXPECT_EQ(code_of(Simple + std::string("\n") + hunk), "bad_patch");
  EXPECT_EQ(code_of(Simple + std::string("some text\n") + hunk), "bad_patch");
  EXPECT_EQ(code_of(Simple + std::string("+more\n")), "bad_patch");
  EXPECT_EQ(code_of(Simple + std::string("-less\n")), "bad_patch");
  for (const char* end :
       {"-- \n2.39.2\n\n", "---\n", "-- >8 --\n", "-----BEGIN PGP SIGNATURE-----\n"})
    EXPECT_EQ(code_of(Simple + std::string(end)), "") << end;
}

// Another place that looks alike may be the wrong one.
TEST(ApplyPatches, SaysWhereAHunkWent) {
  Tree tree;
  tree.put("mm/slab.c", "new\nlines\none\ntwo\nthree\n");
  const AppliedPatch applied = tree.apply({Simple});
  ASSERT_EQ(applied.notes.size(), 1u);
  EXPECT_EQ(applied.notes[0], "patch: mm/slab.c: Hunk #1 succeeded at 3 (offset 2 lines).");
}

TEST(ParsePatch, UnquotesNames) {
  Patch patch = parse_patch(
      "--- \"a/\\303\\244 b.c\"\n+++ \"b/\\303\\244 b.c\"\n@@ -1 +1 @@\n-1\n+2\n", 1, "test");
  EXPECT_EQ(patch.files[0].new_path, "\xc3\xa4 b.c");
}

TEST(ApplyPatches, ChangesACopyOnly) {
  Tree tree;
  tree.put("mm/slab.c", "one\ntwo\nthree\n");
  AppliedPatch applied = tree.apply({Simple});
  ASSERT_EQ(applied.changes.size(), 1u);
  EXPECT_EQ(applied.changes[0].kind, ChangeKind::Modified);
  EXPECT_EQ(read_text(applied.changes[0].content), "one\nTWO\nthree\n");
  EXPECT_EQ(read_text(tree.source.path() / "mm/slab.c"), "one\ntwo\nthree\n");
}

TEST(ApplyPatches, TakesFilesWithoutFinalNewline) {
  Tree tree;
  tree.put("x.c", "one\ntwo");
  AppliedPatch applied = tree.apply(
      {"--- a/x.c\n+++ b/x.c\n@@ -1,2 +1,2 @@\n one\n-two\n\\ No newline at end of file\n"
       "+TWO\n\\ No newline at end of file"});
  ASSERT_EQ(applied.changes.size(), 1u);
  EXPECT_EQ(read_text(applied.changes[0].content), "one\nTWO");
}

TEST(ApplyPatches, SaysThatItIsThereAlready) {
  Tree tree;
  tree.put("mm/slab.c", "one\nTWO\nthree\n");
  try {
    tree.apply({Simple});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "already_in_source");
    EXPECT_NE(std::string(error.what()).find("already in the source"), std::string::npos);
  }
  try {
    Tree other;
    other.put("mm/slab.c", "one\ntwo\nthree\n");
    other.apply({Simple, Simple});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "already_in_source");
  }
}

TEST(ApplyPatches, SaysWhichStripWouldFind) {
  Tree tree;
  tree.put("slab.c", "one\ntwo\nthree\n");
  try {
    tree.apply({Simple});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "patch_failed");
    EXPECT_NE(error.hint.find("--patch-opt=-p2"), std::string::npos) << error.hint;
  }
}

TEST(ApplyPatches, FollowsRenamesThroughASeries) {
  Tree tree;
  tree.put("a.c", "1\n");
  AppliedPatch applied = tree.apply(
      {"diff --git a/a.c b/b.c\nsimilarity index 100%\nrename from a.c\nrename to b.c\n",
       "diff --git a/b.c b/b.c\n--- a/b.c\n+++ b/b.c\n@@ -1 +1 @@\n-1\n+2\n",
       "diff --git a/b.c b/c.c\nsimilarity index 100%\nrename from b.c\nrename to c.c\n"});
  ASSERT_EQ(applied.changes.size(), 2u);
  EXPECT_EQ(applied.changes[0].path, "a.c");
  EXPECT_EQ(applied.changes[0].kind, ChangeKind::Deleted);
  EXPECT_EQ(applied.changes[1].path, "c.c");
  EXPECT_EQ(applied.changes[1].old_path, "a.c");
  EXPECT_EQ(read_text(applied.changes[1].content), "2\n");
}

TEST(ApplyPatches, StacksSeveralPatches) {
  Tree tree;
  tree.put("mm/slab.c", "one\ntwo\nthree\n");
  AppliedPatch applied = tree.apply(
      {Simple, "--- a/mm/slab.c\n+++ b/mm/slab.c\n@@ -1,3 +1,3 @@\n one\n-TWO\n+2\n three\n"});
  ASSERT_EQ(applied.changes.size(), 1u);
  EXPECT_EQ(read_text(applied.changes[0].content), "one\n2\nthree\n");
}

TEST(ApplyPatches, SaysWhenItDoesNotFit) {
  Tree tree;
  tree.put("mm/slab.c", "something\nelse\n");
  try {
    tree.apply({Simple});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "patch_failed");
    EXPECT_NE(std::string(error.what()).find("mm/slab.c"), std::string::npos);
  }
}

TEST(ApplyPatches, TakesCrlfPatches) {
  Tree tree;
  tree.put("mm/slab.c", "one\ntwo\nthree\n");
  std::string text;
  for (const char* c = Simple; *c != 0; ++c) text += *c == '\n' ? "\r\n" : std::string(1, *c);
  AppliedPatch applied = tree.apply({text});
  ASSERT_EQ(applied.changes.size(), 1u);
  EXPECT_EQ(read_text(applied.changes[0].content), "one\nTWO\nthree\n");
}

TEST(ApplyPatches, NewDeletedRenamedAndModes) {
  Tree tree;
  tree.put("a.c", "1\n");
  tree.put("old.c", "1\n2\n3\n4\n5\n");
  tree.put("mode.c", "1\n");
  AppliedPatch applied = tree.apply(
      {"diff --git a/new.c b/new.c\nnew file mode 100644\n--- /dev/null\n+++ b/new.c\n"
       "@@ -0,0 +1 @@\n+n\n"
       "diff --git a/a.c b/a.c\ndeleted file mode 100644\n--- a/a.c\n+++ /dev/null\n"
       "@@ -1 +0,0 @@\n-1\n"
       "diff --git a/old.c b/fresh.c\nsimilarity index 80%\nrename from old.c\nrename to fresh.c\n"
       "--- a/old.c\n+++ b/fresh.c\n@@ -1,5 +1,5 @@\n 1\n 2\n-3\n+three\n 4\n 5\n"
       "diff --git a/mode.c b/mode.c\nold mode 100644\nnew mode 100755\n"});
  std::map<std::string, ChangeKind> kinds;
  for (const FileChange& change : applied.changes) kinds[change.path] = change.kind;
  std::map<std::string, ChangeKind> expected = {{"a.c", ChangeKind::Deleted},
                                                {"fresh.c", ChangeKind::Renamed},
                                                {"new.c", ChangeKind::Added},
                                                {"old.c", ChangeKind::Deleted}};
  EXPECT_EQ(kinds, expected);
}

TEST(ApplyPatches, HonoursStripOption) {
  Tree tree;
  tree.put("slab.c", "one\ntwo\nthree\n");
  AppliedPatch applied = tree.apply({Simple}, {"-p2"});
  ASSERT_EQ(applied.changes.size(), 1u);
  EXPECT_EQ(applied.changes[0].path, "slab.c");
}

TEST(DiffOfExtension, ComparesWithTheFileBeside) {
  Tree tree;
  tree.put("mm/slab.c", "one\ntwo\n");
  tree.put("mm/slab.c.new", "one\nTWO\n");
  AppliedPatch applied = tree.apply({diff_of_extension(tree.source.path(), "new")});
  ASSERT_EQ(applied.changes.size(), 1u);
  EXPECT_EQ(applied.changes[0].path, "mm/slab.c");
  EXPECT_EQ(read_text(applied.changes[0].content), "one\nTWO\n");
}

}  // namespace
}  // namespace ksplice
