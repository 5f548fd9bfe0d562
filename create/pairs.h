// Compiles the affected units as they are (pre) and as the patch makes them (post).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "create/affected.h"
#include "create/kbuild.h"
#include "create/overlay.h"
#include "create/progress.h"

namespace ksplice {

struct ObjectPair {
  std::string unit;           // "net/ipv4/tcp_ipv4.o", of post
  std::string target;         // "vmlinux" or a module
  std::filesystem::path pre;  // empty if the unit is new
  std::filesystem::path post;
};

struct PairInput {
  Overlay& overlay;
  const Kbuild& kbuild;
  const std::vector<AffectedUnit>& units;
  const std::vector<FileChange>& changes;
  std::filesystem::path cache;  // of pre objects
  std::string key;              // what they depend on beside the sources
};

// Pre objects come from the cache where every file they were made from is as it was. Leaves the
// patched files in the overlay. Throws Error("compile_failed") with the compiler's words, and
// Error("pre_build_failed") if already the source as it is does not compile.
std::vector<ObjectPair> build_pairs(const PairInput& input, Progress& progress);

}  // namespace ksplice
