#include "objdiff/diff/moved.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <vector>

namespace ksplice {

namespace {

// In the order of the file. Sections of strings come and go with the length of a text such as
// "map.h:99", so their symbols do not count.
std::vector<const Symbol*> symbols_of(const Object& object) {
  std::vector<const Symbol*> symbols;
  for (const auto& symbol : object.symbols)
    if (!symbol->is_section() && symbol->type != STT_FILE && !symbol->name.empty())
      symbols.push_back(symbol.get());
  std::sort(symbols.begin(), symbols.end(),
            [](const Symbol* a, const Symbol* b) { return a->index < b->index; });
  return symbols;
}

// The name with "#" for each number.
std::string without_numbers(const std::string& name) {
  std::string result;
  for (char c : name) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) result += c;
    if (digit && (result.empty() || result.back() != '#')) result += '#';
  }
  return result;
}

bool is_same(const Symbol& pre, const Symbol& moved) {
  if (pre.type != moved.type || pre.bind != moved.bind || pre.shndx != moved.shndx) return false;
  if ((pre.section == nullptr) != (moved.section == nullptr)) return false;
  if (pre.name != moved.name && without_numbers(pre.name) != without_numbers(moved.name))
    return false;
  return pre.section == nullptr ||
         without_numbers(pre.section->name) == without_numbers(moved.section->name);
}

}  // namespace

PreSymbols::PreSymbols(const Object& pre, const Object& moved) {
  const std::vector<const Symbol*> ours = symbols_of(pre), theirs = symbols_of(moved);
  for (size_t i = 0; i < std::max(ours.size(), theirs.size()); ++i) {
    const bool both = i < ours.size() && i < theirs.size();
    if (both && is_same(*ours[i], *theirs[i])) {
      pre_[theirs[i]] = ours[i];
      continue;
    }
    const std::string has = i < ours.size() ? ours[i]->name : "no more symbols";
    Refusal& refusal = refusal_.emplace();
    refusal.code = "moved_differs";
    refusal.object = pre.path;
    refusal.symbol = has;
    refusal.message = fmt::format(
        "the original source gives other functions or data with the patch's line numbers: the "
        "source depends on its line numbers in a way that is not understood");
    refusal.expected = has;
    refusal.found = i < theirs.size() ? theirs[i]->name : "no more symbols";
    refusal.advice = "give the patch a form that moves no lines of this unit";
    return;
  }
}

const Symbol* PreSymbols::of(const Symbol* moved) const {
  auto found = pre_.find(moved);
  return found == pre_.end() ? nullptr : found->second;
}

}  // namespace ksplice
