// What speaks against a place: the names that the image has, the kind of memory, what else is known
// about the same thing, and where the rest of the unit lies.
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

#include "objdiff/image/kallsyms.h"
#include "objdiff/match/run_pre_search.h"

namespace ksplice {
namespace {

// All names that the image has at addr.
std::vector<const RunSymbol*> symbols_exactly_at(const RunImage& image, uint64_t addr) {
  std::vector<const RunSymbol*> result;
  auto it = std::lower_bound(image.symbols.begin(), image.symbols.end(), addr,
                             [](const RunSymbol& s, uint64_t value) { return s.addr < value; });
  for (; it != image.symbols.end() && it->addr == addr; ++it) result.push_back(&*it);
  return result;
}

bool is_percpu(const Section& section) { return section.name.rfind(".data..percpu", 0) == 0; }

}  // namespace

// Whether the image has a symbol of this name, but for numbers that the compiler chose.
bool RunPre::image_knows(const std::string& name) {
  auto [found, inserted] = image_knows_.try_emplace(name, false);
  if (!inserted) return found->second;
  std::string normal = normal_name(name);
  std::string stem = normal.substr(0, normal.find('#'));
  bool known = imports_.count(name) != 0 || image_.by_name.count(name) != 0;
  for (auto it = image_.by_name.lower_bound(stem);
       !known && normal != name && it != image_.by_name.end() &&
       it->first.compare(0, stem.size(), stem) == 0;
       ++it)
    known = normal_name(it->first) == normal;
  return found->second = known;
}

// Whether entity, if it is at addr, lies where the linker put the unit. What is weak may be another
// unit's; what an update brought along is in its module.
bool RunPre::is_in_place(const Entity& entity, uint64_t addr) const {
  return !is_weak(entity) && image_.owner_of(addr).empty();
}

// Why entity cannot be at addr, or "".
std::string RunPre::objection(const Entity& entity, uint64_t addr) {
  auto known = known_.find(&entity);
  // An update may have a copy of a constant, or of what UBSAN says, that nothing in the image gave
  // an address.
  auto is_copied = [&] {
    return entity.is_compared() && image_.owner_of(addr) != image_.owner_of(known->second);
  };
  if (known != known_.end() && known->second != addr && !is_copied())
    return fmt::format("{} is at {:#x} here, but at {:#x} elsewhere", entity.name(), addr,
                       known->second);
  std::string why = objection_to_kind(entity, addr);
  if (why.empty()) why = objection_to_name(entity, addr);
  if (why.empty() && is_in_place(entity, addr) && !layout_.fits(entity, addr))
    why = fmt::format("{} would be at {:#x}, far from the rest of the unit", entity.name(), addr);
  return why;
}

std::string RunPre::objection_to_kind(const Entity& entity, uint64_t addr) const {
  const RunSection* section = image_.section_at(addr);
  if (entity.kind == Entity::Kind::Function || entity.kind == Entity::Kind::Code) {
    if (section == nullptr || !section->is_code())
      return fmt::format("{} would be at {:#x}, which is no code", entity.name(), addr);
  }
  if (entity.kind == Entity::Kind::Data && entity.end != entity.begin) {
    if (section == nullptr)
      return fmt::format("{} would be at {:#x}, outside the image", entity.name(), addr);
    bool percpu = section->name == ".data..percpu";
    bool writable = entity.section->is_write();
    if (writable && (section->is_code() || percpu != is_percpu(*entity.section)))
      return fmt::format("{} would be at {:#x}, in {}", entity.name(), addr, section->name);
  }
  return "";
}

// Nothing in the image has the name.
std::string RunPre::objection_to_unknown(const Entity& entity, uint64_t addr) const {
  if (entity.kind != Entity::Kind::Undefined) return "";
  const RunSection* section = image_.section_at(addr);
  if (!image_.is_module() && section != nullptr && !section->exec &&
      is_left_out_of_kallsyms(entity.name()))
    return "";
  if (is_weak(entity))
    return addr == 0 ? ""
                     : fmt::format("{} is weak and defined nowhere, but {:#x} is referred to",
                                   entity.name(), addr);
  return fmt::format("the image has no {}, but refers to {:#x} in its place", entity.name(), addr);
}

std::string RunPre::objection_to_name(const Entity& entity, uint64_t addr) {
  std::vector<const RunSymbol*> there = symbols_exactly_at(image_, addr);
  bool named = false, exists = false;
  for (const Symbol* symbol : entity.symbols) {
    if (symbol->name.empty()) continue;
    named = true;
    auto import = imports_.find(symbol->name);
    if (import != imports_.end() && import->second == addr) return "";
    std::string normal = normal_name(symbol->name);
    for (const RunSymbol* run : there)
      if (run->name == symbol->name || normal_name(run->name) == normal) return "";
    exists |= image_knows(symbol->name);
  }
  if (!named) return "";
  if (!exists) return objection_to_unknown(entity, addr);
  const RunSymbol* covering = image_.symbol_at(addr);
  std::string place = covering == nullptr ? "nothing known"
                      : covering->addr == addr
                          ? covering->name
                          : fmt::format("{}+{:#x}", covering->name, addr - covering->addr);
  return fmt::format("{} was expected, but {} ({:#x}) is referred to", entity.name(), place, addr);
}

std::string RunPre::objection(const Trial& trial) {
  for (const Sighting& sighting : trial.sightings) {
    std::string why = objection(*sighting.entity, sighting.addr);
    if (!why.empty()) return why;
  }
  std::map<std::pair<const Section*, uint64_t>, uint64_t> own;
  for (const auto& [place, addr] : trial.merged) {
    auto known = merged_.find(place);
    uint64_t other =
        known != merged_.end() ? known->second : own.emplace(place, addr).first->second;
    if (other != addr)
      return fmt::format("the constant at {}+{:#x} is at {:#x} here, but at {:#x} elsewhere",
                         place.first->name, place.second, addr, other);
  }
  for (const InnerReference& inner : trial.inner) {
    auto other = by_entity_.find(inner.entity);
    const Comparison* code = nullptr;
    if (other != by_entity_.end() && other->second->chosen != nullptr)
      code = &other->second->chosen->code;
    if (inner.entity == trial.entity) code = &trial.code;
    if (code == nullptr) continue;  // drop_unproven() has the last word
    std::optional<uint32_t> offset = code->run_offset(static_cast<uint64_t>(inner.offset));
    if (!offset || code->addr + *offset != inner.addr)
      return fmt::format("{}+{:#x} is not at {:#x}", inner.entity->name(), inner.offset,
                         inner.addr);
  }
  return "";
}

// What was settled later must not speak against what was settled before.
void RunPre::check_choices(MatchResult& result) {
  for (Candidate& candidate : candidates_) {
    if (candidate.chosen == nullptr) continue;
    std::string why = objection(*candidate.chosen);
    if (why.empty()) continue;
    Refusal refusal = refusal_for(candidate, *candidate.chosen);
    refusal.message = "contradiction: " + why;
    result.contradictions.push_back(refusal);
  }
  for (const UnitLayout::Complaint& complaint : layout_.complaints()) {
    Refusal refusal;
    refusal.code = "no_match";
    refusal.object = object_.path;
    refusal.section = complaint.entity->section->name;
    refusal.symbol = complaint.entity->name();
    refusal.message = "contradiction: " + complaint.what;
    result.contradictions.push_back(refusal);
  }
}

// Why something that no matched code mentions cannot be at addr, where its name is; offset is where
// it differs. Names of static things stand in many units, so the content must agree, too.
std::string RunPre::objection_to_unmentioned(const Entity& entity, uint64_t addr,
                                             uint64_t& offset) {
  if (entity.section == nullptr) return "";
  std::string why = objection(entity, addr);
  if (!why.empty() || entity.begin == entity.end) return why;
  const RunSection* section = image_.section_at(addr);
  bool has_bytes = entity.section->type != SHT_NOBITS && entity.section->name != ".BTF_ids";
  if (!has_bytes) {
    // Zero at the start: in .bss, or where the linker put explicit zeros for it.
    auto bytes = image_.read(addr, entity.end - entity.begin);
    bool is_zero =
        !bytes || std::all_of(bytes->begin(), bytes->end(), [](uint8_t b) { return b == 0; });
    return section->write && is_zero ? "" : entity.name() + " starts with zeros in pre";
  }
  const Comparison& data = compare_data(entity, addr);
  if (!data.same) {
    offset = data.difference.pre_offset;
    return data.difference.what;
  }
  for (const Sighting& sighting : data.sightings) {
    why = objection(*sighting.entity, sighting.addr);
    offset = sighting.pre_offset;
    if (!why.empty()) return why;
  }
  return "";
}

// Symbols that no matched code refers to, but whose name is unique on both sides.
void RunPre::name_the_rest(MatchResult& result) {
  std::map<std::string, unsigned> count;
  for (const std::unique_ptr<Symbol>& symbol : object_.symbols) count[symbol->name]++;
  for (const std::unique_ptr<Symbol>& symbol : object_.symbols) {
    const Entity* entity = index_.entity_of(symbol.get());
    if (entity == nullptr || symbol->name.empty() || symbol->is_section()) continue;
    auto known = known_.find(entity);
    if (known != known_.end()) {
      uint64_t offset = symbol->section == nullptr ? 0 : symbol->value - entity->begin;
      result.addresses[symbol.get()] = known->second + offset;
      continue;
    }
    if (entity->kind == Entity::Kind::Function || entity->kind == Entity::Kind::Code ||
        entity->kind == Entity::Kind::Absolute || count[symbol->name] != 1)
      continue;
    const RunSymbol* run = image_.unique_symbol(symbol->name);
    // What another unit defines is global there; a static thing of that name is none of its
    // business.
    if (run != nullptr && symbol->section == nullptr && !run->is_global()) run = nullptr;
    // A static name alone is another unit's as easily, unless it is where the rest of this unit's
    // data is.
    if (symbol->section != nullptr && symbol->bind == STB_LOCAL && !layout_.has_neighbours(*entity))
      continue;
    auto import = imports_.find(symbol->name);
    if (run == nullptr && import == imports_.end()) continue;
    uint64_t addr = run != nullptr ? run->addr : import->second;
    uint64_t offset = 0;
    bool at_start = symbol->section != nullptr && entity->begin == symbol->value;
    std::string why = at_start ? objection_to_unmentioned(*entity, addr, offset) : "";
    if (why.empty()) {
      result.addresses[symbol.get()] = addr;
      continue;
    }
    // Weak: overridden by another unit. Writable: what runs is not what the file has anyway; the
    // address is not told.
    if (is_weak(*entity) || !entity->is_constant()) continue;
    result.contradictions.push_back(data_refusal(*entity, addr, offset, why));
  }
}

}  // namespace ksplice
