// Run-pre matching: is the code that runs the code that we compiled, and where is everything that
// it mentions?
//
// Pre is one object as the compiler made it. Run is the kernel's (or a module's) image as a file:
// linked, but not yet touched by the boot. Both are walked in lockstep, instruction by instruction
// (CodeWalk in match_code.cc). A byte that no relocation covers must be equal. A field that a
// relocation covers must hold an address, and that address is evidence: "tcp_hashinfo is at
// ffffffff8327e1c0".
//
//   pre   48 8b 3d 00 00 00 00   mov tcp_hashinfo(%rip), %rdi     a distance to tcp_hashinfo-4
//   run   48 8b 3d 19 ab 9c 01   mov 0x19cab19(%rip), %rdi        end of instruction + 0x19cab19
//
// Evidence must agree with itself (one address per thing, over all functions of the object), with
// the image's symbols (the address must be one of that name; what the image has no name for was not
// linked into it), with the layout (the parts of a unit lie together, unit_layout.h), and, for
// read-only data, with the content: data is compared in the same way, to any depth. So a wrong
// place is found out by what it refers to, and a changed reference by the name of where it leads.
//
// Places to try come from the image's symbols. When twelve files have a static function foo, all
// twelve places are tried; those that contradict what is known fall away; the functions that have
// one place left are settled, which makes more known, until nothing changes. What remains alike in
// every byte and every reference is told by its order among the unit's functions.
//
// What the special sections say about a function must be said about run too, and nothing else: jump
// labels (target, key, likely branch), exception entries (fixup, type), alternatives (feature,
// length, replacement's code), static calls (key, kind), traps (flags of WARN and BUG).
//
// Tolerated differences. Everything else is a mismatch.
//
//   Branch length        A direct jump may be short in one and long in the other (same condition,
//                        same prefixes, same target): pre has each function in its own section,
//                        where the assembler cannot shorten a jump to a local function of the file.
//   Alignment inside     Filling before an aligned label may have another length where pre and run
//                        begin at other distances from that alignment (gcc 14 aligns tight loops to
//                        32 or 64 bytes, which functions are not; a branch before it got shorter):
//                        it is the assembler's own nops, ends on both sides at the next multiple of
//                        the alignment, before the same instruction, and nothing leads into it.
//   Padding behind       What lies between functions belongs to none of them and is not looked at.
//   Block layout         .cold and .part fragments are functions of their own; jumps between a
//                        function and its fragment lead to the same instruction.
//   Merged constants     The linker keeps one copy of equal strings and constants, so the content
//                        at the address counts, not the address: one address in the whole unit,
//                        aligned as the constant is.
//   Numbers in names     .constprop.0, __func__.12, __UNIQUE_ID_x37: the compiler chose them.
//   Jump labels          Where the key's bit 1 is set, objtool has put a nop in place of the jmp,
//                        as long as the assembler's (2 or 5 bytes).
//   Line numbers         Those of WARN and BUG, and of what UBSAN says: they move with every line
//                        above them. Of UBSAN's file names the folder, too.
//   Replacements         The kernel copies an alternative's replacement, so the code at the address
//                        counts, not the address; none where it has no bytes.
//   .BTF_ids             Filled in after the link; not compared.
//   Writable data        Its address is learnt, its content is the running system's. It must lie in
//                        data (per-cpu data in per-cpu data). Not UBSAN's records, which have no
//                        name: they are compared as constants are.
//   Physical addresses   A field with __START_KERNEL_map subtracted counts as one of the address
//                        itself.
//
// No tolerance is needed, since the image is from before the boot, for: alternatives, paravirt
// calls, retpolines, return thunks, smp lock prefixes, static calls, ftrace calls, endbr and call
// padding. Their raw forms are equal in pre and run; run_ranges.cc tells the core what the boot
// makes of them.
//
// Weak functions and constants that another unit overrides are not in the image: absent, not
// mismatched. Functions in init sections match like others; the core cannot verify them, since
// their memory is gone.
//
// Where an applied update was added to the image (lower_update.cc), a function that it replaced is
// compared with its body there, and keeps the address at which it is called.
//
// Not handled: images of a kernel linked with LTO, where a unit's code is not in one piece.
#include "objdiff/match/run_pre.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

#include "objdiff/match/run_pre_search.h"
#include "objdiff/match/run_ranges.h"

