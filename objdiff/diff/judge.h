// One judgement of a pair of objects while it is made; internal to find_refusals(), whose subjects
// are in judge_*.cc.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "objdiff/diff/diff_refusals.h"

namespace ksplice {

struct Judgement {
  explicit Judgement(const DiffContext& context);
  // Adds a refusal, to which evidence may be added.
  Refusal& refuse(std::string code, std::string section, std::string symbol, std::string message,
                  std::string advice);

  const DiffContext& context;
  std::set<const Atom*> included;      // post functions that are Changed or New
  std::set<const Atom*> changed_data;  // post
  std::vector<Refusal> refusals;
  std::vector<std::string> notes;
  std::set<const Symbol*> reshaped;             // post functions
  std::map<const Symbol*, std::string> misled;  // pre functions, FunctionDiff::misled
  std::set<const Symbol*> start_only;           // post functions
  bool types_differ = false;                    // found by judge_types()
};

// What happened to a thing, behind its name: "changed", "is new", "is gone".
const char* verb(DiffStatus status);

void judge_functions(Judgement& j);    // places and kinds of code that cannot be replaced
void judge_static_keys(Judgement& j);  // keys that new code cannot be linked to
void judge_data(Judgement& j);         // existing data, and data that cannot be told apart
void judge_state(Judgement& j);        // variables that have another name
void judge_sections(Judgement& j);     // what sections tell the rest of the kernel
void judge_btf_ids(Judgement& j);      // sets and lists of BTF ids
void judge_types(Judgement& j);        // layouts that live objects have, and their values
void judge_exports(Judgement& j);      // names, licenses, types and CRCs; after the types

}  // namespace ksplice
