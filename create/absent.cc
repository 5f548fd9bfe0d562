#include "create/absent.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>

namespace ksplice {

namespace {

// The folders whose lib-y objects go into an archive.
bool is_of_archive(const std::string& unit) {
  return unit.starts_with("lib/") || unit.starts_with("arch/x86/lib/");
}

// Whether the image has none of the names that unit gives to the rest of the kernel.
bool has_no_name_of(const RunImage& image, const Object& unit) {
  bool any = false;
  for (const auto& symbol : unit.symbols) {
    if (symbol->section == nullptr || symbol->bind == STB_LOCAL || symbol->is_section()) continue;
    if (!image.find_symbols(symbol->name).empty()) return false;
    any = any || symbol->is_function();
  }
  return any;
}

bool is_changed(DiffStatus status) {
  return status == DiffStatus::Changed || status == DiffStatus::New;
}

}  // namespace

std::string why_absent(const ChangedUnit& unit, const FunctionDiff& function,
                       const RunImage& image) {
  if (function.pre == nullptr) return "";
  std::vector<const RunSymbol*> found = image.find_symbols(function.name);
  bool strong = found.size() == 1 && found[0]->is_global() && found[0]->type != 'W';
  if (function.pre->bind == STB_WEAK && strong)
    return "it is a weak default, and the kernel has another definition";
  if (found.empty() && !image.is_module() && is_of_archive(unit.name) &&
      has_no_name_of(image, unit.pre))
    return fmt::format("the kernel has nothing of {}", unit.name);
  return "";
}

std::vector<std::string> leave_out_absent(ChangedUnit& unit, const RunImage& image) {
  std::vector<std::string> notes, names;
  for (FunctionDiff& function : unit.diff.functions) {
    if (function.status != DiffStatus::Changed) continue;
    const FunctionMatch* match = unit.match.find(function.pre);
    const bool is_matched = match != nullptr && match->status == MatchStatus::Matched;
    // A default can have the very bytes of what overrides it, and is not that.
    if (is_matched && function.pre->bind != STB_WEAK) continue;
    std::string why = why_absent(unit, function, image);
    if (why.empty()) continue;
    notes.push_back(fmt::format("{} of {} is not in this kernel, so there is nothing to do: {}",
                                function.name, unit.name, why));
    names.push_back(function.name);
    function.status = DiffStatus::Same;
  }
  // Fragments go with them: nothing else leads there.
  std::erase_if(unit.diff.functions, [&](const FunctionDiff& function) {
    return is_changed(function.status) &&
           std::any_of(names.begin(), names.end(), [&](const std::string& name) {
             return function.name.starts_with(name + ".");
           });
  });
  return notes;
}

bool has_changes(const ChangedUnit& unit) {
  return std::any_of(unit.diff.functions.begin(), unit.diff.functions.end(),
                     [](const FunctionDiff& each) { return is_changed(each.status); }) ||
         std::any_of(unit.diff.data.begin(), unit.diff.data.end(),
                     [](const DataDiff& each) { return is_changed(each.status); });
}

}  // namespace ksplice
