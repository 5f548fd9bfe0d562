#include "create/obj_state.h"

#include <gtest/gtest.h>

#include "create/overlay.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

TEST(ObjState, IsAsItWas) {
  TempDir folder;
  const fs::path origin = folder.path() / "template", obj = folder.path() / "obj";
  fs::create_directories(origin / "include/generated");
  write_file(origin / "include/generated/offsets.h", "1");
  write_file(origin / "include/gone.h", "2");
  write_file(origin / "stays", "3");
  fs::create_symlink("..", origin / "source");
  copy_tree(origin, obj);
  write_file(obj / "Module.symvers", "of the kernel");  // made before, and not in the template
  const ObjState start(obj, origin);
  const auto time = fs::last_write_time(obj / "stays");

  write_file(obj / "include/generated/offsets.h", "4");  // of the same size
  fs::last_write_time(obj / "include/generated/offsets.h", fs::file_time_type::clock::now());
  fs::remove(obj / "include/gone.h");
  fs::create_directories(obj / "drivers/scsi");
  write_file(obj / "drivers/scsi/devinfo_tbl.c", "made of a patched header");
  write_file(obj / "drivers/scsi/.devinfo_tbl.c.cmd", "");
  write_file(obj / ".ksplice-patched-units", "kept");
  fs::create_symlink("stays", obj / "link");
  start.restore();

  EXPECT_EQ(read_text(obj / "include/generated/offsets.h"), "1");
  EXPECT_EQ(fs::last_write_time(obj / "include/generated/offsets.h"),
            fs::last_write_time(origin / "include/generated/offsets.h"));
  EXPECT_EQ(read_text(obj / "include/gone.h"), "2");
  EXPECT_EQ(fs::last_write_time(obj / "stays"), time);
  EXPECT_TRUE(fs::is_symlink(obj / "source"));
  EXPECT_EQ(read_text(obj / "Module.symvers"), "of the kernel");
  EXPECT_FALSE(fs::exists(obj / "drivers/scsi/devinfo_tbl.c"));
  EXPECT_FALSE(fs::exists(obj / "drivers/scsi/.devinfo_tbl.c.cmd"));
  EXPECT_FALSE(fs::is_symlink(obj / "link"));
  EXPECT_EQ(read_text(obj / ".ksplice-patched-units"), "kept");
}

}  // namespace
}  // namespace ksplice
