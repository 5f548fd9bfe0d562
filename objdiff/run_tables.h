// The tables of a run image that describe its code, by the address of the code.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "objdiff/run_image.h"

namespace ksplice {

struct RunJumpLabel {
  uint64_t target = 0, key = 0;  // key without its flag bits
  bool branch = false;
};
struct RunAlternative {
  uint64_t replacement = 0;
  uint32_t feature = 0;
  uint8_t length = 0, replacement_length = 0;
};
struct RunException {
  uint64_t fixup = 0;
  uint32_t type = 0;
};

// found_* tells whether the image has that table at all (a table of a vmlinux is found through its
// kallsyms borders).
struct RunTables {
  bool found_jump_labels = false, found_alternatives = false, found_exceptions = false;
  bool found_static_calls = false;
  std::unordered_map<uint64_t, RunJumpLabel> jump_labels;
  std::unordered_map<uint64_t, std::vector<RunAlternative>> alternatives;  // in table order
  std::unordered_map<uint64_t, RunException> exceptions;
  std::unordered_map<uint64_t, uint64_t> static_calls;  // site -> key (or trampoline, in modules)
};

RunTables read_run_tables(const RunImage& image);

}  // namespace ksplice
