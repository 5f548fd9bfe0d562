// One tool at a time changes the running kernel.
#pragma once

#include <chrono>

#include "apply/host.h"
#include "objdiff/base/file.h"

namespace ksplice {

// A lock on a file that only root can open, in a folder that only root can enter; it ends with the
// process. The file says who holds it.
class ToolLock {
 public:
  // Waits for the tool that is at work, and says for which one after two seconds. Throws
  // Error("tool_busy") when patience is over, Error("interrupted") if a signal comes first.
  explicit ToolLock(const Host& host, std::chrono::seconds patience = std::chrono::minutes(5));

 private:
  Fd fd_;
};

}  // namespace ksplice
