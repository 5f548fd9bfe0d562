// What differs between the series of kernels, and has to be known to read their tables and to say
// what their code may have become: one row for each series that this tool was tested with, in
// arch/x86/series.cc. A kernel of another series is refused by name; what it brings new is to be
// looked up in its source first.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ksplice {

// An entry of .altinstructions begins with the places of code and replacement, 4 bytes each, and
// the feature; its last two bytes are the lengths of both.
struct AlternativeLayout {
  uint8_t size;
  uint8_t feature_size;
};

// An entry of __bug_table begins with the place that it is about: a trap or, where BUGFLAG_ARGS is
// set, the place behind an instruction that loads the entry's address, to be handed to __WARN_trap.
struct BugLayout {
  uint8_t size;
  uint8_t flags_at;
  uint8_t format_at;  // of a place-relative pointer to the message; 0: none
};

struct KernelSeries {
  std::string_view name;  // "6.1", of releases that are 6.1 or begin with "6.1." or "6.1-"
  AlternativeLayout alternatives;
  uint32_t direct_call_flag;          // in an alternative's feature: a call made direct; 0: none
  std::array<uint8_t, 4> sealed_pad;  // what a landing pad becomes that no pointer leads to
  std::array<BugLayout, 2> bugs;      // with CONFIG_DEBUG_BUGVERBOSE and without
  uint16_t bug_args_flag;             // BUGFLAG_ARGS; 0: none
};

// The series of a release ("6.1.0-50-cloud-amd64"). Throws Refused "unknown_series".
const KernelSeries& get_series(std::string_view release);

// The layout with entries of that size that some series has, or null.
const AlternativeLayout* find_alternative_layout(uint64_t size);

// Tables of objects whose entries begin with a reference to the code that they are about, and the
// sizes that entries have had, newest first, 0 behind the last. An object shows by its relocations
// which size it is. How many of these an entry has, at least and at most.
struct TableFormat {
  std::string_view name;
  std::array<uint8_t, 4> sizes;
  std::array<uint8_t, 2> relocations = {1, 1};
};
std::span<const TableFormat> table_formats();

}  // namespace ksplice
