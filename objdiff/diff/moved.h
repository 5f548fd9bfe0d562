// The moved object: the original source compiled once more, with the line numbers of the patched
// one (create/moved.h makes it). What differs between it and post is what the patch changes; its
// symbols stand for those of pre, the object of the source as it is.
#pragma once

#include <optional>
#include <unordered_map>

#include "objdiff/base/error.h"
#include "objdiff/object/object.h"

namespace ksplice {

class PreSymbols {
 public:
  // Every symbol of moved must have one in pre: the same source gives the same symbols in the same
  // order. Names may differ in their digits only, where a macro makes them with __LINE__
  // (__initcall__kmod_x__123_45_start6).
  PreSymbols(const Object& pre, const Object& moved);
  // Of null: null.
  const Symbol* of(const Symbol* moved) const;
  // Code "moved_differs" if pre and moved are not of one source.
  const std::optional<Refusal>& refusal() const { return refusal_; }

 private:
  std::unordered_map<const Symbol*, const Symbol*> pre_;
  std::optional<Refusal> refusal_;
};

}  // namespace ksplice
