#include "create/object_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <functional>
#include <thread>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

std::string code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.code;
  }
  return "";
}

struct ObjectCacheTest : testing::Test {
  TempDir top;
  fs::path source = top.path() / "source", object = top.path() / "built.o",
           kept = top.path() / "kept.o";
  BuiltUnit unit, loaded;

  ObjectCacheTest() {
    write("fs/a.c", "int a = 1;");
    write("include/a.h", "int a;");
    unit.name = "fs/a.o";
    unit.target = "vmlinux";
    unit.object = object;
    unit.sources = {"fs/a.c", "include/a.h", "include/none.h"};
    unit.checksums = {{"a", 7}};
    write_file(object, "pre of a");
    settle();
  }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((source / path).parent_path());
    write_file(source / path, text);
  }
  // The clock of file systems goes on in steps.
  static void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

  void store() const {
    SourceFiles files(source);
    ObjectCache(top.path() / "cache", "key", files).store(unit);
  }
  bool load(const std::string& key = "key") {
    SourceFiles files(source);
    return ObjectCache(top.path() / "cache", key, files).load("fs/a.o", kept, loaded);
  }
  fs::path entry() const { return *fs::directory_iterator(top.path() / "cache/pre"); }
};

TEST_F(ObjectCacheTest, GivesWhatWasStored) {
  EXPECT_FALSE(load());
  store();
  ASSERT_TRUE(load());
  EXPECT_EQ(read_text(loaded.object), "pre of a");
  EXPECT_EQ(loaded.object, kept);
  EXPECT_EQ(loaded.target, "vmlinux");
  EXPECT_EQ(loaded.sources, unit.sources);
  EXPECT_EQ(loaded.checksums, unit.checksums);
  EXPECT_FALSE(load("another key"));
}

TEST_F(ObjectCacheTest, ComparesContentAndNotSizeAndTime) {
  store();
  struct stat st = {};
  ASSERT_EQ(::stat((source / "include/a.h").c_str(), &st), 0);
  write("include/a.h", "int b;");
  const timespec times[2] = {st.st_atim, st.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, (source / "include/a.h").c_str(), times, 0), 0);
  settle();
  EXPECT_FALSE(load());
  write("include/a.h", "int a;");
  settle();
  EXPECT_TRUE(load());
  write("include/none.h", "");
  settle();
  EXPECT_FALSE(load());
}

// As when another create puts its own entry there between the reading of the two files.
TEST_F(ObjectCacheTest, TakesNoOtherObjectThanTheDescribedOne) {
  store();
  write_file(entry() / "object.o", "of b too");
  EXPECT_FALSE(load());
  fs::remove(entry() / "object.o");
  EXPECT_FALSE(load());
  write_file(entry() / "object.o", "pre of a");
  EXPECT_TRUE(load());
  write_file(entry() / "unit.json", R"({"unit": "fs/a.o", "sour)");
  EXPECT_FALSE(load());
}

TEST_F(ObjectCacheTest, AnObjectInUseOutlivesItsEntry) {
  store();
  ASSERT_TRUE(load());
  write_file(object, "pre of b");
  store();
  EXPECT_EQ(read_text(kept), "pre of a");
  ASSERT_TRUE(load());
  EXPECT_EQ(read_text(kept), "pre of b");
}

TEST_F(ObjectCacheTest, AFileThatIsWrittenMeanwhileIsNamed) {
  SourceFiles files(source);
  EXPECT_EQ(code_of([&] { files.check("fs/a.c"); }), "");
  EXPECT_EQ(code_of([&] { files.check("fs/none.c"); }), "");
  settle();
  write("fs/a.c", "int a = 2;");
  EXPECT_EQ(code_of([&] { files.check("fs/a.c"); }), "source_changed");
  EXPECT_EQ(code_of([&] { (void)files.digest("fs/a.c"); }), "source_changed");
  EXPECT_EQ(code_of([&] { files.check("include/a.h"); }), "");
}

// Digests that a failed load remembers say nothing of a file that is written before the unit is
// compiled.
TEST_F(ObjectCacheTest, StoresNothingOfAFileThatWasWrittenMeanwhile) {
  store();
  write("include/a.h", "int b;");
  settle();
  SourceFiles files(source);
  ObjectCache cache(top.path() / "cache", "key", files);
  EXPECT_FALSE(cache.load("fs/a.o", kept, loaded));
  settle();
  write("fs/a.c", "int a = 2;");
  write_file(object, "of a = 2");
  EXPECT_EQ(code_of([&] { cache.store(unit); }), "source_changed");
  write("fs/a.c", "int a = 1;");
  settle();
  EXPECT_FALSE(load());
}

// mv keeps the time of the last write.
TEST_F(ObjectCacheTest, AnOldFileThatIsPutThereMeanwhileIsNamed) {
  write("fs/old.c", "int a = 2;");
  settle();
  SourceFiles files(source);
  settle();
  fs::rename(source / "fs/old.c", source / "fs/a.c");
  EXPECT_EQ(code_of([&] { files.check("fs/a.c"); }), "source_changed");
}

}  // namespace
}  // namespace ksplice
