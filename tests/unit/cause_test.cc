#include "create/cause.h"

#include <gtest/gtest.h>

#include "objdiff/base/file.h"

namespace ksplice {
namespace {

std::vector<ChangedLines> changed() {
  return {{"net/a.c", "", {{10, 12, true}, {40, 41, false}}}, {"include/b.h", "", {{5, 5, true}}}};
}

TEST(FindCause, TheLineOfThePatchInTheFunction) {
  // The first difference is in an inlined function that the patch leaves alone.
  EXPECT_EQ(find_cause(changed(), {{"include/c.h", 121}, {"net/a.c", 9}, {"net/a.c", 11}},
                       {"include/c.h", 121}),
            "net/a.c:11");
  // One of several: that of the first difference.
  EXPECT_EQ(find_cause(changed(), {{"net/a.c", 11}, {"include/b.h", 5}}, {"include/b.h", 5}),
            "include/b.h:5");
  // A line that is new before one beside which lines were taken away.
  EXPECT_EQ(find_cause(changed(), {{"net/a.c", 40}, {"net/a.c", 12}}, {"net/a.c", 40}),
            "net/a.c:12");
  EXPECT_EQ(find_cause(changed(), {{"net/a.c", 40}}, {"net/a.c", 40}), "net/a.c:40");
}

TEST(FindCause, ALineWithoutCodeOfItsOwn) {
  // A macro in the function's text.
  EXPECT_EQ(find_cause(changed(), {{"net/a.c", 8}, {"net/a.c", 20}}, {"net/a.c", 20}),
            "net/a.c:10");
  EXPECT_EQ(find_cause(changed(), {{"net/a.c", 50}}, {"net/a.c", 50}), "");
  EXPECT_EQ(find_cause({{"include/b.h", "2.patch", {{5, 5, true}}}}, {{"net/a.c", 50}}, {}),
            "2.patch: include/b.h:5");
}

TEST(FindChangedLines, OfTheNewSource) {
  TempDir folder;
  write_file(folder.path() / "old.c", "1\n2\n3\n4\n5\n6\n");
  write_file(folder.path() / "new.c", "0\n1\n2\n4\n5\nfive\n6\n");
  FileChange change;
  change.path = change.old_path = "old.c";
  change.content = folder.path() / "new.c";
  std::vector<Patch> patches(2);
  patches[0].name = "/a/1.patch";
  patches[1].name = "/a/2.patch";
  patches[1].files.resize(1);
  patches[1].files[0].new_path = "old.c";
  std::vector<ChangedLines> lines = find_changed_lines({change}, patches, folder.path());
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].patch, "2.patch");
  ASSERT_EQ(lines[0].ranges.size(), 3u);
  EXPECT_EQ(lines[0].ranges[0].first, 1u);
  EXPECT_EQ(lines[0].ranges[1].first, 3u);
  EXPECT_FALSE(lines[0].ranges[1].exact);
  EXPECT_EQ(lines[0].ranges[2].last, 6u);
}

TEST(PlainPath, WithoutOurFolders) {
  EXPECT_EQ(plain_path("../net/ipv4/tcp.c"), "net/ipv4/tcp.c");
  EXPECT_EQ(plain_path("../arch/x86/kvm/../../../virt/kvm/kvm_main.c"), "virt/kvm/kvm_main.c");
  EXPECT_EQ(plain_path("/root/.cache/ksplice/trees/0/slot-1/work/module/a.c"), "a.c");
  EXPECT_EQ(plain_path("/c/trees/0/slot-1/tree/obj/../include/net/ip.h"), "include/net/ip.h");
}

}  // namespace
}  // namespace ksplice
