// Writes the tables of kmod-core/ksplice_abi.h into the update object, as data with relocations.
//
//   .ksplice.object     ksplice_update_object
//   .ksplice.runs       struct ksplice_run: code that must be there, functions and fragments
//   .ksplice.functions  struct ksplice_function: what is redirected
//   .ksplice.ranges     struct ksplice_range
//   .ksplice.bytes      expected bytes and variants; fields that depend on the boot are zero here
//   and
//                       listed in the finalization
//   .ksplice.strings, .ksplice.hooks
//   .ksplice.needs      struct ksplice_need: updates that this one stands on
//   .ksplice.places     struct ksplice_place: pointers and values in existing data, switched with
//   the code
#include <elf.h>
#include <fmt/core.h>

#include <algorithm>

#include <cstddef>
#include <cstring>

#include "kmod-core/ksplice_abi.h"
#include "objdiff/diff/diff_refusals.h"
#include "objdiff/update/update_builder.h"

namespace ksplice {

namespace {

template <typename Record>
uint64_t append(Section* section, const Record& record) {
  uint64_t at = section->data.size();
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&record);
  section->data.insert(section->data.end(), bytes, bytes + sizeof record);
  section->size = section->data.size();
  return at;
}

// Whether the update has code or data of it, or switches data of it.
bool has_part(const UnitState& unit) {
  return !unit.placed.empty() ||
         std::any_of(unit.data.begin(), unit.data.end(),
                     [](const auto& each) { return each.second->in_place; });
}

RunLocation advanced(RunLocation location, int64_t by) {
  location.offset += by;
  return location;
}

}  // namespace

Section* UpdateBuilder::table(const std::string& name) {
  Section*& section = tables_[name];
  if (section == nullptr) section = new_section(name, SHT_PROGBITS, SHF_ALLOC, 8);
  return section;
}

void UpdateBuilder::add_pointer(Section* section, uint64_t offset, Section* to,
                                uint64_t to_offset) {
  section->relocations.push_back(
      {offset, RelocAddress, section_symbol(to), static_cast<int64_t>(to_offset)});
}

uint64_t UpdateBuilder::add_string(const std::string& text) {
  Section* strings = table(".ksplice.strings");
  uint64_t at = strings->data.size();
  strings->data.insert(strings->data.end(), text.begin(), text.end());
  strings->data.push_back(0);
  strings->size = strings->data.size();
  return at;
}

void UpdateBuilder::add_fields(const RunCode& run, uint64_t bytes_at, uint64_t run_offset,
                               const std::vector<RunField>& fields) {
  for (const RunField& field : fields) {
    FinalField final;
    final.offset = bytes_at + field.offset;
    final.size = field.size;
    final.pc_relative = field.pc_relative;
    final.target = field.target;
    final.addend = field.addend;
    final.place = advanced(run.location, static_cast<int64_t>(run_offset + field.offset));
    out_.finalization.fields.push_back(final);
  }
}

// What a module imports need not be exported: objtool names the key of a static call whose
// trampoline alone is.
Symbol* UpdateBuilder::param_symbol(const RunLocation& location) {
  if (location.import.empty())
    return absolute_symbol(fmt::format("ksplice_param_{}_{:x}", location.section, location.offset),
                           location);
  if (Symbol* known = kernel_symbol(location.import)) return known;
  Symbol like;
  like.name = location.import;
  like.bind = STB_GLOBAL;
  return import_symbol(like);
}

// Returns the offset of the first range's record.
uint64_t UpdateBuilder::add_ranges(const RunCode& run) {
  Section* ranges = table(".ksplice.ranges");
  Section* bytes = table(".ksplice.bytes");
  uint64_t first = ranges->data.size();
  for (const RunRange& range : run.ranges) {
    uint64_t variants_at = bytes->data.size();
    for (const RunVariant& variant : range.variants) {
      bytes->data.push_back(variant.length);
      add_fields(run, bytes->data.size(), range.offset, variant.fields);
      bytes->data.insert(bytes->data.end(), variant.bytes.begin(), variant.bytes.end());
    }
    bytes->size = bytes->data.size();
    ksplice_range record = {};
    record.offset = range.offset;
    record.length = range.length;
    record.kind = range.kind;
    record.nr_variants = static_cast<uint8_t>(range.variants.size());
    record.param = range.param_number;
    uint64_t at = append(ranges, record);
    add_pointer(ranges, at + offsetof(ksplice_range, variants), bytes, variants_at);
    if (!range.param.target.empty()) {
      Symbol* param = param_symbol(range.param);
      ranges->relocations.push_back({at + offsetof(ksplice_range, param), RelocAddress, param,
                                     range.param.import.empty() ? 0 : range.param.offset});
    }
  }
  return first;
}

