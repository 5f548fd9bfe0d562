// Compares pre and post objects of one unit: which functions and data changed, are new or gone,
// why, and what must be refused.
//
// The room diff/: in: two objects of one unit. Out: which thing of one is which of the other
// (correlate.h), the changes with their reasons, and a Refusal for each change that an update must
// not make (diff_refusals.h). Never drops a change because of what it looks like, and knows neither
// the running kernel nor how an update is written.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "objdiff/base/error.h"
#include "objdiff/object/object.h"

namespace ksplice {

enum class DiffStatus { Same, Changed, New, Removed };

struct Reason {
  // "code", "inlined", "constant", "special", "fragment", "new", "callee", "carried"
  std::string kind;
  // Callee, constant, special section or parent; for code: the first differing instruction.
  std::string detail;
  std::string source;   // "net/ipv4/tcp_ipv4.c:2012" if line tables are there
  uint64_t offset = 0;  // in the post function
  std::string before;   // for code and constants: what pre has in place of detail
};

struct FunctionDiff {
  std::string name;  // as in post (pre for Removed)
  DiffStatus status = DiffStatus::Same;
  std::string section;
  const Symbol* pre = nullptr;   // null for New
  const Symbol* post = nullptr;  // null for Removed
  // Changed, but it cannot be redirected (no ftrace site): a copy of its own is brought along
  // (status New, pre null, not correlated), and every function that calls it is Changed.
  bool carried = false;
  bool reshaped = false;  // Changed, and its parameters or its result are others
  // The old body that is left, for who is in it or holds its address: of a Removed or carried one.
  const Symbol* left = nullptr;
  // Of start or exit code that is not Same, or Removed: what its old code calls that takes other
  // parameters now, so that it must not run any more. Otherwise empty.
  std::string misled;
  bool start_only = false;  // Changed, and only start code calls it
  std::vector<Reason> reasons;
};

// Offsets in a variable whose content differs.
struct ChangedPlaces {
  std::vector<uint64_t> pointers;  // of eight bytes each
  std::vector<uint64_t> values;    // single bytes
  bool empty() const { return pointers.empty() && values.empty(); }
};

struct DataDiff {
  std::string name;
  DiffStatus status = DiffStatus::Same;
  std::string section;
  const Symbol* pre = nullptr;  // null for New, and for anonymous data
  const Symbol* post = nullptr;
  uint64_t offset = 0;   // of the first difference, for Changed
  ChangedPlaces places;  // for Changed, and only if nothing else differs
  // These are to be switched where the running kernel has them (the user's decision).
  bool in_place = false;
  // A table of code addresses that nothing but the update's new code reads: it comes along.
  bool brought = false;
};

struct ObjectDiff {
  bool identical = true;  // nothing changed, new or removed, and no refusals
  std::vector<FunctionDiff>
      functions;  // all functions and fragments (Same ones too), post order, then removed
  std::vector<DataDiff> data;  // all named data objects (Same ones too)
  // post symbol -> pre symbol of the same thing: functions, data, static locals, undefined symbols.
  std::map<const Symbol*, const Symbol*> correlation;
  // What was static and is global now: no difference, but other units may use it.
  std::vector<std::string> made_global;
  // Names that other units see, and did not before; and that they saw, and do not any more. No
  // difference of this unit, but perhaps of the target (global_names.h). Sorted.
  std::vector<std::string> new_globals, gone_globals;
  // Whether the unit can be left out: neither it nor what others see of it differs.
  bool is_nothing() const {
    return identical && made_global.empty() && new_globals.empty() && gone_globals.empty();
  }
  std::vector<Refusal> refusals;
  std::vector<std::string> notes;  // what the update does not do, and need not, in a sentence each
};

// Whether other units can use by its name what only its own unit could before.
bool is_made_global(const Symbol& pre, const Symbol& post);

// CRCs of a unit's exports by name, as whoever compiled it says (genksyms, gendwarfksyms); an
// object holds none itself.
using ExportChecksums = std::map<std::string, uint32_t>;

struct ChecksumPair {
  ExportChecksums pre, post;
};

// What only whoever compiled a pair knows.
struct PairFacts {
  ChecksumPair checksums;
  // The source files that the patch changes, as their paths end. What another one declares is not
  // gone from it, whatever an object shows. Empty: not known, it may be any.
  std::set<std::string> patched_files;
};

// moved, if not null, is the original source with the line numbers of post: then exactly what
// differs between it and post is reported, in terms of pre. Without it a line number that moved is
// a difference like any other. pre and moved not being of one source is a refusal, and nothing else
// is said.
ObjectDiff diff_objects(const Object& pre, const Object& post, const Object* moved = nullptr,
                        const PairFacts& facts = {});

// The JSON of `ksplice-objdiff diff --json` (only entries that are not Same), see its man page.
// explain adds source line and offset to every reason.
std::string diff_to_json(const ObjectDiff& diff, bool explain);
// The same for people; explain adds the reasons.
std::string diff_to_text(const ObjectDiff& diff, bool explain);

}  // namespace ksplice
