// One tool at a time, and nobody but root can be in the way.
#include "apply/tool_lock.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "objdiff/base/error.h"

namespace ksplice {
namespace {

using std::chrono::seconds;

class ToolLockTest : public testing::Test {
 protected:
  mode_t mode(const char* path) {
    struct stat status = {};
    EXPECT_EQ(::stat(host_.path(path).c_str(), &status), 0) << path;
    return status.st_mode & 07777;
  }
  std::string code(seconds patience) {
    try {
      ToolLock lock(host_, patience);
      return "";
    } catch (const Error& error) {
      said_ = error.what();
      return error.code;
    }
  }

  TempDir dir_;
  Host host_{dir_.path()};
  std::string said_;
};

TEST_F(ToolLockTest, OnlyItsOwnerCanOpenTheFile) {
  ToolLock lock(host_);
  EXPECT_EQ(mode("/run/ksplice"), 0700u);
  EXPECT_EQ(mode("/run/ksplice/lock"), 0600u);
}

TEST_F(ToolLockTest, ClosesWhatWasOpenToOthers) {
  std::filesystem::create_directories(host_.path("/run/ksplice"));
  write_file(host_.path("/run/ksplice/lock"), "");
  ::chmod(host_.path("/run/ksplice").c_str(), 0777);
  ::chmod(host_.path("/run/ksplice/lock").c_str(), 0666);
  ToolLock lock(host_);
  EXPECT_EQ(mode("/run/ksplice"), 0700u);
  EXPECT_EQ(mode("/run/ksplice/lock"), 0600u);
}

TEST_F(ToolLockTest, GivesUpAndNamesTheOther) {
  {
    ToolLock lock(host_);
    EXPECT_EQ(code(seconds(0)), "tool_busy");
    EXPECT_NE(said_.find(fmt::format("process {} (tool_lock_test)", ::getpid())), std::string::npos)
        << said_;
  }
  EXPECT_EQ(code(seconds(0)), "");
}

TEST_F(ToolLockTest, SaysForWhomItWaits) {
  ToolLock lock(host_);
  testing::internal::CaptureStderr();
  EXPECT_EQ(code(seconds(3)), "tool_busy");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            fmt::format("waiting for process {} (tool_lock_test), which is changing the kernel\n",
                        ::getpid()));
}

// What others can open and lock is not what the tools lock.
TEST_F(ToolLockTest, LocksOfFoldersAreNotInTheWay) {
  { ToolLock lock(host_); }
  std::vector<Fd> fds;
  for (const char* path : {"/", "/run", "/run/ksplice"}) {
    fds.emplace_back(::open(host_.path(path).c_str(), O_RDONLY | O_DIRECTORY));
    ASSERT_EQ(::flock(fds.back().get(), LOCK_EX), 0);
  }
  EXPECT_EQ(code(seconds(0)), "");
}

TEST_F(ToolLockTest, RefusesALinkInPlaceOfTheFile) {
  { ToolLock lock(host_); }
  std::filesystem::remove(host_.path("/run/ksplice/lock"));
  std::filesystem::create_symlink("/dev/null", host_.path("/run/ksplice/lock"));
  EXPECT_EQ(code(seconds(0)), "failed");
}

}  // namespace
}  // namespace ksplice
