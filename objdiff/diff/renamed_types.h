// Types that have another name after a patch. Live memory that a pointer of the old type led to has
// the old layout, whatever the new code calls it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "objdiff/object/type_layout.h"

namespace ksplice {

using Types = std::multimap<std::string, TypeLayout>;

class RenamedTypes {
 public:
  // One that is gone and one that is new are one if a variable of a function or a member was of the
  // one type and is of the other; or, where nothing like that is known of both, if they are
  // declared in one file and functions have them, in a header the same function.
  RenamedTypes(const Types& pre, const Types& post);

  // Each with its layout in pre and in post.
  using Pair = std::pair<const TypeLayout*, const TypeLayout*>;
  const std::vector<Pair>& pairs() const { return pairs_; }
  // A layout of post by the names that pre has for the types of its members.
  TypeLayout by_old_names(const TypeLayout& layout) const;

 private:
  using Names = std::map<std::string, std::vector<const TypeLayout*>>;
  void add(const TypeLayout& old, const TypeLayout& now);
  void pair_by_variables();
  void pair_by_members(const TypeLayout& old, const TypeLayout& now);
  void pair_by_files();

  Names gone_, fresh_;
  std::vector<Pair> pairs_;
  std::map<std::string, std::string> old_names_;
};

}  // namespace ksplice