// Returns the offset of the run's record.
uint64_t UpdateBuilder::add_run(const FunctionMatch& match) {
  const RunCode& run = match.run;
  Section* runs = table(".ksplice.runs");
  Section* bytes = table(".ksplice.bytes");
  uint64_t bytes_at = bytes->data.size();
  add_fields(run, bytes_at, 0, run.fields);
  bytes->data.insert(bytes->data.end(), run.bytes.begin(), run.bytes.end());
  bytes->size = bytes->data.size();
  uint64_t ranges_at = add_ranges(run);
  ksplice_run record = {};
  record.size = static_cast<uint32_t>(run.bytes.size());
  record.nr_ranges = static_cast<uint32_t>(run.ranges.size());
  uint64_t at = append(runs, record);
  add_pointer(runs, at + offsetof(ksplice_run, name), table(".ksplice.strings"),
              add_string(run.name));
  runs->relocations.push_back(
      {at + offsetof(ksplice_run, addr), RelocAddress, absolute_symbol(run.name, run.location), 0});
  add_pointer(runs, at + offsetof(ksplice_run, bytes), bytes, bytes_at);
  add_pointer(runs, at + offsetof(ksplice_run, ranges), table(".ksplice.ranges"), ranges_at);
  return at;
}

// It stands on an applied update if an address in that update's module is in it anywhere, of code
// that it replaces or of functions and data that it uses, if it calls what that one replaced
// (need_replaced()), or if both have code of one unit, for which the compiler knew that one's.
// Returns the number of records.
uint64_t UpdateBuilder::add_needs() {
  std::set<std::string> used = needed_;
  for (const RunLower& lower : image_.lowers)
    for (const UnitState& unit : units_)
      if (has_part(unit) && lower.units.contains(unit.unit->name)) {
        used.insert(lower.module);
        refuse_older_source(unit, lower);
      }
  auto use = [&](const RunLocation& location, const std::string& name) {
    used.insert(location.target);
    if (location.section != ".data..percpu" || !location.symbol.empty()) return;
    Refusal refusal;
    refusal.code = "failed_to_find";
    refusal.symbol = name;
    refusal.message = fmt::format(
        "{} is per-cpu data of {}, which has no per-cpu variable of a name that is in it only "
        "once: the kernel tells where these are by their names",
        name, location.target);
    refusal.advice = "leave code that uses it as it is";
    out_.refusals.push_back(refusal);
  };
  for (const FinalSymbol& symbol : out_.finalization.symbols) use(symbol.location, symbol.name);
  for (const FinalField& field : out_.finalization.fields) use(field.target, "a datum");
  std::vector<RunLower> lowers = image_.lowers;
  if (image_.is_module())
    lowers.insert(lowers.end(), vmlinux_.lowers.begin(), vmlinux_.lowers.end());
  for (const RunLower& lower : lowers) {
    if (!used.contains(lower.module)) continue;
    out_.needs.push_back(lower.module);
    Section* needs = table(".ksplice.needs");
    uint64_t at = append(needs, ksplice_need{});
    add_pointer(needs, at + offsetof(ksplice_need, id), table(".ksplice.strings"),
                add_string(lower.id));
    Symbol* module =
        absolute_symbol("ksplice_needed_" + lower.module, {.target = lower.module,
                                                           .section = ".gnu.linkonce.this_module",
                                                           .import = "",
                                                           .offset = 0,
                                                           .percpu = false});
    needs->relocations.push_back({at + offsetof(ksplice_need, module), RelocAddress, module, 0});
  }
  return out_.needs.size();
}

// A unit without the patch of the update below it was compiled for what runs no more.
void UpdateBuilder::refuse_older_source(const UnitState& unit, const RunLower& lower) {
  for (const FunctionMatch& function : unit.unit->match->functions) {
    if (function.status != MatchStatus::Mismatched) continue;
    const auto symbols = image_.find_symbols(function.pre->name);
    const bool is_replaced = std::ranges::any_of(symbols, [&](const RunSymbol* symbol) {
      auto body = image_.bodies.find(symbol->addr);
      return body != image_.bodies.end() && image_.owner_of(body->second) == lower.module;
    });
    if (!is_replaced || !refused_.insert({unit.unit->name, function.pre->name, 0}).second) continue;
    Refusal refusal = function.refusal;
    refusal.object = unit.unit->name;
    refusal.message = fmt::format("update {} has changed this unit: {}", lower.id, refusal.message);
    refusal.advice =
        fmt::format("make it from the source with the patch of update {} in it", lower.id);
    out_.refusals.push_back(refusal);
  }
}

