// Which updates a new one is made on top of.
#include <gtest/gtest.h>

#include <filesystem>

#include "create/lower.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

Package package(const std::string& id, const std::vector<std::string>& stands_on = {}) {
  Package result;
  result.id = id;
  PackageTarget target;
  target.name = "vmlinux";
  target.module = "ksplice_" + id + "_vmlinux";
  target.file = target.final = "objects/r/vmlinux";
  target.build_id = "0a";
  for (const std::string& lower : stands_on)
    target.stands_on.push_back({lower, "ksplice_" + lower + "_vmlinux", "0b"});
  PackageKernel kernel;
  kernel.release = "r";
  kernel.build_id = "0a";
  kernel.core_file = kernel.core_final = "objects/r/ksplice";
  kernel.targets = {target};
  result.kernels = {kernel};
  result.files = {{"patch", {}}, {target.file, {}}, {kernel.core_file, {}}};
  return result;
}

class LowerListTest : public testing::Test {
 protected:
  // An update of the running kernel below root, with its stored copy.
  void apply(const std::string& id, const std::string& stage, int order, bool has_copy = true) {
    fs::path state = root() / "sys/kernel/ksplice" / id;
    fs::create_directories(state);
    write_file(state / "stage", stage + "\n");
    write_file(state / "order", std::to_string(order) + "\n");
    fs::path copies = root() / (order % 2 == 0 ? "run" : "var/lib") / "ksplice/updates" / id;
    fs::create_directories(copies);
    if (has_copy) write_package(package(id), copies.string());
  }
  std::string tarball(const Package& package) {
    return write_package(package, dir_.path().string());
  }

  std::vector<std::string> ids(const Options& options) {
    std::vector<std::string> result;
    for (const Package& each : read_lower_updates(options, progress_, root()))
      result.push_back(each.id);
    return result;
  }
  std::string error(const Options& options) {
    try {
      read_lower_updates(options, progress_, root());
    } catch (const Error& failure) {
      return failure.code;
    }
    return "";
  }
  fs::path root() const { return dir_.path() / "root"; }

  using Names = std::vector<std::string>;
  TempDir dir_;
  Progress progress_{true, 0};
};

TEST_F(LowerListTest, TakesWhatIsAppliedHereInOrder) {
  apply("newest", "applied", 12);
  apply("oldest", "applied", 3);
  apply("loaded", "preparing", 0);
  apply("undone", "reversed", 4);
  apply("nocopy", "applied", 5, false);
  EXPECT_EQ(ids({}), (Names{"oldest", "newest"}));
  // The kernel of a configuration directory is another one than this host's, for all that is known.
  Options other;
  other.configs = {"config"};
  EXPECT_EQ(ids(other), Names());
  Options none;
  none.on_top_of = {"none"};
  EXPECT_EQ(ids(none), Names());
}

TEST_F(LowerListTest, NoCoreNoUpdates) { EXPECT_EQ(ids({}), Names()); }

TEST_F(LowerListTest, TakesWhatIsNamedInItsOrder) {
  apply("here", "applied", 1);
  Options options;
  options.on_top_of = {tarball(package("b")), tarball(package("a", {"b"}))};
  EXPECT_EQ(ids(options), (Names{"b", "a"}));
  std::swap(options.on_top_of[0], options.on_top_of[1]);
  EXPECT_EQ(error(options), "needs_update");
  options.on_top_of = {options.on_top_of[0]};
  EXPECT_EQ(error(options), "needs_update");
  options.on_top_of = {tarball(package("b")), tarball(package("b"))};
  EXPECT_EQ(error(options), "usage");
}

TEST_F(LowerListTest, UpdatesOfAnotherKernelAreRefused) {
  RunImage image;
  image.target = "vmlinux";
  image.build_id = "0f";
  try {
    add_lower_updates(image, {package("a")}, image.build_id);
    FAIL();
  } catch (const Error& failure) {
    EXPECT_EQ(failure.code, "wrong_kernel");
  }
  // One that was made on top of another build of a is not taken for one on top of this a.
  image.build_id = "0a";
  image.lowers = {{"a", "ksplice_a_vmlinux", "0c", {}}};
  Package upper = package("b", {"a"});
  try {
    add_lower_updates(image, {upper}, image.build_id);
    FAIL();
  } catch (const Error& failure) {
    EXPECT_EQ(failure.code, "wrong_update");
  }
}

}  // namespace
}  // namespace ksplice
