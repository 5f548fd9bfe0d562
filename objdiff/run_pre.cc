// Run-pre matching: is the code that runs the code that we compiled, and where is everything that
// it mentions?
//
// Pre is one object as the compiler made it. Run is the kernel's (or a module's) image as a file:
// linked, but not yet touched by the boot. Both are walked in lockstep, instruction by instruction
// (CodeWalk in match_code.cc). A byte that no relocation covers must be equal. A field that a
// relocation covers must hold an address, and that address is evidence: "tcp_hashinfo is at
// ffffffff8327e1c0".
//
//   pre   48 8b 3d 00 00 00 00   mov tcp_hashinfo(%rip), %rdi     R_X86_64_PC32 tcp_hashinfo-4
//   run   48 8b 3d 19 ab 9c 01   mov 0x19cab19(%rip), %rdi        end of instruction + 0x19cab19
//
// Evidence must agree with itself (one address per thing, over all functions of the object), with
// the image's symbols (if the image knows the name at all, the address must be one of that name),
// and, for read-only data, with the content: data is compared in the same way, to any depth. So a
// wrong place is found out by what it refers to, and a changed reference by the name of where it
// leads.
//
// Places to try come from the image's symbols. When twelve files have a static function foo, all
// twelve places are tried; those that contradict what is known fall away; the functions that have
// one place left are settled, which makes more known, until nothing changes. What remains alike in
// every byte and every reference is told by its place: the functions of one unit lie together.
//
// What the special sections say about a function must be said about run, too: jump labels (target,
// key, likely branch), exception entries (fixup, type), alternatives (feature, length,
// replacement's code).
//
// Tolerated differences. Everything else is a mismatch.
//
//   Branch length        A direct jump may be short in one and long in the other (same condition,
//   same
//                        prefixes, same target): pre has each function in its own section, where
//                        the assembler cannot shorten a jump to a local function of the same file.
//   Alignment inside     After such a change of length, filling before an aligned label may differ,
//   if it
//                        is the assembler's own nops, on both sides up to a multiple of 8.
//   Padding behind       What lies between functions belongs to none of them and is not looked at.
//   Block layout         .cold and .part fragments are functions of their own; jumps between a
//   function and its
//                        fragment lead to the same instruction.
//   Merged strings and   The linker keeps one copy of equal strings and constants, so the content
//   at constants            the address counts, not the address. Names' numbers       .constprop.0,
//   __func__.12, __UNIQUE_ID_x37: numbers that the compiler chose. Jump labels          Where the
//   key's bit 1 is set, objtool has put a nop in place of the jmp, of the same
//                        kind as the assembler's (2 or 5 bytes). The table must name the same
//                        target.
//   .BTF_ids             Filled in after the link; not compared.
//   Writable data        Its address is learnt, its content is the running system's. It must lie in
//                        data (per-cpu data in per-cpu data).
//   Physical addresses   A field with __START_KERNEL_map subtracted counts as one of the address
//   itself.
//
// No tolerance is needed, since the image is from before the boot, for: alternatives, paravirt
// calls, retpolines, return thunks, smp lock prefixes, static calls, ftrace calls, endbr and call
// padding. Their raw forms are equal in pre and run; run_ranges.cc tells the core what the boot
// makes of them.
//
// Weak functions and constants that another unit overrides are not in the image: absent, not
// mismatched.
//
// Functions in init sections match like others; the core cannot verify them, since their memory is
// gone.
//
// Not handled: images of a kernel linked with LTO, where a unit's code is not in one piece.
#include "objdiff/run_pre.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <set>
#include <unordered_map>

#include "objdiff/likely_cause.h"
#include "objdiff/match_code.h"
#include "objdiff/pre_index.h"
#include "objdiff/run_ranges.h"
#include "objdiff/run_tables.h"

