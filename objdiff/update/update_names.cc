// What the symbols of the update object are called.
//
// The kernel lists them in kallsyms. Whoever asks there for tcp_v4_rcv (a kprobe, a BPF program, a
// tracer) means the function, whose entry all calls still go through, and must find one: a new body
// is called ksplice_ID_tcp_v4_rcv, and its cold part ksplice_ID_tcp_v4_rcv.cold, since objtool
// looks for the parent by that name. The id stands in front, so that tcp_v4_* finds each function
// once. So does a new function if the kernel has another of its name.
#include <elf.h>
#include <fmt/core.h>

#include "objdiff/update/update_builder.h"

namespace ksplice {

std::string update_prefix(const std::string& id) { return "ksplice_" + id + "_"; }

void UpdateBuilder::name_symbols() {
  // The module around the update object has these: what a module's start and exit are called.
  std::set<std::string> taken = {"init_module", "cleanup_module"};
  for (const auto& symbol : out_.object.symbols)
    if (symbol->type != STT_FUNC && symbol->shndx != SHN_ABS) taken.insert(symbol->name);
  for (UnitState& unit : units_) name_functions(unit, taken);
  rename_shadowed_symbols(taken);
  for (const UnitState& unit : units_) note_placed(unit);
}

// What stands where under its last name.
void UpdateBuilder::note_placed(const UnitState& unit) {
  for (const auto& [place, symbol] : unit.placed) {
    if (symbol->is_section()) continue;
    const auto& [section, begin] = place;
    const uint64_t entry = begin + symbol->value;
    out_.placed.push_back(
        {unit.unit->post, section, begin, entry + symbol->size, entry, symbol->name});
  }
}

// Functions of two units may have one name; with all their fragments each gets one of its own.
void UpdateBuilder::name_functions(UnitState& unit, std::set<std::string>& taken) {
  std::set<const Symbol*> bodies;
  for (const Replaced& replaced : replaced_) bodies.insert(replaced.body);
  std::map<std::string, std::vector<Symbol*>> functions;  // with their fragments
  std::set<std::string> renamed;
  for (const auto& [place, symbol] : unit.placed) {
    if (symbol->type != STT_FUNC) continue;
    const std::string whole = cold_parent(symbol->name);
    functions[whole].push_back(symbol);
    if (bodies.contains(symbol) || taken.contains(symbol->name) ||
        !image_.find_symbols(symbol->name).empty() || !vmlinux_.find_symbols(symbol->name).empty())
      renamed.insert(whole);
  }
  for (const auto& [whole, symbols] : functions) {
    std::string name = renamed.contains(whole) ? update_prefix(info_.id) + whole : whole;
    for (int number = 1; taken.contains(name); ++number)
      name = fmt::format("{}{}.{}", update_prefix(info_.id), whole, number);
    for (Symbol* symbol : symbols) {
      symbol->name = name + symbol->name.substr(whole.size());
      taken.insert(symbol->name);
    }
  }
}

// An import and a static thing can have the name of an absolute symbol, and the linker would take
// one for the other.
void UpdateBuilder::rename_shadowed_symbols(const std::set<std::string>& taken) {
  std::map<std::string, std::string> renamed;
  for (const auto& symbol : out_.object.symbols) {
    if (symbol->shndx != SHN_ABS || symbol->section != nullptr || !taken.contains(symbol->name))
      continue;
    std::string name = symbol->name + "..run";
    renamed[symbol->name] = name;
    symbol->name = name;
  }
  for (FinalSymbol& symbol : out_.finalization.symbols)
    if (auto found = renamed.find(symbol.name); found != renamed.end()) symbol.name = found->second;
}

}  // namespace ksplice
