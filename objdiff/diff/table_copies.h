// Whether somebody has a copy of a table of pointers, as far as one unit shows it: a copy goes on
// naming the old functions when the table is switched where it is.
#pragma once

#include <string>
#include <vector>

#include "objdiff/diff/diff_refusals.h"

namespace ksplice {

struct TableCopies {
  std::vector<std::string> made;  // "probe() copies it by memcpy()"
  // Structures that have such a table in them, and may have a copy: "ops" of "struct mac_info".
  struct Holder {
    std::string type, member;
  };
  std::vector<Holder> holders;
  bool empty() const { return made.empty() && holders.empty(); }
};

// table: of pre.
TableCopies find_copies(const DiffContext& context, const Atom& table);

// Why switching the table would not do, and what would. path: of the first changed member
// (".read"); pre and post: the functions that it names, or "".
std::string advise_on_copies(const TableCopies& copies, const std::string& path,
                             const std::string& pre, const std::string& post);

}  // namespace ksplice
