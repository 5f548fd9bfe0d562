// What is to be traced: the words of the command line as entries of functions on this boot.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "apply/host.h"
#include "apply/trace/symbols.h"

namespace ksplice {

struct TraceTarget {
  std::string name;                 // as the kernel lists it
  std::string module;               // "vmlinux" or a module
  std::string update;               // id of an update that replaces it, or will; or empty
  uint64_t old_addr = 0;            // entry of the original
  std::vector<uint64_t> new_addrs;  // entries of the bodies that applied updates put in its place
};

struct TraceTargets {
  std::vector<TraceTarget> functions;
  std::vector<std::string> notes;
};

// Each word is a tarball (a file, or with a slash or .tar.gz in it), the id of an update that the
// kernel has or of which there is a copy, or a function, or MODULE:FUNCTION. A function that
// several words name is in the list once. Throws Error: unknown_function, inlined (only parts of
// others are made of it), unknown_update, target_not_loaded, failed_to_find; of a tarball also what
// read_package() and make_plan() throw.
TraceTargets find_targets(const Host& host, const SymbolTable& symbols,
                          const std::vector<std::string>& words);

// The original entries and the new bodies of all applied updates, to see whether one came or went.
std::vector<std::pair<uint64_t, uint64_t>> applied_bodies(const Host& host);

}  // namespace ksplice