namespace ksplice {
namespace {

// A function at one of the places where it might be.
struct Trial {
  Comparison code;
  std::vector<Sighting> sightings;  // also those of the read-only data that it reaches
  std::vector<InnerReference> inner;
  std::vector<std::pair<std::pair<const Section*, uint64_t>, uint64_t>> merged;
  Difference difference;  // if not viable
  bool viable = false;
};

struct Candidate {
  const Entity* entity = nullptr;
  std::deque<Trial> trials;  // chosen points into it while more are added
  const Trial* chosen = nullptr;
  std::set<uint64_t> tried;
};

// What may decide between places that are alike.
enum class Evidence { References, Between, Beside };

class RunPre {
 public:
  RunPre(const Object& pre, const RunImage& image)
      : object_(pre),
        image_(image),
        index_(pre),
        tables_(read_run_tables(image)),
        matcher_(index_, image, tables_) {
    for (const auto& [addr, name] : image.imports) imports_[name] = addr;
  }

  MatchResult run();

 private:
  Trial try_at(const Entity& entity, uint64_t addr);
  bool follow_data(Trial& trial);
  const Comparison& compare_data(const Entity& entity, uint64_t addr);
  std::string objection(const Entity& entity, uint64_t addr) const;
  std::string objection(const Trial& trial) const;
  bool settle_one(Evidence evidence);
  void commit(Candidate& candidate, const Trial& trial);
  void add_candidates(Candidate& candidate);
  bool is_between_neighbours(const Candidate& candidate, const Trial& trial) const;
  bool is_beside_neighbour(const Candidate& candidate, const Trial& trial) const;
  void check_choices(MatchResult& result);
  void name_the_rest(MatchResult& result);
  void add_advice(MatchResult& result) const;
  FunctionMatch report(const Symbol& symbol, const Candidate& candidate) const;
  Refusal data_refusal(const Entity& entity, uint64_t addr, uint64_t offset,
                       const std::string& why) const;
  Refusal refusal_for(const Candidate& candidate, const Trial& trial) const;

