// Loading and unloading kernel modules by system call, and the kernel's own words about it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apply/host.h"
#include "objdiff/base/file.h"

namespace ksplice {

// What the kernel logs from now on (/dev/kmsg). Empty answers where the log cannot be read.
class KernelLog {
 public:
  explicit KernelLog(const Host& host);
  // The messages since the last call, without time and priority.
  std::vector<std::string> new_lines();

 private:
  Fd fd_;
};

// Loads the module. Throws Error with what the kernel said: "load_failed", or "out_of_memory",
// "signature_required" where that is the reason.
void load_module(const Host& host, const std::string& name, std::span<const uint8_t> content);

// Unloads the module without waiting. Returns false if it is in use; a module that is not loaded
// is fine. Throws Error("failed").
bool unload_module(const std::string& name);

}  // namespace ksplice
