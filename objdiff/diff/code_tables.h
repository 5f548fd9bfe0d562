// Constant tables of code addresses that nobody but the code that reads them can reach.
//
//   static const void *const jumps[] = {&&add, &&twice};   goto *jumps[op];
//   static const handler_t handlers[] = {add, twice};      handlers[op](x);
//
// The labels of the first lie inside the function, so the table is of one body and no other. As
// long as every instruction that names such a table reads from it ("mov jumps(,%rax,8), %rax"),
// nothing that lives on can have its address, and a new body may bring a table of its own. A table
// whose address is taken, or that data points to, is shared with whoever holds the address.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "objdiff/base/error.h"
#include "objdiff/object/atoms.h"

namespace ksplice {

struct DiffContext;

// Whether the reference leads behind the entry of a function, or into a part split off from one.
bool leads_inside(const Reference& reference);
// Whether any of a datum's pointers does.
bool leads_inside(const Atoms& atoms, const Atom& atom);

class CodeTables {
 public:
  explicit CodeTables(const Atoms& atoms);
  // Local, constant, with code addresses, and only ever read by instructions that name it.
  bool is_private(const Atom& table) const { return private_.contains(&table); }
  // The name of the one function that a private table leads into and that alone reads it, or "".
  std::string owner(const Atom& table) const;

 private:
  std::set<const Atom*> private_;
  std::map<const Atom*, std::string> owners_;
};

// What stays must not lead into a body that nobody is to run any more: code inner_address.
std::vector<Refusal> find_inner_addresses(const DiffContext& context);

}  // namespace ksplice
