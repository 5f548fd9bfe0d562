// Which addresses in an update may outlive its undo? See the head of given_away.cc.
//
// In: an update object before its tables are added, or a compiled one. Out: every place where the
// object's own code hands out the address of something in it. Decides nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "objdiff/object/object.h"

namespace ksplice {

struct GivenAway {
  std::string what;      // "beat_other", "the text \"beat\"", "a constant"
  std::string function;  // whose code gives it away
  uint64_t offset = 0;   // in that function, of the instruction that names it
  std::string how;       // "is stored", "is passed to mod_timer"

  std::string sentence() const;  // "beat_other is stored (in beat_open+0x12)"
};

// In the order of the object's sections; each thing once for each way and function.
std::vector<GivenAway> find_given_away(const Object& update);

// Bytes of a section.
struct DataRange {
  const Section* section = nullptr;
  uint64_t begin = 0, end = 0;
};

// The same of any object, for the data in wanted only, and also where such an address is compared
// with one that others hold: places by which somebody knows the thing, and not only what it holds.
std::vector<GivenAway> find_known_by_address(const Object& object,
                                             const std::vector<DataRange>& wanted);

// A function outside of the update that uses what it is given and keeps no pointer to it.
struct Callee {
  bool sleeps = false;         // so that it may run on after the update's own frame is gone
  bool copies = false;         // takes the content along: pointers in it, too
  bool returns_first = false;  // its result may be its first argument
};
// Null: it is not known, and may keep what it gets.
const Callee* find_harmless(const std::string& name);

}  // namespace ksplice
