#include "objdiff/match/match_code.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "objdiff/match/code_walk.h"

namespace ksplice {
namespace {

using Kind = InstructionKind;

// Nameless code refers to nameless code at most so often; more would be a circle.
constexpr unsigned MaxDepth = 8;

// What compilers align to in a function, in bytes.
constexpr uint64_t LeastAlignment = 8, MostAlignment = 64;

// Whether code has that many bytes of what the assembler fills with: nops, all but the last of one
// length.
bool is_filling(std::span<const uint8_t> code, uint64_t at, uint64_t size) {
  if (at > code.size() || size > code.size() - at) return false;
  code = code.subspan(at, size);
  uint64_t length = 0;  // of the first nop
  for (at = 0; at < size;) {
    const std::optional<Instruction> nop = decode_instruction(code, at);
    if (!nop || !is_filling_nop(code.subspan(at, nop->size))) return false;
    if (length == 0) length = nop->size;
    at += nop->size;
    if (nop->size > length || (nop->size < length && at != size)) return false;
  }
  return true;
}

}  // namespace

CodeWalk::CodeWalk(const Matcher& matcher, const Section& section, uint64_t begin, uint64_t end,
                   uint64_t addr, unsigned depth)
    : pre_(matcher.pre_),
      image_(matcher.image_),
      tables_(matcher.tables_),
      matcher_(matcher),
      section_(section),
      begin_(begin),
      end_(end),
      addr_(addr),
      depth_(depth) {
  result_.addr = addr;
}

Comparison CodeWalk::run() {
  const RunSection* run_section = image_.section_at(addr_);
  bool is_code = run_section != nullptr && run_section->is_code();
  if (!is_code || end_ > section_.data.size() || depth_ > MaxDepth) {
    differ(!is_code            ? "the place is not code"
           : depth_ > MaxDepth ? "code without a name refers to more of it without an end"
                               : "the function is cut off");
    return std::move(result_);
  }
  code_ = std::span(run_section->data)
              .subspan(std::min<uint64_t>(addr_ - run_section->addr, run_section->data.size()));
  relocation_ = std::lower_bound(
      section_.relocations.begin(), section_.relocations.end(), begin_,
      [](const Relocation& relocation, uint64_t value) { return relocation.offset < value; });
  result_.map.reserve((end_ - begin_) / 4 + 2);
  std::span<const uint8_t> bytes = std::span(section_.data).first(end_);
  while (pre_at_ < end_ - begin_) {
    result_.map.emplace_back(static_cast<uint32_t>(pre_at_), static_cast<uint32_t>(run_at_));
    pre_insn_ = decode_instruction(bytes, begin_ + pre_at_);
    run_insn_ = decode_instruction(code_, run_at_);
    bool same = pre_insn_ ? step() : no_instruction();
    if (!same) return std::move(result_);
  }
  result_.map.emplace_back(static_cast<uint32_t>(pre_at_), static_cast<uint32_t>(run_at_));
  result_.run_size = run_at_;
  result_.same = check_branches() && check_tables();
  return std::move(result_);
}

bool CodeWalk::differ(const std::string& what) {
  result_.difference = {pre_at_, run_at_, what, ""};
  return false;
}

bool CodeWalk::differ_at(uint64_t pre_offset, const std::string& what) {
  pre_at_ = pre_offset;
  run_at_ = result_.run_offset(pre_offset).value_or(0);
  return differ(what);
}

std::span<const uint8_t> CodeWalk::pre_bytes() const {
  return std::span(section_.data).subspan(begin_ + pre_at_, pre_insn_->size);
}

std::span<const uint8_t> CodeWalk::run_bytes() const {
  return code_.subspan(run_at_, run_insn_->size);
}

bool CodeWalk::advance() {
  pre_at_ += pre_insn_->size;
  run_at_ += run_insn_->size;
  while (relocation_ != section_.relocations.end() && relocation_->offset < begin_ + pre_at_)
    ++relocation_;
  return true;
}

// Among the next bytes of pre.
bool CodeWalk::has_relocation(uint64_t length) const {
  return relocation_ != section_.relocations.end() &&
         relocation_->offset < begin_ + pre_at_ + length;
}

// Data in code, or an instruction that is not known: one byte, which must be equal.
bool CodeWalk::no_instruction() {
  if (has_relocation(1)) return differ("bytes that are no instruction refer to something");
  if (run_at_ >= code_.size() || code_[run_at_] != section_.data[begin_ + pre_at_])
    return differ("bytes that are no instruction differ");
  pre_at_++;
  run_at_++;
  return true;
}

bool CodeWalk::step() {
  if (!run_insn_) return differ("the run bytes are no instruction");
  auto label = pre_.jump_labels.find({&section_, begin_ + pre_at_});
  // Pre has the compiler's jmp, or already the nop if objtool was run on it.
  if (label != pre_.jump_labels.end() && label->second.nop &&
      (pre_insn_->kind == Kind::Jump || is_jump_label_nop(pre_bytes())))
    return jump_label_nop();
  bool equal_size = pre_insn_->size == run_insn_->size;
  if (pre_insn_->kind == Kind::Nop && !has_relocation(pre_insn_->size)) return nop();
  if (run_insn_->kind == Kind::Nop && pre_insn_->kind != Kind::Nop) return padding();
  filling_.reset();
  if (pre_insn_->is_branch()) return branch();
  if (!equal_size) return differ("the instructions differ");
  return compare_fields();
}

// objtool replaced the jmp by a nop of its size.
bool CodeWalk::jump_label_nop() {
  if (is_jump_label_nop(run_bytes())) return advance();
  if (run_insn_->kind == Kind::Nop) return padding();
  return differ("a jump label that objtool turns into a nop is none");
}

// A nop of pre without a relocation: the same in run, or filling.
bool CodeWalk::nop() {
  const bool equal = pre_insn_->size == run_insn_->size &&
                     std::equal(pre_bytes().begin(), pre_bytes().end(), run_bytes().begin());
  if (!equal) return padding();
  if (is_claimed())
    filling_.reset();
  else if (filling_ && filling_->goes_on_with(*pre_insn_))
    filling_->last = pre_insn_->size;
  else
    filling_ = Filling{pre_at_, run_at_, pre_insn_->size, pre_insn_->size};
  return advance();
}

// Whether a table says that the instruction of pre is more than filling.
bool CodeWalk::is_claimed() const {
  const CodePlace place{&section_, begin_ + pre_at_};
  if (pre_.jump_labels.count(place) != 0) return true;
  auto after = pre_.alternatives.upper_bound(place);
  if (after == pre_.alternatives.begin()) return false;
  const auto& [start, last] = *std::prev(after);
  auto [entry, end] = pre_.alternatives.equal_range(start);
  return start.first == &section_ && std::any_of(entry, end, [&](const auto& each) {
           return place.second - start.second < each.second.length;
         });
}

// Alignment inside a function: filling of other lengths, which on both sides ends at the next
// multiple of one power of two, where pre and run begin at other distances from it.
bool CodeWalk::padding() {
  if (filling_ && filling_->goes_on_with(*pre_insn_) && filling_->goes_on_with(*run_insn_)) {
    pre_at_ = filling_->pre_at;  // its first nops are alike; nothing may lead to these, either
    run_at_ = filling_->run_at;
    while (result_.map.back().first > pre_at_) result_.map.pop_back();
  }
  filling_.reset();
  const std::span<const uint8_t> pre = std::span(section_.data).first(end_);
  const uint64_t pre_place = begin_ + pre_at_, run_place = addr_ + run_at_;
  for (uint64_t align = std::min(MostAlignment, section_.align); align >= LeastAlignment;
       align /= 2) {
    const uint64_t pre_size = -pre_place % align, run_size = -run_place % align;
    if (pre_size == run_size || has_relocation(pre_size) || (pre_size != 0 && is_claimed()) ||
        !is_filling(pre, pre_place, pre_size) || !is_filling(code_, run_at_, run_size))
      continue;
    pre_at_ += pre_size;
    run_at_ += run_size;
    return true;
  }
  return differ("the instructions differ");
}

// A direct branch: its length may differ, its target must be the same.
bool CodeWalk::branch() {
  if (run_insn_->kind != pre_insn_->kind) return differ("the instructions differ");
  int pre_condition = condition_code(section_.data, *pre_insn_);
  int run_condition = condition_code(code_, *run_insn_);
  if (pre_condition != run_condition) return differ("the condition of the branch differs");
  std::span<const uint8_t> pre = pre_bytes(), run = run_bytes();
  // Same prefixes, and the same opcode unless one is the short form of the other.
  if (pre_insn_->opcode_offset != run_insn_->opcode_offset ||
      !std::equal(pre.begin(), pre.begin() + pre_insn_->opcode_offset, run.begin()))
    return differ("the instructions differ");
  if (pre.size() != run.size()) {
    bool has_forms = pre_insn_->kind == Kind::Jump || pre_condition >= 0;
    if (!has_forms) return differ("the instructions differ");
  } else if (!std::equal(pre.begin(), pre.begin() + pre_insn_->imm_offset, run.begin())) {
    return differ("the instructions differ");
  }
  uint64_t run_target = addr_ + static_cast<uint64_t>(run_insn_->target);
  if (!has_relocation(pre_insn_->size)) return local_branch(run_target);
  if (!reloc_is_pc_relative(relocation_->type) ||
      relocation_->offset != begin_ + pre_at_ + pre_insn_->imm_offset)
    return differ("a relocation " + reloc_name(relocation_->type) +
                  " of a branch is not understood");
  PreTarget target = pre_.resolve(*relocation_, &*pre_insn_);
  if (!refer(target, run_target)) return false;
  if (relocation_->symbol->name.rfind("__SCT__", 0) == 0)
    static_calls_.push_back({pre_at_, run_at_, relocation_->symbol->name});
  if (run_insn_->imm_size == 4) add_field(*run_insn_, run_insn_->imm_offset, run_target);
  return advance();
}

// A branch that the assembler resolved: to an instruction of this code, or to other code of the
// section.
bool CodeWalk::local_branch(uint64_t run_target) {
  uint64_t pre_target = static_cast<uint64_t>(pre_insn_->target);
  const Entity* behind = pre_.entity_at(&section_, end_);
  bool is_behind = pre_target == end_ && behind != nullptr && behind->begin == end_;
  if (pre_target >= begin_ && pre_target <= end_ && !is_behind) {
    branches_.push_back({pre_at_, pre_target - begin_, run_target});
    return advance();
  }
  // A branch out of the section would have a relocation: these bytes are data that look like one
  // (the "xen" behind the ud2 of XEN_EMULATE_PREFIX), and must be equal.
  if (pre_target >= section_.data.size() && pre_insn_->size == run_insn_->size)
    return compare_fields();
  PreTarget target;
  target.entity = pre_.entity_at(&section_, pre_target);
  if (target.entity == nullptr) return differ("a branch leads nowhere");
  target.offset = static_cast<int64_t>(pre_target - target.entity->begin);
  return refer(target, run_target) && advance();
}

// Same size: all bytes but the relocated fields are equal, and these lead to the same things.
bool CodeWalk::compare_fields() {
  std::span<const uint8_t> pre = pre_bytes(), run = run_bytes();
  uint64_t checked = 0;
  auto equal_until = [&](uint64_t end) {
    return std::equal(pre.begin() + static_cast<long>(checked),
                      pre.begin() + static_cast<long>(end),
                      run.begin() + static_cast<long>(checked));
  };
  for (auto it = relocation_;
       it != section_.relocations.end() && it->offset < begin_ + pre_at_ + pre.size(); ++it) {
    uint64_t field = it->offset - begin_ - pre_at_;
    unsigned size = reloc_size(it->type);
    if (size == 0) continue;
    if (field < checked || field > pre.size() || size > pre.size() - field)
      return differ("a field crosses instructions");
    if (!equal_until(field)) return differ("the instructions differ");
    checked = field + size;
    if (!relocated_field(*it, field, size)) return false;
  }
  if (!equal_until(pre.size())) return differ("the instructions differ");
  return advance();
}

bool CodeWalk::relocated_field(const Relocation& relocation, uint64_t field, unsigned size) {
  if (!reloc_is_understood(relocation.type))
    return differ("a relocation " + reloc_name(relocation.type) + " is not understood");
  bool pc_relative = reloc_is_pc_relative(relocation.type);
  int64_t value =
      read_field(run_bytes().subspan(field, size), size, reloc_is_signed(relocation.type));
  uint64_t run_target = static_cast<uint64_t>(value);
  if (pc_relative) run_target += addr_ + run_at_ + run_insn_->size;
  PreTarget target = pre_.resolve(relocation, &*pre_insn_);
  run_target += static_cast<uint64_t>(target.bias);
  if (!refer(target, run_target)) return false;
  FieldUse use;
  use.run_offset = static_cast<uint32_t>(run_at_ + field);
  use.size = static_cast<uint8_t>(size);
  use.pc_relative = pc_relative;
  use.target = run_target;
  use.addend = pc_relative ? -static_cast<int64_t>(pre_insn_->size - field) : -target.bias;
  // kaslr_offset() is _text - __START_KERNEL: a number that is no place, and moves with _text.
  if (!pc_relative && target.entity != nullptr && std::abs(target.offset) >= int64_t{1} << 30) {
    use.target -= static_cast<uint64_t>(target.offset);
    use.addend += target.offset;
  }
  result_.fields.push_back(use);
  return true;
}

void CodeWalk::add_field(const Instruction& instruction, uint64_t field, uint64_t target) {
  FieldUse use;
  use.run_offset = static_cast<uint32_t>(run_at_ + field);
  use.pc_relative = true;
  use.target = target;
  use.addend = -static_cast<int64_t>(instruction.size - field);
  result_.fields.push_back(use);
}

// Pre refers to target, run to run_target: notes what follows, or checks content.
bool CodeWalk::refer(const PreTarget& target, uint64_t run_target) {
  if (target.merged != nullptr) {
    run_target -= static_cast<uint64_t>(target.beyond);
    std::string what = matcher_.compare_merged(*target.merged, target.offset, run_target);
    if (!what.empty()) return differ(what);
    result_.merged.push_back({{target.merged, static_cast<uint64_t>(target.offset)}, run_target});
    return true;
  }
  if (target.entity == nullptr) return differ("a reference leads nowhere");
  const Entity& entity = *target.entity;
  if (entity.kind == Entity::Kind::Absolute) {
    if (run_target != entity.symbols.front()->value + static_cast<uint64_t>(target.offset))
      return differ(fmt::format("the constant {} has another value", entity.name()));
    return true;
  }
  if (entity.section != nullptr && entity.section->name == "__bug_table") {
    const uint64_t place = entity.begin + static_cast<uint64_t>(target.offset);
    auto [known, inserted] = loaded_bugs_.emplace(place, run_target);
    return inserted || known->second == run_target ||
           differ("the entry of another trap (WARN) is referred to");
  }
  bool is_code = entity.kind == Entity::Kind::Function || entity.kind == Entity::Kind::Code;
  if (is_own(target) && (target.offset != 0 || entity.symbols.empty())) {
    result_.inner.push_back({&entity, target.offset, run_target, pre_at_});
    return true;
  }
  if (entity.kind == Entity::Kind::Code && (entity.symbols.empty() || target.offset != 0))
    return refer_to_snippet(entity, static_cast<uint64_t>(target.offset), run_target);
  if (is_code && target.offset != 0) {
    result_.inner.push_back({&entity, target.offset, run_target, pre_at_});
    return true;
  }
  result_.sightings.push_back(
      {&entity, run_target - static_cast<uint64_t>(target.offset), pre_at_});
  return true;
}

// Code without a name, such as what static_cpu_has() puts into .altinstr_aux: compared as far as
// its control flow goes.
bool CodeWalk::refer_to_snippet(const Entity& entity, uint64_t offset, uint64_t run_target) {
  if (offset > entity.end - entity.begin || entity.end > entity.section->data.size())
    return differ("a reference leads out of the code");
  uint64_t begin = entity.begin + offset, end = begin;
  std::span<const uint8_t> bytes = std::span(entity.section->data).first(entity.end);
  while (end < entity.end) {
    std::optional<Instruction> insn = decode_instruction(bytes, end);
    if (!insn) return differ(entity.section->name + ": bytes that are no instruction");
    end = insn->end();
    if (insn->ends_flow()) break;
  }
  if (end == begin) return differ("a reference leads to the end of the code");
  Comparison code = matcher_.compare_snippet(*entity.section, begin, end, run_target, depth_ + 1);
  if (!code.same) return differ(entity.section->name + ": " + code.difference.what);
  take_evidence(code, pre_at_);
  return true;
}

// What follows from nameless code that this code uses at pre_offset.
void CodeWalk::take_evidence(const Comparison& code, uint64_t pre_offset) {
  for (Sighting sighting : code.sightings) {
    sighting.pre_offset = pre_offset;
    result_.sightings.push_back(sighting);
  }
  for (InnerReference inner : code.inner) {
    inner.pre_offset = pre_offset;
    result_.inner.push_back(inner);
  }
  result_.merged.insert(result_.merged.end(), code.merged.begin(), code.merged.end());
}

bool CodeWalk::is_own(const PreTarget& target) const {
  if (target.entity == nullptr || target.entity->section != &section_) return false;
  uint64_t place = target.entity->begin + static_cast<uint64_t>(target.offset);
  return place >= begin_ && place < end_;
}

// References into this code that were met on the way through relocations and tables.
bool CodeWalk::check_own_references() {
  for (const InnerReference& inner : result_.inner) {
    PreTarget target;
    target.entity = inner.entity;
    target.offset = inner.offset;
    if (!is_own(target)) continue;
    uint64_t place = inner.entity->begin + static_cast<uint64_t>(inner.offset);
    std::optional<uint32_t> expected = result_.run_offset(place - begin_);
    if (!expected || addr_ + *expected != inner.addr)
      return differ_at(inner.pre_offset, "a reference leads elsewhere in the function");
  }
  std::erase_if(result_.inner, [&](const InnerReference& inner) {
    return inner.entity->symbols.empty() && inner.entity->section == &section_;
  });
  return true;
}

bool CodeWalk::check_branches() {
  for (const Branch& branch : branches_) {
    std::optional<uint32_t> expected = result_.run_offset(branch.pre_target);
    // A target behind padding and one before it are the same place.
    if (!expected) return differ_at(branch.pre_at, "a branch leads into an instruction");
    if (addr_ + *expected != branch.run_target)
      return differ_at(branch.pre_at, "a branch has another target");
  }
  return true;
}

namespace {

// The first pair of pre_offset, or the end.
OffsetMap::const_iterator find_offset(const OffsetMap& map, uint64_t pre_offset) {
  auto found =
      std::lower_bound(map.begin(), map.end(), pre_offset,
                       [](const auto& pair, uint64_t value) { return pair.first < value; });
  return found == map.end() || found->first != pre_offset ? map.end() : found;
}

}  // namespace

std::optional<uint32_t> Comparison::run_offset(uint64_t pre_offset) const {
  auto found = find_offset(map, pre_offset);
  if (found == map.end()) return std::nullopt;
  // With filling in run only, the later of two run offsets is the instruction's.
  while (std::next(found) != map.end() && std::next(found)->first == pre_offset) ++found;
  return found->second;
}

std::optional<uint32_t> Comparison::run_end(uint64_t pre_end) const {
  auto found = find_offset(map, pre_end);
  if (found == map.end()) return std::nullopt;
  return found->second;
}

Comparison Matcher::compare_code(const Entity& entity, uint64_t addr) const {
  return CodeWalk(*this, *entity.section, entity.begin, entity.end, addr, 0).run();
}

Comparison Matcher::compare_snippet(const Section& section, uint64_t begin, uint64_t end,
                                    uint64_t addr, unsigned depth) const {
  return CodeWalk(*this, section, begin, end, addr, depth).run();
}

}  // namespace ksplice