// Returns the number of records.
uint64_t UpdateBuilder::add_callees() {
  for (const auto& [name, symbol] : callees_) {
    Section* callees = table(".ksplice.callees");
    const uint64_t at = append(callees, ksplice_callee{});
    add_pointer(callees, at + offsetof(ksplice_callee, name), table(".ksplice.strings"),
                add_string(name));
    callees->relocations.push_back({at + offsetof(ksplice_callee, addr), RelocAddress, symbol, 0});
  }
  return callees_.size();
}

// Returns the number of records.
uint64_t UpdateBuilder::add_units() {
  uint64_t count = 0;
  for (const UnitState& unit : units_) {
    if (!has_part(unit)) continue;
    Section* units = table(".ksplice.units");
    const uint64_t at = append(units, ksplice_unit{});
    add_pointer(units, at + offsetof(ksplice_unit, name), table(".ksplice.strings"),
                add_string(unit.unit->name));
    ++count;
  }
  return count;
}

namespace {

const Relocation* relocation_at(const Section& section, uint64_t place) {
  for (const Relocation& relocation : section.relocations)
    if (relocation.offset == place) return &relocation;
  return nullptr;
}

}  // namespace

void UpdateBuilder::refuse_place(UnitState& unit, const DataDiff& data, uint64_t offset,
                                 const std::string& what) {
  refuse(unit, "no_match", data.post->section, data.name, offset,
         fmt::format("{} {}+{:#x} in {} cannot be proven to be the one before the patch", what,
                     data.name, offset, image_.path),
         "change it in a ksplice_apply hook and restore it in ksplice_reverse");
}

// Eight bytes at offset of a variable at addr; returns where their record is.
uint64_t UpdateBuilder::add_place(const DataDiff& data, uint64_t addr, int64_t offset,
                                  const ksplice_place& place) {
  Section* places = table(".ksplice.places");
  const uint64_t at = append(places, place);
  add_pointer(places, at + offsetof(ksplice_place, name), table(".ksplice.strings"),
              add_string(fmt::format("{}{:+#x}", data.name, offset)));
  places->relocations.push_back(
      {at + offsetof(ksplice_place, addr), RelocAddress, run_symbol(data.name, addr), offset});
  return at;
}

// One pointer. Its old value is what the image has, and must be what pre says.
void UpdateBuilder::add_switched_pointer(UnitState& unit, const DataDiff& data, uint64_t addr,
                                         uint64_t offset) {
  auto bytes = image_.read(addr + offset, 8);
  uint64_t old_value = 0;
  if (bytes) std::memcpy(&old_value, bytes->data(), sizeof old_value);
  const Relocation* was = relocation_at(*data.pre->section, data.pre->value + offset);
  std::optional<uint64_t> expected = 0;
  const Symbol* old_symbol = nullptr;
  if (was != nullptr) {
    const Reference reference = unit.pre_atoms->resolve(*data.pre->section, *was);
    old_symbol = reference.atom != nullptr ? reference.atom->symbol : reference.symbol;
    auto found = unit.unit->match->addresses.find(old_symbol);
    expected = std::nullopt;
    if (found != unit.unit->match->addresses.end())
      expected = found->second + static_cast<uint64_t>(reference.offset);
  }
  if (!bytes || expected != old_value || addr % 8 != 0) {
    refuse_place(unit, data, offset, "the pointer");
    return;
  }
  ksplice_place place = {};
  place.mask = ~uint64_t{0};
  const uint64_t at = add_place(data, addr, static_cast<int64_t>(offset), place);
  auto refer = [&](size_t field, Symbol* symbol, int64_t addend) {
    if (symbol != nullptr)
      table(".ksplice.places")->relocations.push_back({at + field, RelocAddress, symbol, addend});
  };
  if (old_value != 0)
    refer(offsetof(ksplice_place, old_value), run_symbol(old_symbol->name, old_value), 0);
  if (const Relocation* is = relocation_at(*data.post->section, data.post->value + offset)) {
    auto [symbol, addend] = meaning(unit, *data.post->section, *is);
    refer(offsetof(ksplice_place, new_value), symbol, addend);
  }
}

