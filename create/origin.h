// From a refusal to the hunks of the patch that it comes from.
//
// The line table of the new object and the declarations in its debug information name lines of the
// patched source; weave.h knows which hunk each of these is from. What has no line there (a macro,
// a message of the compiler's) is looked for by its name in the hunks. If several patches can be
// meant and nothing tells them apart, no origin is named.
#pragma once

#include <deque>
#include <set>
#include <string>
#include <vector>

#include "create/patch.h"
#include "create/targets.h"
#include "create/weave.h"
#include "objdiff/base/error.h"

namespace ksplice {

class Origins {
 public:
  Origins() = default;
  // woven: of patches, of which the hunks that are not placed are left out. changes: what patch(1)
  // made of them; files that woven has otherwise are not known. patches must outlive this.
  Origins(const std::vector<Patch>& patches, Weave woven, const std::vector<FileChange>& changes);

  // Names the origins of refusals that have none, and which of them are consequences of others;
  // sorts causes before consequences, and causes in the order of the patches.
  void name(std::vector<Refusal>& refusals, const std::deque<ChangedUnit>& units) const;
  // The same for what was thrown before there were units.
  void name(Error& error) const;

  // Those of a line of the patched source: that brings it, or took away what stood beside it.
  std::vector<Origin> of_line(const std::string& file, unsigned line) const;

 private:
  using Hunks = std::set<int>;
  struct UnitLines;
  void add_line(const std::string& file, unsigned line, Hunks& hunks) const;
  void add_taken(const std::string& file, unsigned first, unsigned last, Hunks& hunks) const;
  Hunks of_function(const ChangedUnit& unit, const DebugInfo& debug,
                    const FunctionDiff& function) const;
  Hunks of_functions(const Refusal& refusal, UnitLines& units) const;
  Hunks of_declaration(const Refusal& refusal) const;
  Hunks of_macros(const std::vector<WovenLine>& lines, std::pair<size_t, size_t> block) const;
  Hunks of_name(const std::string& name) const;
  Hunks of_file(const std::string& file) const;
  Hunks of_compiler(const std::string& output) const;
  void find_consequences(std::vector<Refusal>& refusals) const;
  Hunks find(const Refusal& refusal, UnitLines& units) const;
  bool is_of_one_patch(const Hunks& hunks) const;
  std::vector<Origin> texts(const Hunks& hunks) const;
  void sort(std::vector<Refusal>& refusals) const;

  const std::vector<Patch>* patches_ = nullptr;
  Weave woven_;
};

}  // namespace ksplice