  const Object& object_;
  const RunImage& image_;
  PreIndex index_;
  RunTables tables_;
  Matcher matcher_;
  std::unordered_map<std::string, uint64_t> imports_;
  std::vector<Candidate> candidates_;
  std::unordered_map<const Entity*, Candidate*> by_entity_;
  std::unordered_map<const Entity*, uint64_t> known_;
  std::map<std::pair<const Entity*, uint64_t>, Comparison> data_;
};

bool is_weak(const Entity& entity) {
  return std::all_of(entity.symbols.begin(), entity.symbols.end(),
                     [](const Symbol* symbol) { return symbol->bind == STB_WEAK; });
}

// All names that the image has at addr.
std::vector<const RunSymbol*> symbols_exactly_at(const RunImage& image, uint64_t addr) {
  std::vector<const RunSymbol*> result;
  auto it = std::lower_bound(image.symbols.begin(), image.symbols.end(), addr,
                             [](const RunSymbol& s, uint64_t value) { return s.addr < value; });
  for (; it != image.symbols.end() && it->addr == addr; ++it) result.push_back(&*it);
  return result;
}

bool is_percpu(const Section& section) { return section.name.rfind(".data..percpu", 0) == 0; }

const Comparison& RunPre::compare_data(const Entity& entity, uint64_t addr) {
  auto [found, inserted] = data_.try_emplace({&entity, addr});
  if (inserted) found->second = matcher_.compare_data(entity, addr);
  return found->second;
}

// Why entity cannot be at addr, or "".
std::string RunPre::objection(const Entity& entity, uint64_t addr) const {
  auto known = known_.find(&entity);
  if (known != known_.end() && known->second != addr)
    return fmt::format("{} is at {:#x} here, but at {:#x} elsewhere", entity.name(), addr,
                       known->second);
  if (entity.kind == Entity::Kind::Function || entity.kind == Entity::Kind::Code) {
    const RunSection* section = image_.section_at(addr);
    if (section == nullptr || !section->exec)
      return fmt::format("{} would be at {:#x}, which is no code", entity.name(), addr);
  }
  if (entity.kind == Entity::Kind::Data && entity.section->is_write()) {
    const RunSection* section = image_.section_at(addr);
    bool percpu = section != nullptr && section->name == ".data..percpu";
    if (section != nullptr && (section->exec || percpu != is_percpu(*entity.section)))
      return fmt::format("{} would be at {:#x}, in {}", entity.name(), addr, section->name);
  }
  if (entity.symbols.empty()) return "";
  std::vector<const RunSymbol*> there = symbols_exactly_at(image_, addr);
  bool exists = false;  // does the image know any of the names at all
  for (const Symbol* symbol : entity.symbols) {
    if (symbol->name.empty()) continue;
    if (imports_.count(symbol->name) != 0) {
      exists = true;
      if (imports_.at(symbol->name) == addr) return "";
    }
    std::string normal = normal_name(symbol->name);
    for (const RunSymbol* run : there)
      if (run->name == symbol->name || normal_name(run->name) == normal) return "";
    exists |= image_.by_name.count(symbol->name) != 0;
  }
  if (!exists) return "";
  const RunSymbol* covering = image_.symbol_at(addr);
  std::string place = covering == nullptr ? "nothing known"
                      : covering->addr == addr
                          ? covering->name
                          : fmt::format("{}+{:#x}", covering->name, addr - covering->addr);
  return fmt::format("{} was expected, but {} ({:#x}) is referred to", entity.name(), place, addr);
}

std::string RunPre::objection(const Trial& trial) const {
  for (const Sighting& sighting : trial.sightings) {
    std::string why = objection(*sighting.entity, sighting.addr);
    if (!why.empty()) return why;
  }
  for (const InnerReference& inner : trial.inner) {
    auto other = by_entity_.find(inner.entity);
    if (other == by_entity_.end() || other->second->chosen == nullptr) continue;
    const Comparison& code = other->second->chosen->code;
    std::optional<uint32_t> offset = code.run_offset(static_cast<uint64_t>(inner.offset));
    if (!offset || code.addr + *offset != inner.addr)
      return fmt::format("{}+{:#x} is not at {:#x}", inner.entity->name(), inner.offset,
                         inner.addr);
  }
  return "";
}

// Adds what follows from the read-only data that the trial refers to, however far.
bool RunPre::follow_data(Trial& trial) {
  std::map<const Entity*, uint64_t> seen;
  for (size_t i = 0; i < trial.sightings.size(); i++) {
    Sighting sighting = trial.sightings[i];
    auto [first, inserted] = seen.emplace(sighting.entity, sighting.addr);
    if (!inserted) {
      if (first->second == sighting.addr) continue;
      trial.difference.pre_offset = sighting.pre_offset;
      trial.difference.what = fmt::format("{} is at {:#x} here, but at {:#x} in the same function",
                                          sighting.entity->name(), sighting.addr, first->second);
      return false;
    }
    if (sighting.entity->is_constant()) {
      const Comparison& data = compare_data(*sighting.entity, sighting.addr);
      if (!data.same) {
        trial.difference = data.difference;
        trial.difference.pre_offset = sighting.pre_offset;
        trial.difference.what = fmt::format("{}: {} at offset {:#x}", sighting.entity->name(),
                                            data.difference.what, data.difference.pre_offset);
        return false;
      }
      for (Sighting next : data.sightings) {
        next.pre_offset = sighting.pre_offset;
        trial.sightings.push_back(next);
      }
      for (InnerReference next : data.inner) {
        next.pre_offset = sighting.pre_offset;
        trial.inner.push_back(next);
      }
      trial.merged.insert(trial.merged.end(), data.merged.begin(), data.merged.end());
    }
  }
  return true;
}

Trial RunPre::try_at(const Entity& entity, uint64_t addr) {
  Trial trial;
  trial.code = matcher_.compare_code(entity, addr);
  trial.difference = trial.code.difference;
  if (!trial.code.same) return trial;
  trial.sightings = trial.code.sightings;
  trial.sightings.push_back({&entity, addr, 0});
  trial.inner = trial.code.inner;
  trial.merged = trial.code.merged;
  if (!follow_data(trial)) {
    trial.difference.run_offset = trial.code.run_offset(trial.difference.pre_offset).value_or(0);
    return trial;
  }
  trial.viable = true;
  return trial;
}

// Places by name; from what others refer to; and by the name without compiler-made numbers.
void RunPre::add_candidates(Candidate& candidate) {
  std::vector<uint64_t> places;
  for (const Symbol* symbol : candidate.entity->symbols) {
    for (const RunSymbol* run : image_.find_symbols(symbol->name)) places.push_back(run->addr);
    std::string normal = normal_name(symbol->name);
    if (normal == symbol->name || !places.empty()) continue;
    std::string stem = symbol->name.substr(0, symbol->name.find('.') + 1);
    for (auto it = image_.by_name.lower_bound(stem);
         it != image_.by_name.end() && it->first.compare(0, stem.size(), stem) == 0; ++it)
      if (normal_name(it->first) == normal) places.push_back(image_.symbols[it->second].addr);
  }
  auto known = known_.find(candidate.entity);
  if (known != known_.end()) places.push_back(known->second);
  for (uint64_t addr : places) {
    const RunSection* section = image_.section_at(addr);
    if (section == nullptr || !section->exec) continue;  // data of the same name
    if (!candidate.tried.insert(addr).second) continue;
    candidate.trials.push_back(try_at(*candidate.entity, addr));
  }
}

void RunPre::commit(Candidate& candidate, const Trial& trial) {
  candidate.chosen = &trial;
  for (const Sighting& sighting : trial.sightings) known_.emplace(sighting.entity, sighting.addr);
}

// Functions that were in one section before -ffunction-sections took them apart.
std::string layout_kind(const Entity& entity) {
  for (const char* kind : {".text.unlikely", ".init.text", ".exit.text", ".noinstr.text"})
    if (entity.section->name.rfind(kind, 0) == 0) return kind;
  return ".text";
}

// A unit's code lies together, in the order of its symbols, for each kind of section; so an address
// between those of settled functions of the unit tells one foo from the foo of another file.
bool RunPre::is_between_neighbours(const Candidate& candidate, const Trial& trial) const {
  std::string kind = layout_kind(*candidate.entity);
  uint64_t low = UINT64_MAX, high = 0;
  for (const Candidate& other : candidates_) {
    if (other.chosen == nullptr || layout_kind(*other.entity) != kind) continue;
    low = std::min(low, other.chosen->code.addr);
    high = std::max(high, other.chosen->code.addr);
  }
  return low <= trial.code.addr && trial.code.addr <= high;
}

// The first or last function of the unit: nothing but filling is between it and its settled
// neighbour.
bool RunPre::is_beside_neighbour(const Candidate& candidate, const Trial& trial) const {
  constexpr uint64_t Filling = 64;
  std::string kind = layout_kind(*candidate.entity);
  const Candidate* before = nullptr;
  const Candidate* after = nullptr;
  bool passed = false;
  for (const Candidate& other : candidates_) {
    if (&other == &candidate) {
      passed = true;
    } else if (layout_kind(*other.entity) == kind) {
      if (!passed) before = &other;
      if (passed && after == nullptr) after = &other;
    }
  }
  uint64_t begin = trial.code.addr, end = begin + trial.code.run_size;
  if (after != nullptr && after->chosen != nullptr) {
    uint64_t next = after->chosen->code.addr;
    if (end <= next && next - end < Filling) return true;
  }
  if (before != nullptr && before->chosen != nullptr) {
    uint64_t last = before->chosen->code.addr + before->chosen->code.run_size;
    if (last <= begin && begin - last < Filling) return true;
  }
  return false;
}

bool RunPre::settle_one(Evidence evidence) {
  bool progress = false;
  for (Candidate& candidate : candidates_) {
    if (candidate.chosen != nullptr) continue;
    auto known = known_.find(candidate.entity);
    if (known != known_.end() && candidate.tried.count(known->second) == 0)
      add_candidates(candidate);
    const Trial* only = nullptr;
    size_t count = 0;
    for (const Trial& trial : candidate.trials) {
      if (!trial.viable || !objection(trial).empty()) continue;
      if (evidence == Evidence::Between && !is_between_neighbours(candidate, trial)) continue;
      if (evidence == Evidence::Beside && !is_beside_neighbour(candidate, trial)) continue;
      only = &trial;
      count++;
    }
    if (count != 1) continue;
    commit(candidate, *only);
    progress = true;
    if (evidence != Evidence::References) return true;
  }
  return progress;
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
    auto import = imports_.find(symbol->name);
    if (run == nullptr && import == imports_.end()) continue;
    uint64_t addr = run != nullptr ? run->addr : import->second;
    if (entity->is_constant() && entity->begin == symbol->value) {
      const Comparison& data = compare_data(*entity, addr);
      std::string why = data.same ? "" : data.difference.what;
      uint64_t offset = data.difference.pre_offset;
      for (const Sighting& sighting : data.sightings) {
        if (!why.empty()) break;
        why = objection(*sighting.entity, sighting.addr);
        offset = sighting.pre_offset;
      }
      if (!why.empty()) {
        if (is_weak(*entity)) continue;  // overridden by another unit
        result.contradictions.push_back(data_refusal(*entity, addr, offset, why));
        continue;
      }
    }
    result.addresses[symbol.get()] = addr;
  }
}

std::string hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (uint8_t byte : bytes) text += fmt::format("{:02x} ", byte);
  return text;
}

