#include "create/overlay.h"

#include <gtest/gtest.h>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

struct Source {
  TempDir top;
  fs::path path = top.path() / "lin ux \xc3\xa4";
  Source() {
    for (const char* file : {"Makefile", "Kbuild", "kernel/fork.c", "scripts/Makefile.build",
                             "mm/slab.c", "mm/slab.o", "Documentation/x.rst", ".config"})
      put(file, file);
  }
  void put(const std::string& file, const std::string& text) const {
    fs::create_directories((path / file).parent_path());
    write_file(path / file, text);
  }
};

TEST(Overlay, MirrorsSourcesByLinks) {
  Source source;
  TempDir cache;
  Overlay overlay(cache.path(), source.path, "k");
  EXPECT_EQ(read_text(overlay.tree() / "mm/slab.c"), "mm/slab.c");
  EXPECT_TRUE(fs::is_symlink(overlay.tree() / "mm/slab.c"));
  EXPECT_FALSE(fs::is_symlink(overlay.tree() / "mm"));
  EXPECT_FALSE(fs::exists(overlay.tree() / "mm/slab.o"));
  EXPECT_FALSE(fs::exists(overlay.tree() / ".config"));
  EXPECT_FALSE(fs::exists(overlay.tree() / "Documentation/x.rst"));
  EXPECT_EQ(overlay.tree().string().find(' '), std::string::npos);
}

TEST(Overlay, ReplacingNeverWritesTheSource) {
  Source source;
  TempDir cache;
  write_file(cache.path() / "new", "patched");
  Overlay overlay(cache.path(), source.path, "k");
  overlay.replace("mm/slab.c", cache.path() / "new");
  EXPECT_EQ(read_text(overlay.tree() / "mm/slab.c"), "patched");
  EXPECT_EQ(read_text(source.path / "mm/slab.c"), "mm/slab.c");
  overlay.restore("mm/slab.c");
  EXPECT_EQ(read_text(overlay.tree() / "mm/slab.c"), "mm/slab.c");
}

// Somebody's driver that is linked into the kernel's tree must not be patched where it lies.
TEST(Overlay, FoldersBehindLinksAreMirroredToo) {
  Source source;
  TempDir cache, driver;
  write_file(cache.path() / "new", "patched");
  write_file(driver.path() / "a.c", "a");
  fs::create_directory_symlink(driver.path(), source.path / "drivers");
  fs::path relative = fs::relative(fs::canonical(driver.path()), fs::canonical(source.path));
  fs::create_directory_symlink(relative, source.path / "near");
  fs::create_directory_symlink("mm", source.path / "alias");
  Overlay overlay(cache.path(), source.path, "k");
  for (const char* file : {"drivers/a.c", "near/a.c"}) {
    EXPECT_EQ(read_text(overlay.tree() / file), "a");
    overlay.replace(file, cache.path() / "new");
    EXPECT_EQ(read_text(overlay.tree() / file), "patched");
  }
  overlay.replace("alias/slab.c", cache.path() / "new");
  EXPECT_EQ(read_text(driver.path() / "a.c"), "a");
  EXPECT_EQ(read_text(source.path / "mm/slab.c"), "mm/slab.c");
  // What is run in a root directory sees it, too.
  EXPECT_EQ(overlay.outside(), (std::vector<fs::path>{fs::canonical(driver.path())}));
  fs::create_directory_symlink(driver.path(), driver.path() / "again");
  EXPECT_THROW(Overlay(cache.path(), source.path, "k"), Error);
}

TEST(Overlay, NextUseUndoesWhatAKilledOneLeft) {
  Source source;
  TempDir cache;
  write_file(cache.path() / "new", "patched");
  {
    Overlay overlay(cache.path(), source.path, "k");
    overlay.replace("mm/slab.c", cache.path() / "new");
    overlay.replace("mm/added.c", cache.path() / "new");
    overlay.remove("kernel/fork.c");
    write_file(overlay.work("1-patch") / "left", "x");
  }
  source.put("mm/later.c", "later");
  fs::remove(source.path / "Kbuild");
  source.put("Kbuild", "new kbuild");
  Overlay overlay(cache.path(), source.path, "k");
  EXPECT_EQ(read_text(overlay.tree() / "mm/slab.c"), "mm/slab.c");
  EXPECT_FALSE(fs::exists(overlay.tree() / "mm/added.c"));
  EXPECT_TRUE(fs::exists(overlay.tree() / "kernel/fork.c"));
  EXPECT_EQ(read_text(overlay.tree() / "mm/later.c"), "later");
  EXPECT_EQ(read_text(overlay.tree() / "Kbuild"), "new kbuild");
  EXPECT_TRUE(fs::is_empty(overlay.work()));
}

TEST(Overlay, TwoAtOnceGetDifferentTrees) {
  Source source;
  TempDir cache;
  Overlay first(cache.path(), source.path, "k");
  Overlay second(cache.path(), source.path, "k");
  EXPECT_NE(first.tree(), second.tree());
}

TEST(Overlay, TemplateIsUsedForItsKeyOnly) {
  Source source;
  TempDir cache;
  Overlay overlay(cache.path(), source.path, "k");
  EXPECT_FALSE(overlay.restore_template("one"));
  write_file(overlay.obj() / "made", "x");
  overlay.save_template("one");
  write_file(overlay.obj() / "leaked", "x");
  EXPECT_TRUE(overlay.restore_template("one"));
  EXPECT_TRUE(fs::exists(overlay.obj() / "made"));
  EXPECT_FALSE(fs::exists(overlay.obj() / "leaked"));
  EXPECT_FALSE(overlay.restore_template("two"));
  EXPECT_FALSE(fs::exists(overlay.obj() / "made"));
}

TEST(Overlay, SignatureFollowsHeadersButNotDrivers) {
  Source source;
  TempDir cache;
  source.put("include/a.h", "1");
  source.put("drivers/a.c", "1");
  std::string before = Overlay(cache.path(), source.path, "k").signature();
  source.put("drivers/a.c", "changed");
  EXPECT_EQ(Overlay(cache.path(), source.path, "k").signature(), before);
  source.put("include/a.h", "changed");
  EXPECT_NE(Overlay(cache.path(), source.path, "k").signature(), before);
}

TEST(Overlay, RefusesWhatIsNoKernelAndPathsThatKbuildCannotUse) {
  Source source;
  TempDir cache;
  auto code = [](const fs::path& where, const fs::path& from) -> std::string {
    try {
      Overlay overlay(where, from, "k");
    } catch (const Error& error) {
      return error.code;
    }
    return "";
  };
  EXPECT_EQ(code(cache.path(), cache.path()), "bad_source");
  EXPECT_EQ(code(cache.path(), cache.path() / "none"), "bad_source");
  EXPECT_EQ(code(cache.path() / "with space", source.path), "bad_cache");
}

}  // namespace
}  // namespace ksplice
