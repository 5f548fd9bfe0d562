// Keeping Ctrl-C away for a moment.
#pragma once

#include <signal.h>

namespace ksplice {

// While one is alive SIGINT, SIGTERM and SIGHUP wait, and check_interrupted() says nothing of one
// that came before: for what must be done even then. Not around run_command(): its child would not
// hear them.
class InterruptLater {
 public:
  InterruptLater();
  InterruptLater(const InterruptLater&) = delete;
  InterruptLater& operator=(const InterruptLater&) = delete;
  ~InterruptLater();

 private:
  int seen_;
  sigset_t before_;
};

}  // namespace ksplice