// A named constant that no matched code refers to.
Refusal RunPre::data_refusal(const Entity& entity, uint64_t addr, uint64_t offset,
                             const std::string& why) const {
  Refusal refusal;
  refusal.code = "no_match";
  refusal.object = object_.path;
  refusal.section = entity.section->name;
  refusal.symbol = entity.name();
  refusal.offset = offset;
  refusal.message = why;
  uint64_t length = std::min<uint64_t>(16, entity.end - entity.begin - offset);
  refusal.expected = hex(std::span(entity.section->data).subspan(entity.begin + offset, length));
  if (auto bytes = image_.read(addr + offset, length)) refusal.found = hex(*bytes);
  return refusal;
}

Refusal RunPre::refusal_for(const Candidate& candidate, const Trial& trial) const {
  const Entity& entity = *candidate.entity;
  Refusal refusal;
  refusal.code = "no_match";
  refusal.object = object_.path;
  refusal.section = entity.section->name;
  refusal.symbol = entity.name();
  refusal.offset = trial.difference.pre_offset;
  refusal.message = trial.difference.what;
  refusal.expected = disassemble_around(object_, *entity.section, entity.begin, entity.end,
                                        entity.begin + trial.difference.pre_offset);
  uint64_t length = entity.end - entity.begin + 64;
  const RunSection* section = image_.section_at(trial.code.addr);
  if (section != nullptr && section->addr + section->data.size() > trial.code.addr) {
    length = std::min(length, section->addr + section->data.size() - trial.code.addr);
    auto bytes = image_.read(trial.code.addr, length);
    if (bytes)
      refusal.found = disassemble_around(*bytes, trial.code.addr, trial.difference.run_offset);
  }
  return refusal;
}

