// The tables of a run image that describe its code, by the address of the code.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
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
  uint16_t flags = 0;   // BUGFLAG_*: a warning or the end, and of which kind
  uint64_t entry = 0;   // its own address
  uint64_t format = 0;  // of the message, where the layout has one
};
struct RunStaticCall {
  uint64_t key = 0;   // or the trampoline, in modules
  uint8_t flags = 0;  // tail call, init code
};

// All are by the address of the code. A table of a vmlinux is found through its kallsyms borders.
struct RunTables {
  std::map<uint64_t, RunJumpLabel> jump_labels;
  std::map<uint64_t, std::vector<RunAlternative>> alternatives;  // in table order
  std::map<uint64_t, RunException> exceptions;
  std::map<uint64_t, RunStaticCall> static_calls;
  std::map<uint64_t, RunBug> bugs;
  std::map<uint64_t, std::string> runtime_constants;  // "ptr_x", by the place in the instruction
  const KernelSeries* series = nullptr;               // of the image
};

// Throws Refused "unknown_series", and Error "bad_image" for a table that is not found, or with an
// entry that does not read as one in the layout of the series: what it says about code would be
// missed.
RunTables read_run_tables(const RunImage& image);
// The same, read once for each image. An image whose bytes were changed needs image.tables.reset().
const RunTables& tables_of(const RunImage& image);

// The places in code of the constant "ptr_x", "shift_x" or "mask_x" (asm/runtime-const.h), which
// the kernel puts there at its start.
std::vector<uint64_t> runtime_constants(const RunImage& image, const std::string& name);

// Where the value of the constant at place stands: the kernel's variable, or, where only the code
// at its start knows it, another place of the constant that stays. Nothing if there is neither.
std::optional<uint64_t> find_constant(const RunImage& image, const std::string& name,
                                      uint64_t place);

}  // namespace ksplice
