// Types that have another name after a patch. Live memory that a pointer of the old type led to has
// the old layout, whatever the new code calls it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "objdiff/object/type_layout.h"

namespace ksplice {

using Types = std::multimap<std::string, TypeLayout>;

class RenamedTypes {
 public:
  // One that is gone and one that is new are one if a variable of a function or a member was of the
  // one type and is of the other; or, where nothing like that is known of both, if they are
  // had by one function, or by functions and declared in one .c file. patched: the files that may
  // have lost declarations (PairFacts); while it is empty, both are declared in one file, too.
  RenamedTypes(const Types& pre, const Types& post, const std::set<std::string>& patched);

  struct Pair {
    const TypeLayout* old;  // of pre
    const TypeLayout* now;  // of post
    bool is_certain;        // live memory has the one where it has the other: a member is of them
    bool operator==(const Pair& other) const { return old == other.old && now == other.now; }
  };
  const std::vector<Pair>& pairs() const { return pairs_; }
  // A layout of post by the names that pre has for the types of its members.
  TypeLayout by_old_names(const TypeLayout& layout) const;

 private:
  using Names = std::map<std::string, std::vector<const TypeLayout*>>;
  void add(const TypeLayout& old, const TypeLayout& now, bool is_certain);
  void pair_by_variables();
  void pair_by_members(const TypeLayout& old, const TypeLayout& now, bool is_certain);
  void pair_by_functions(const std::set<std::string>& patched);

  Names gone_, fresh_;
  std::vector<Pair> pairs_;
  std::map<std::string, std::string> old_names_;
};

}  // namespace ksplice