FunctionMatch RunPre::report(const Symbol& symbol, const Candidate& candidate) const {
  FunctionMatch match;
  match.pre = &symbol;
  if (candidate.chosen != nullptr) {
    match.status = MatchStatus::Matched;
    match.run = make_run_code(index_, image_, tables_, *candidate.entity, candidate.chosen->code);
    match.run.name = symbol.name;
    return match;
  }
  if (candidate.trials.empty()) {
    match.status = MatchStatus::Absent;
    match.reason = "the image has no symbol of this name";
    return match;
  }
  if (is_weak(*candidate.entity)) {
    match.status = MatchStatus::Absent;
    match.reason = "weak, and the image has another definition";
    return match;
  }
  match.status = MatchStatus::Mismatched;
  // The most telling trial is the one that went furthest.
  const Trial* best = nullptr;
  unsigned viable = 0;
  for (const Trial& trial : candidate.trials) {
    if (trial.viable && objection(trial).empty()) viable++;
    bool further =
        best == nullptr || (trial.viable && !best->viable) ||
        (trial.viable == best->viable && trial.difference.pre_offset > best->difference.pre_offset);
    if (further) best = &trial;
  }
  match.refusal = refusal_for(candidate, *best);
  if (viable > 1) {
    match.refusal.message = fmt::format("{} functions of this name are alike", viable);
    match.reason = "ambiguous";
    return match;
  }
  if (best->viable) {
    match.refusal.message = objection(*best);
    match.reason = "contradiction";
    return match;
  }
  match.reason = best->difference.what;
  return match;
}

