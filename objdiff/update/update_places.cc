// Existing things that new code must not refer to, for where they are in the running kernel.
#include <elf.h>
#include <fmt/core.h>

#include "objdiff/arch/series.h"
#include "objdiff/image/landing_pads.h"
#include "objdiff/object/special_tables.h"
#include "objdiff/update/update_builder.h"

namespace ksplice {

namespace {

// What a static call's name begins with: static_call_update() takes its address, and nobody calls
// through that.
constexpr const char* StaticCallTrampoline = "__SCT__";

}  // namespace

// A call through a pointer to code without a landing pad is a trap on a processor that watches
// these.
bool UpdateBuilder::refuse_sealed(UnitState& unit, const Section& from,
                                  const Relocation& relocation, const Reference& reference) {
  const Symbol* symbol = reference.atom != nullptr ? reference.atom->symbol : reference.symbol;
  if (symbol == nullptr || symbol->shndx == SHN_ABS || is_special_section(from)) return false;
  if (reference.offset != 0 || symbol->name.starts_with(StaticCallTrampoline)) return false;
  if (const CodeMap* code = unit.atoms->code(from)) {
    const Instruction* instruction = code->at(relocation.offset);
    if (instruction != nullptr && instruction->is_branch()) return false;
  }
  auto [image, addr] = run_place(unit, *symbol);
  // What the patch makes global in another unit of this target.
  if (auto shown = new_globals_.find(symbol->name);
      image == nullptr && symbol->is_undefined() && shown != new_globals_.end())
    if (auto place = run_address(*shown->second.first, *shown->second.second))
      image = &image_, addr = *place;
  if (image == nullptr || !lacks_landing_pad(*image, vmlinux_, addr)) return false;
  if (referred_before(unit, from, relocation.offset, *symbol, UseKind::Address)) return false;
  refuse(unit, "sealed_function", &from, symbol->name, relocation.offset,
         fmt::format("new code or data in {} takes the address of {}, which has no landing pad in "
                     "the running kernel, as nothing in it did: a call through it would be a trap "
                     "where the processor has indirect branch tracking",
                     from.name, symbol->name),
         "let it lead to a new function that calls this one");
  return true;
}

// The loader links a module's users into the key (until 6.10 also where nobody may switch it any
// more), and a key that is read-only by then faults. The differ knows the unit's own keys.
bool UpdateBuilder::refuse_read_only_key(UnitState& unit, const Section& from,
                                         const Relocation& relocation, const Reference& reference) {
  if (from.name != "__jump_table") return false;
  const Symbol* symbol = reference.atom != nullptr ? reference.atom->symbol : reference.symbol;
  if (symbol == nullptr || symbol->shndx == SHN_ABS) return false;
  const auto [image, addr] = run_place(unit, *symbol);
  // Since 6.10 the loader leaves such keys alone.
  if (image == nullptr || get_series(vmlinux_.release).name != "6.1") return false;
  const RunSection* section = image->section_at(addr);
  const bool in_own_section =
      section != nullptr && section->name.starts_with(".data..ro_after_init");
  // In vmlinux it lies in .rodata, which is flagged as writable.
  const RunSymbol *start = image->unique_symbol("__start_ro_after_init"),
                  *end = image->unique_symbol("__end_ro_after_init");
  const bool in_range =
      start != nullptr && end != nullptr && start->addr <= addr && addr < end->addr;
  if (!in_own_section && !in_range) return false;
  refuse(unit, "static_key", &from, symbol->name, relocation.offset,
         fmt::format("new code uses the static key {}, which is read-only by now and cannot be "
                     "linked to new code",
                     symbol->name),
         "test it with static_key_enabled() in the patch");
  return true;
}

// Existing code and data that are freed after the start. A function that refers to them already
// (__ref: it looks first whether they are still there) may go on doing so.
bool UpdateBuilder::refuse_freed(UnitState& unit, const Section& from, const Relocation& relocation,
                                 const Reference& reference) {
  const Symbol* symbol = reference.atom != nullptr ? reference.atom->symbol : reference.symbol;
  if (symbol == nullptr || symbol->shndx == SHN_ABS) return false;
  const auto [image, addr] = run_place(unit, *symbol);
  if (image == nullptr || !image->is_freed(addr)) return false;
  if (referred_before(unit, from, relocation.offset, *symbol)) return false;
  const RunSection* section = image->section_at(addr);
  refuse(unit, section->is_code() ? "init_code" : "init_data", &from, symbol->name,
         relocation.offset,
         fmt::format("new code in {} uses {} in {}, which is freed after boot", from.name,
                     symbol->name, section->name),
         "call or copy something that stays; what is freed may be anything by now");
  return true;
}

}  // namespace ksplice