// The bytes that are no part of a pointer, by the aligned words that they lie in.
void UpdateBuilder::add_switched_values(UnitState& unit, const DataDiff& data, uint64_t addr) {
  std::map<uint64_t, ksplice_place> words;  // by address
  for (uint64_t offset : data.places.values) {
    const uint8_t before = data.pre->section->data[data.pre->value + offset];
    const uint8_t after = data.post->section->data[data.post->value + offset];
    auto byte = image_.read(addr + offset, 1);
    if (!byte || (*byte)[0] != before) {
      refuse_place(unit, data, offset, "the value");
      return;
    }
    const uint64_t shift = (addr + offset) % 8 * 8;
    ksplice_place& word = words[(addr + offset) & ~uint64_t{7}];
    word.mask |= uint64_t{0xff} << shift;
    word.old_value |= uint64_t{before} << shift;
    word.new_value |= uint64_t{after} << shift;
  }
  for (const auto& [at, word] : words) add_place(data, addr, static_cast<int64_t>(at - addr), word);
}

// What the user of ksplice-create has consented to switch where the kernel has it.
void UpdateBuilder::add_switched_places(UnitState& unit) {
  for (const DataDiff& data : unit.unit->diff->data) {
    if (!data.in_place) continue;
    std::optional<uint64_t> addr = run_address(unit, *data.post);
    if (!addr || is_init_section(data.section) || image_.is_freed(*addr)) {
      refuse(unit, "failed_to_find", data.post->section, data.name, 0,
             fmt::format("{} is to be changed in place, and where it is in {} is not known",
                         data.name, image_.path),
             "nothing in the running code that was matched mentions it");
      continue;
    }
    for (uint64_t offset : data.places.pointers) add_switched_pointer(unit, data, *addr, offset);
    add_switched_values(unit, data, *addr);
  }
}

// For the file "kept" of the core: a line each, and no more than it takes.
std::string UpdateBuilder::kept_text() const {
  constexpr size_t MaxText = 2000;
  std::string text;
  for (size_t i = 0; i < out_.given_away.size(); ++i) {
    const std::string line = out_.given_away[i].sentence() + "\n";
    if (text.size() + line.size() > MaxText)
      return text + fmt::format("and {} more\n", out_.given_away.size() - i);
    text += line;
  }
  return text;
}

void UpdateBuilder::add_object_record() {
  Section* object = table(".ksplice.object");
  Section* strings = table(".ksplice.strings");
  ksplice_object record = {};
  record.abi_version = KSPLICE_ABI_VERSION;
  record.nr_objects = info_.nr_objects;
  record.nr_runs = static_cast<uint32_t>(table(".ksplice.runs")->size / sizeof(ksplice_run));
  record.nr_functions = static_cast<uint32_t>(replaced_.size());
  record.nr_needs = static_cast<uint32_t>(add_needs());
  record.nr_callees = static_cast<uint32_t>(add_callees());
  record.nr_units = static_cast<uint32_t>(add_units());
  record.nr_places = static_cast<uint32_t>(table(".ksplice.places")->size / sizeof(ksplice_place));
  if (std::ranges::any_of(used_neighbours_, [&](const auto& used) {
        return info_.neighbours.at(used.first).target != "vmlinux";
      }))
    record.flags |= KSPLICE_OBJECT_USES_OTHERS;
  static const char* const HookSections[] = KSPLICE_HOOK_SECTIONS;
  for (size_t kind = 0; kind < KSPLICE_NR_HOOKS; ++kind)
    record.hooks[kind].nr = hooks_[HookSections[kind]].size();
  append(object, record);
  object->flags |= SHF_WRITE;  // the core links registered objects
  add_pointer(object, offsetof(ksplice_object, id), strings, add_string(info_.id));
  add_pointer(object, offsetof(ksplice_object, description), strings,
              add_string(info_.description));
  add_pointer(object, offsetof(ksplice_object, target), strings, add_string(image_.target));
  add_pointer(object, offsetof(ksplice_object, runs), table(".ksplice.runs"), 0);
  add_pointer(object, offsetof(ksplice_object, functions), table(".ksplice.functions"), 0);
  if (out_.is_kept())
    add_pointer(object, offsetof(ksplice_object, kept), strings, add_string(kept_text()));
  if (record.nr_needs != 0)
    add_pointer(object, offsetof(ksplice_object, needs), table(".ksplice.needs"), 0);
  if (record.nr_callees != 0)
    add_pointer(object, offsetof(ksplice_object, callees), table(".ksplice.callees"), 0);
  if (record.nr_units != 0)
    add_pointer(object, offsetof(ksplice_object, units), table(".ksplice.units"), 0);
  if (record.nr_places != 0)
    add_pointer(object, offsetof(ksplice_object, places), table(".ksplice.places"), 0);
  if (image_.is_module())
    object->relocations.push_back(
        {offsetof(ksplice_object, target_module), RelocAddress,
         absolute_symbol("ksplice_target_module", {.target = image_.target,
                                                   .section = ".gnu.linkonce.this_module",
                                                   .import = "",
                                                   .offset = 0,
                                                   .percpu = false}),
         0});
  Section* hooks = table(".ksplice.hooks");
  for (size_t kind = 0; kind < KSPLICE_NR_HOOKS; ++kind) {
    if (record.hooks[kind].nr == 0) continue;
    add_pointer(object, offsetof(ksplice_object, hooks) + kind * sizeof(ksplice_hook_table), hooks,
                hooks->data.size());
    for (Symbol* hook : hooks_[HookSections[kind]]) {
      uint64_t at = append(hooks, uint64_t{0});
      hooks->relocations.push_back({at, RelocAddress, hook, 0});
    }
  }
  new_symbol("ksplice_update_object", STB_GLOBAL, STT_OBJECT, object, 0, sizeof record);
}

