#include "apply/trace/symbols.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <tuple>

namespace ksplice {

namespace {

bool is_in(const Kallsym& symbol, std::string_view module) {
  return module.empty() || symbol.module == (module == "vmlinux" ? "" : module);
}

}  // namespace

SymbolTable::SymbolTable(std::string text) : text_(std::move(text)) {
  std::string_view rest = text_;
  while (std::optional<Kallsym> symbol = next_symbol(rest))
    if (symbol->type == 't' || symbol->type == 'T' || symbol->type == 'w' || symbol->type == 'W')
      symbols_.push_back(*symbol);
  auto order = [](const Kallsym& symbol) {
    return std::tuple(symbol.addr, symbol.name, symbol.module);
  };
  hidden_ = !symbols_.empty() && std::all_of(symbols_.begin(), symbols_.end(),
                                             [](const Kallsym& each) { return each.addr == 0; });
  std::sort(symbols_.begin(), symbols_.end(),
            [&](const Kallsym& a, const Kallsym& b) { return order(a) < order(b); });
  symbols_.erase(
      std::unique(symbols_.begin(), symbols_.end(),
                  [&](const Kallsym& a, const Kallsym& b) { return order(a) == order(b); }),
      symbols_.end());
}

std::vector<Kallsym> SymbolTable::find(std::string_view name, std::string_view module) const {
  std::vector<Kallsym> found;
  std::copy_if(symbols_.begin(), symbols_.end(), std::back_inserter(found),
               [&](const Kallsym& each) { return each.name == name && is_in(each, module); });
  return found;
}

std::vector<Kallsym> SymbolTable::find_parts(std::string_view name, std::string_view module) const {
  const std::string begin = fmt::format("{}.", name);
  std::vector<Kallsym> found;
  std::copy_if(symbols_.begin(), symbols_.end(), std::back_inserter(found),
               [&](const Kallsym& each) {
                 return each.name.starts_with(begin) && is_in(each, module) &&
                        each.name.find(".cold") == std::string_view::npos;
               });
  return found;
}

const Kallsym* SymbolTable::at(uint64_t addr) const {
  auto after =
      std::upper_bound(symbols_.begin(), symbols_.end(), addr,
                       [](uint64_t value, const Kallsym& symbol) { return value < symbol.addr; });
  return after == symbols_.begin() ? nullptr : &*std::prev(after);
}

std::string SymbolTable::text(uint64_t addr) const {
  const Kallsym* symbol = at(addr);
  if (symbol == nullptr) return fmt::format("{:#x}", addr);
  return fmt::format("{}+{:#x}{}", symbol->name, addr - symbol->addr,
                     symbol->module.empty() ? "" : fmt::format(" [{}]", symbol->module));
}

}  // namespace ksplice
