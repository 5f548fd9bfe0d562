// Run-pre matching: proves that run is pre, and learns from run the address of every symbol that
// pre mentions. See the head of run_pre.cc for the method and the list of tolerated differences.
//
// The room match/: in: a pre object, a run image. Out: for each function and datum its run address
// and the proof, as code that the kernel can check (RunCode), or a Refusal with both disassemblies;
// addresses of all symbols. Two answers for one symbol are a mismatch. It never takes a place for
// right because nothing speaks against it, and does not know what a patch changes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "objdiff/base/error.h"
#include "objdiff/image/run_image.h"
#include "objdiff/object/object.h"

namespace ksplice {

// A 1, 4 or 8 byte field of run code whose value depends on where this boot placed things; the
// finalizer writes it into the expected bytes. value = target + addend, minus the place (the run
// address of the field) if pc_relative. vmlinux code that refers to vmlinux pc-relatively needs
// none.
struct RunField {
  uint32_t offset = 0;  // in the function
  uint8_t size = 4;
  bool pc_relative = false;
  RunLocation target;
  int64_t addend = 0;
};

// A range of run code that the kernel rewrites itself. kind is one of KSPLICE_RANGE_* in
// kmod-core/ksplice_abi.h, which also says what variants and param mean.
struct RunVariant {
  uint8_t length = 0;  // bytes that count; the rest of the range must be padding nops (or int3)
  std::vector<uint8_t> bytes;    // exactly the range's length
  std::vector<RunField> fields;  // relative to the range
};
struct RunRange {
  uint32_t offset = 0;  // in the function
  uint16_t length = 0;
  uint8_t kind = 0;
  std::vector<RunVariant> variants;
  bool has_param = false;
  RunLocation param;          // an address, e.g. of the static call's key
  uint64_t param_number = 0;  // instead of it, e.g. a register number
};

// A function (or fragment such as foo.cold) as it is in the run image.
struct RunCode {
  std::string name;
  uint64_t addr = 0;           // in the image's address space
  RunLocation location;        // of addr
  std::vector<uint8_t> bytes;  // as in the image file; size is the run size
  std::vector<RunField> fields;
  std::vector<RunRange> ranges;  // sorted, disjoint
};

enum class MatchStatus {
  Matched,
  Absent,  // the image has no such function: inlined away, discarded, never built, init memory
  Mismatched,
};

struct FunctionMatch {
  const Symbol* pre = nullptr;
  MatchStatus status = MatchStatus::Absent;
  RunCode run;         // if Matched
  std::string reason;  // class in words, if not Matched
  Refusal refusal;     // if Mismatched: no_match, with both disassemblies
};

struct MatchResult {
  std::vector<FunctionMatch> functions;  // in pre symbol order: every function and fragment of pre
  // Run address of every symbol of pre that could be inferred, functions, data, undefined ones.
  // Section symbols are not in here: data is found through data_address.
  std::map<const Symbol*, uint64_t> addresses;
  // For things without a symbol of their own (strings, anonymous constants): the run address that
  // (section, offset) was seen at.
  std::map<std::pair<const Section*, uint64_t>, uint64_t> anonymous;
  std::vector<Refusal> contradictions;  // a symbol seen at two addresses

  const FunctionMatch* find(const Symbol* pre) const;
};

// Matches every function and all read-only data of pre against image. vmlinux (may be null when
// image is vmlinux) resolves what a module imports.
MatchResult match_run_pre(const Object& pre, const RunImage& image);

}  // namespace ksplice
