// What the modules of an update say of its functions: the code before, as it must be in the running
// kernel, and the code after, laid side by side.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "objdiff/object/object.h"
#include "objdiff/update/update_object.h"

namespace ksplice {

struct CodeRow {
  enum class Kind { Same, Gone, New, Unsure } kind = Kind::Same;
  std::string before, after;  // instructions; empty: there is none on this side
};

struct FunctionCode {
  std::string name;
  uint64_t old_size = 0, new_size = 0;
  std::vector<CodeRow> rows;
  std::map<std::string, std::pair<size_t, uint64_t>> rewritten;  // why: how often, how many bytes
};

// A place of existing data that is switched with the code.
struct SwitchedPlace {
  std::string name;
  uint64_t mask = 0, old_value = 0, new_value = 0;
  std::string new_target;  // if it is a pointer that the update's own code or data gets
};

struct TargetCode {
  std::vector<FunctionCode> functions;  // that replace one of the kernel
  std::vector<FunctionCode> others;     // that are new, hooks among them
  std::vector<SwitchedPlace> places;
};

// Of an update module as kbuild linked it. Throws Error("bad_file") if it is malformed.
TargetCode read_target_code(Object object, Finalization finalization);

}  // namespace ksplice
