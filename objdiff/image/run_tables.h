// The tables of a run image that describe its code, by the address of the code.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "objdiff/arch/series.h"
#include "objdiff/image/run_image.h"

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

struct RunBug {
  uint16_t flags = 0;  // BUGFLAG_*: a warning or the end, and of which kind
};
struct RunStaticCall {
  uint64_t key = 0;   // or the trampoline, in modules
  uint8_t flags = 0;  // tail call, init code
};

// found_* tells whether the image has that table at all (a table of a vmlinux is found through its
// kallsyms borders). All are by the address of the code.
struct RunTables {
  bool found_jump_labels = false, found_alternatives = false, found_exceptions = false;
  bool found_static_calls = false, found_bugs = false;
  std::map<uint64_t, RunJumpLabel> jump_labels;
  std::map<uint64_t, std::vector<RunAlternative>> alternatives;  // in table order
  std::map<uint64_t, RunException> exceptions;
  std::map<uint64_t, RunStaticCall> static_calls;
  std::map<uint64_t, RunBug> bugs;
  const KernelSeries* series = nullptr;  // of the image
};

// Throws Refused "unknown_series".
RunTables read_run_tables(const RunImage& image);
// The same, read once for each image. An image whose bytes were changed needs image.tables.reset().
const RunTables& tables_of(const RunImage& image);

}  // namespace ksplice