namespace ksplice {

RunPre::RunPre(const Object& pre, const RunImage& image)
    : object_(pre),
      image_(image),
      tables_(tables_of(image)),
      index_(pre, tables_.series),
      matcher_(index_, image, tables_),
      layout_(index_) {
  for (const auto& [addr, name] : image.imports) imports_[name] = addr;
}

bool is_weak(const Entity& entity) {
  return !entity.symbols.empty() &&
         std::all_of(entity.symbols.begin(), entity.symbols.end(),
                     [](const Symbol* symbol) { return symbol->bind == STB_WEAK; });
}

const Comparison& RunPre::compare_data(const Entity& entity, uint64_t addr) {
  auto [found, inserted] = data_.try_emplace({&entity, addr});
  if (inserted) found->second = matcher_.compare_data(entity, addr);
  return found->second;
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
    if (sighting.entity->is_compared()) {
      const Comparison& data = compare_data(*sighting.entity, sighting.addr);
      if (!data.same && is_weak(*sighting.entity)) continue;  // another unit's definition
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

Trial RunPre::try_at(const Entity& entity, uint64_t entry) {
  Trial trial;
  trial.entity = &entity;
  trial.entry = entry;
  trial.is_replaced = image_.body_of(entry) != entry;
  trial.code = matcher_.compare_code(entity, image_.body_of(entry));
  trial.difference = trial.code.difference;
  if (!trial.code.same) return trial;
  trial.sightings = trial.code.sightings;
  trial.sightings.push_back({&entity, entry, 0});
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
    if (section == nullptr || !section->is_code()) continue;  // data of the same name
    if (!candidate.tried.insert(addr).second) continue;
    candidate.trials.push_back(try_at(*candidate.entity, addr));
    // The rest of the unit still lies around the code as it was.
    if (candidate.trials.back().is_replaced)
      if (const RunSymbol* original = image_.symbol_at(addr))
        layout_.allow(*candidate.entity, original->size);
  }
}

void RunPre::commit(Candidate& candidate, const Trial& trial) {
  candidate.chosen = &trial;
  if (!trial.is_replaced) layout_.measure(*candidate.entity, trial.code.run_size);
  for (const Sighting& sighting : trial.sightings) {
    bool is_new = known_.emplace(sighting.entity, sighting.addr).second;
    if (is_new && sighting.entity->section != nullptr &&
        is_in_place(*sighting.entity, sighting.addr))
      layout_.place(*sighting.entity, sighting.addr);
  }
  merged_.insert(trial.merged.begin(), trial.merged.end());
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
    bool is_doubtful = false;
    for (const Trial& trial : candidate.trials) {
      if (evidence == Evidence::Between && !layout_.is_between(*candidate.entity, trial.entry))
        continue;
      if (evidence == Evidence::Beside &&
          (trial.is_replaced ||
           !layout_.is_beside(*candidate.entity, trial.entry, trial.code.run_size)))
        continue;
      is_doubtful |= !trial.viable;
      if (!trial.viable || !objection(trial).empty()) continue;
      only = &trial;
      count++;
    }
    if (count != 1) continue;
    // A place may drop out because what runs there is not the source's, or was changed by an update
    // without whose patch the source is: then being the only other place of that name, which is
    // another unit's, proves nothing. A reference to it does, and so does where it lies.
    if (is_doubtful && (known == known_.end() || known->second != only->entry)) continue;
    commit(candidate, *only);
    progress = true;
    if (evidence != Evidence::References) return true;
  }
  return progress;
}

// A pointer into the middle of another function is proven by that function's match only.
std::string RunPre::unproven_reference(const Candidate& candidate) const {
  for (const InnerReference& inner : candidate.chosen->inner) {
    auto other = by_entity_.find(inner.entity);
    if (other != by_entity_.end() && other->second->chosen != nullptr) continue;
    return fmt::format("it leads into {}+{:#x}, which does not match", inner.entity->name(),
                       inner.offset);
  }
  return "";
}

// Gives up what rests on something that was not proven, and everything that followed from it.
void RunPre::drop_unproven() {
  bool dropped = false;
  for (bool again = true; again;) {
    again = false;
    for (Candidate& candidate : candidates_) {
      if (candidate.chosen == nullptr) continue;
      candidate.unproven = unproven_reference(candidate);
      if (candidate.unproven.empty()) continue;
      candidate.chosen = nullptr;
      again = dropped = true;
    }
  }
  if (!dropped) return;
  known_.clear();
  merged_.clear();
  layout_.clear();
  for (Candidate& candidate : candidates_)
    if (candidate.chosen != nullptr) commit(candidate, *candidate.chosen);
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
  drop_unproven();
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
  result.anonymous = merged_;
  for (const auto& [entity, addr] : known_)
    if (entity->symbols.empty() && entity->section != nullptr)
      result.anonymous.emplace(std::pair(entity->section, entity->begin), addr);
  return result;
}

const FunctionMatch* MatchResult::find(const Symbol* pre) const {
  for (const FunctionMatch& match : functions)
    if (match.pre == pre) return &match;
  return nullptr;
}

MatchResult match_run_pre(const Object& pre, const RunImage& image) {
  return RunPre(pre, image).run();
}

}  // namespace ksplice