void UpdateBuilder::add_tables() {
  for (const char* name : {".ksplice.runs", ".ksplice.functions", ".ksplice.ranges",
                           ".ksplice.bytes", ".ksplice.strings"})
    table(name);
  Section* functions = table(".ksplice.functions");
  for (const Replaced& replaced : replaced_) {
    uint64_t run_at = add_run(*replaced.match);
    ksplice_function record = {};
    record.new_size = replaced.body->size;
    if (replaced.diff->reshaped) record.flags |= KSPLICE_FUNCTION_RESHAPED;
    uint64_t at = append(functions, record);
    add_pointer(functions, at + offsetof(ksplice_function, name), table(".ksplice.strings"),
                add_string(replaced.diff->name));
    add_pointer(functions, at + offsetof(ksplice_function, run), table(".ksplice.runs"), run_at);
    functions->relocations.push_back(
        {at + offsetof(ksplice_function, new_addr), RelocAddress, replaced.body, 0});
  }
  // The old function's fragments are proven with it, and must be off every stack too.
  for (const Replaced& replaced : replaced_)
    for (const FunctionMatch& fragment : replaced.unit->unit->match->functions) {
      if (!is_fragment(fragment.pre->name) ||
          cold_parent(fragment.pre->name) != replaced.diff->pre->name)
        continue;
      if (fragment.status == MatchStatus::Matched)
        add_run(fragment);
      else
        refuse(*replaced.unit, "no_match", fragment.pre->section, fragment.pre->name, 0,
               fmt::format("{} belongs to {}, which the patch changes, and does not match {}{}",
                           fragment.pre->name, replaced.diff->name, image_.path,
                           fragment.reason.empty() ? "" : " (" + fragment.reason + ")"),
               "build with the compiler and configuration of the running kernel");
    }
  add_left_bodies();
  add_object_record();
  name_symbols();
  add_counters();
}

// What is left of the old code, and nobody comes to any more: a task in it, or about to return to
// it, would go on to new code of another patch state.
void UpdateBuilder::add_left_bodies() {
  for (const UnitState& unit : units_)
    for (const FunctionDiff& function : unit.unit->diff->functions) {
      if (function.left == nullptr || is_freed_section(function.left->section->name)) continue;
      const FunctionMatch* match = unit.unit->match->find(function.left);
      if (match != nullptr && match->status == MatchStatus::Matched && !match->run.bytes.empty())
        add_run(*match);
    }
}

UpdateObject UpdateBuilder::build_check(const std::vector<Unit>& units) {
  for (const char* name : {".ksplice.runs", ".ksplice.functions", ".ksplice.ranges",
                           ".ksplice.bytes", ".ksplice.strings"})
    table(name);
  for (const Unit& unit : units)
    for (const FunctionMatch& match : unit.match->functions) {
      const std::string& section = match.pre->section->name;
      // The trampolines of static calls and what stands before functions (where calls are counted)
      // are the kernel's to write, and no patch changes them.
      if (match.status != MatchStatus::Matched || match.run.bytes.empty() ||
          is_init_section(section) || section == ".static_call.text" ||
          is_call_padding_name(match.pre->name))
        continue;
      add_run(match);
      out_.replaced.push_back(match.pre->name);
    }
  add_object_record();
  name_symbols();
  return std::move(out_);
}

}  // namespace ksplice
