// Programs that are run.
#include "objdiff/base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "objdiff/base/error.h"
#include "objdiff/base/interrupt_later.h"

namespace ksplice {
namespace {

TEST(RunCommand, PassesOnNoFileThatOurCallerLeftOpen) {
  int open_file = ::open("/dev/null", O_RDONLY);
  ASSERT_GE(open_file, 3);
  ASSERT_EQ(::dup2(open_file, 11), 11);
  CommandResult run = run_command({"sh", "-c", "ls -l /proc/$$/fd; true"});
  ::close(open_file);
  ::close(11);
  EXPECT_EQ(run.status, 0);
  EXPECT_NE(run.output.find(" 2 -> "), std::string::npos) << run.output;
  EXPECT_EQ(run.output.find(" 11 -> "), std::string::npos) << run.output;
  EXPECT_EQ(run.output.find(" 3 -> "), std::string::npos) << run.output;
}

TEST(InterruptLater, SaysNothingUntilItIsOver) {
  EXPECT_EXIT(
      {
        install_signal_flag();
        ::raise(SIGTERM);
        bool was_quiet = true;
        try {
          InterruptLater later;
          check_interrupted();
          ::raise(SIGINT);
          check_interrupted();
        } catch (const Error&) {
          was_quiet = false;
        }
        try {
          check_interrupted();
        } catch (const Error& error) {
          ::_exit(was_quiet && error.code == "interrupted" ? 0 : 1);
        }
        ::_exit(2);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace ksplice
