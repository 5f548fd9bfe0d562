// The symbols of the update object: of its own sections, imported, and absolute.
#include <elf.h>
#include <fmt/core.h>

#include "objdiff/update/update_builder.h"

namespace ksplice {

const RunSymbol* only_global(const RunImage& image, const std::string& name) {
  const RunSymbol* only = nullptr;
  for (const RunSymbol* candidate : image.find_symbols(name)) {
    if (!candidate->is_global() || candidate->type == 'U') continue;
    if (only != nullptr && only->addr != candidate->addr) return nullptr;
    only = candidate;
  }
  return only;
}

Symbol* UpdateBuilder::new_symbol(const std::string& name, uint8_t bind, uint8_t type,
                                  Section* section, uint64_t value, uint64_t size) {
  auto symbol = std::make_unique<Symbol>();
  symbol->name = name;
  symbol->bind = bind;
  symbol->type = type;
  symbol->section = section;
  symbol->value = value;
  symbol->size = size;
  out_.object.symbols.push_back(std::move(symbol));
  return out_.object.symbols.back().get();
}

Symbol* UpdateBuilder::section_symbol(Section* section) {
  Symbol*& symbol = section_symbols_[section];
  if (symbol == nullptr) symbol = new_symbol("", STB_LOCAL, STT_SECTION, section, 0, 0);
  return symbol;
}

Symbol* UpdateBuilder::import_symbol(const Symbol& like) {
  Symbol*& symbol = undefined_[like.name];
  if (symbol == nullptr)
    symbol = new_symbol(like.name, like.bind == STB_WEAK ? STB_WEAK : STB_GLOBAL, STT_NOTYPE,
                        nullptr, 0, 0);
  return symbol;
}

// struct module of the target. The update module has a __this_module of its own.
Symbol* UpdateBuilder::target_module_symbol() {
  return absolute_symbol("ksplice_target_module", {.target = image_.target,
                                                   .section = ".gnu.linkonce.this_module",
                                                   .import = "",
                                                   .offset = 0,
                                                   .percpu = false});
}

// What vmlinux has under a global name: an import if it is exported, otherwise absolute. Null if
// there is none, or more than one.
Symbol* UpdateBuilder::kernel_symbol(const std::string& name) {
  if (vmlinux_.exports.contains(name)) {
    Symbol like;
    like.name = name;
    like.bind = STB_GLOBAL;
    return import_symbol(like);
  }
  const RunSymbol* global = only_global(vmlinux_, name);
  if (global == nullptr || is_foreign(global->addr)) return nullptr;
  return absolute_symbol(name, vmlinux_.locate(global->addr));
}

// What the patch exports for modules from another target, and was not before: the finalizer fills
// in where it is.
Symbol* UpdateBuilder::neighbour_symbol(UnitState& unit, const std::string& name) {
  auto found = info_.neighbours.find(name);
  if (found == info_.neighbours.end() || found->second.target == image_.target) return nullptr;
  const Neighbour& other = found->second;
  const bool is_of_kernel = other.existing && other.target == "vmlinux";
  std::string why_not = other.why_not;
  if (why_not.empty() && other.module.empty() && !is_of_kernel)
    why_not = fmt::format("nothing holds {} in memory, of which this update changes no code",
                          other.target);
  if (!why_not.empty()) {
    refuse(unit, "failed_to_find", nullptr, name, 0,
           fmt::format("new code of {} uses {} of {}, which the patch exports: {}", image_.target,
                       name, other.target, why_not),
           "give the new code a way of its own, or leave this use out of the patch");
    return nullptr;
  }
  Symbol* symbol = absolute_symbol(
      name, other.existing
                ? *other.existing
                : RunLocation{.target = other.module, .section = "", .import = "", .symbol = name});
  used_neighbours_[name] = symbol;
  return symbol;
}

Symbol* UpdateBuilder::undefined_symbol(UnitState& unit, const Symbol& symbol) {
  const std::string& name = symbol.name;
  // Shadow variables (ksplice-patch.h): the core exports them.
  if (name.rfind("ksplice_shadow_", 0) == 0) return import_symbol(symbol);
  if (image_.is_module() && name == "__this_module") return target_module_symbol();
  if (name.rfind("__SCT__", 0) == 0) need_static_call_key(name);
  if (image_.is_module()) {
    if (const RunSymbol* own = only_global(image_, name)) return run_symbol(name, own->addr);
    if (info_.neighbours.contains(name) && !vmlinux_.exports.contains(name))
      return neighbour_symbol(unit, name);
    return import_symbol(symbol);  // modpost checks that somebody exports it
  }
  if (vmlinux_.exports.contains(name)) return import_symbol(symbol);
  if (std::optional<uint64_t> addr = run_address(unit, symbol)) return run_symbol(name, *addr);
  if (Symbol* global = kernel_symbol(name)) return global;
  if (symbol.bind == STB_WEAK) return import_symbol(symbol);
  refuse(unit, "failed_to_find", nullptr, name, 0,
         fmt::format("new code refers to {}, which {} does not have", name, vmlinux_.path),
         "the kernel was built without it: change the patch, or check the configuration");
  return nullptr;
}

// A static call site is patched through its key, and objtool looks the key up by name.
void UpdateBuilder::need_static_call_key(const std::string& trampoline) {
  std::string key = "__SCK__" + trampoline.substr(7);
  if (image_.is_module())
    if (const RunSymbol* own = image_.unique_symbol(key)) {
      run_symbol(key, own->addr);
      return;
    }
  // A key that only another module has stays unknown: objtool then falls back to the trampoline.
  if (vmlinux_.exports.contains(key))
    kernel_symbol(key);
  else if (const RunSymbol* only = vmlinux_.unique_symbol(key); only && !is_foreign(only->addr))
    absolute_symbol(key, vmlinux_.locate(only->addr));
}

// The absolute symbol of that meaning; its name is made unique among the absolute ones, and says
// ".cold" to nobody: 7.3's objtool wants the parent of each such symbol.
Symbol* UpdateBuilder::absolute_symbol(const std::string& name, const RunLocation& location) {
  Symbol*& symbol = absolute_[{location.target, location.section, location.import, location.offset,
                               location.percpu, location.symbol}];
  if (symbol != nullptr) return symbol;
  const std::string base = is_fragment(name) ? cold_parent(name) + "_cold" : name;
  std::string unique = base;
  for (int number = 1; absolute_names_.contains(unique) || undefined_.contains(unique); ++number)
    unique = fmt::format("{}..{}", base, number);
  absolute_names_.insert(unique);
  symbol = new_symbol(unique, STB_GLOBAL, STT_NOTYPE, nullptr, 0, 0);
  symbol->shndx = SHN_ABS;
  if (!location.target.empty()) out_.finalization.symbols.push_back({unique, location});
  return symbol;
}

Symbol* UpdateBuilder::run_symbol(const std::string& name, uint64_t addr) {
  RunLocation location = image_.locate(addr);
  if (!location.import.empty() && location.offset == 0) {
    Symbol like;
    like.name = location.import;
    like.bind = STB_GLOBAL;
    return import_symbol(like);
  }
  return absolute_symbol(name, location);
}

}  // namespace ksplice