void RunPre::add_advice(MatchResult& result) const {
  size_t counts[3] = {};
  for (const FunctionMatch& match : result.functions) counts[static_cast<size_t>(match.status)]++;
  size_t mismatched = counts[static_cast<size_t>(MatchStatus::Mismatched)];
  if (mismatched == 0 && result.contradictions.empty()) return;
  std::string cause =
      likely_cause(object_, image_, counts[static_cast<size_t>(MatchStatus::Matched)], mismatched);
  for (FunctionMatch& match : result.functions)
    if (match.status == MatchStatus::Mismatched) match.refusal.advice = cause;
  for (Refusal& refusal : result.contradictions) refusal.advice = cause;
}

MatchResult RunPre::run() {
  for (const Entity& entity : index_.entities()) {
    if (entity.kind != Entity::Kind::Function) continue;
    Candidate candidate;
    candidate.entity = &entity;
    candidates_.push_back(std::move(candidate));
  }
  for (Candidate& candidate : candidates_) by_entity_[candidate.entity] = &candidate;
  for (Candidate& candidate : candidates_) add_candidates(candidate);
  while (settle_one(Evidence::References) || settle_one(Evidence::Between) ||
         settle_one(Evidence::Beside)) {
  }
  MatchResult result;
  check_choices(result);
  for (const std::unique_ptr<Symbol>& symbol : object_.symbols) {
    if (!symbol->is_function() || symbol->section == nullptr) continue;
    const Entity* entity = index_.entity_of(symbol.get());
    auto candidate = by_entity_.find(entity);
    if (candidate == by_entity_.end()) continue;
    result.functions.push_back(report(*symbol, *candidate->second));
  }
  name_the_rest(result);
  add_advice(result);
  for (const Candidate& candidate : candidates_)
    if (candidate.chosen != nullptr)
      for (const auto& [place, addr] : candidate.chosen->merged)
        result.anonymous.emplace(place, addr);
  for (const auto& [entity, addr] : known_)
    if (entity->symbols.empty() && entity->section != nullptr)
      result.anonymous.emplace(std::pair(entity->section, entity->begin), addr);
  return result;
}

}  // namespace

const FunctionMatch* MatchResult::find(const Symbol* pre) const {
  for (const FunctionMatch& match : functions)
    if (match.pre == pre) return &match;
  return nullptr;
}

MatchResult match_run_pre(const Object& pre, const RunImage& image) {
  return RunPre(pre, image).run();
}

}  // namespace ksplice
