// What a pair of objects changes that an update must not: each with what to do instead.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "objdiff/base/error.h"
#include "objdiff/diff/correlate.h"
#include "objdiff/diff/section_diff.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/dwarf.h"
#include "objdiff/object/special_tables.h"

namespace ksplice {

// Everything the differ knows before it judges.
struct DiffContext {
  const Atoms& pre;
  const Atoms& post;
  const Correlation& correlation;
  const SpecialTables& pre_tables;
  const SpecialTables& post_tables;
  const DebugInfo& pre_debug;
  const DebugInfo& post_debug;
  const PairFacts& facts;
  const ObjectDiff& diff;
};

struct Findings {
  std::vector<Refusal> refusals;     // by code, then section, symbol and offset
  std::vector<std::string> notes;    // sorted
  std::set<const Symbol*> reshaped;  // post functions that are Changed, with other parameters
  std::map<const Symbol*, std::string> misled;  // FunctionDiff::misled by pre function
  std::set<const Symbol*> start_only;           // post functions, FunctionDiff::start_only
};
Findings find_refusals(const DiffContext& context);

// Whether the object was made from assembly, by its debug information or by what compilers leave.
bool is_assembly(const Object& object, const DebugInfo& debug);

// Whether a datum points to code, as tables of operations do.
bool refers_to_code(const Atoms& atoms, const Atom& atom);

// Sections that the kernel frees after start, or never keeps: .init.*, .exit.*, .meminit.* ...
bool is_init_section(const std::string& name);

}  // namespace ksplice
