#include "objdiff/match_code.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace ksplice {
namespace {

using Kind = InstructionKind;

int64_t read_field(std::span<const uint8_t> bytes, unsigned size, bool is_signed) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), size);
  if (is_signed && size == 4) return static_cast<int32_t>(value);
  return static_cast<int64_t>(value);
}

// The nops that gas fills alignment with, up to eleven bytes.
bool is_gas_nop(std::span<const uint8_t> bytes) {
  static const std::array<std::vector<uint8_t>, 11> known = {{
      {0x90},
      {0x66, 0x90},
      {0x0f, 0x1f, 0x00},
      {0x0f, 0x1f, 0x40, 0x00},
      {0x0f, 0x1f, 0x44, 0x00, 0x00},
      {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
      {0x0f, 0x1f, 0x80, 0, 0, 0, 0},
      {0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0},
      {0x66, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0},
      {0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0},
      {0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0},
  }};
  return !bytes.empty() && bytes.size() <= known.size() &&
         std::equal(bytes.begin(), bytes.end(), known[bytes.size() - 1].begin());
}

bool is_jump_label_nop(std::span<const uint8_t> bytes) {
  return (bytes.size() == 2 || bytes.size() == 5) && is_gas_nop(bytes);
}

}  // namespace

// One walk over pre and run code in lockstep.
class CodeWalk {
 public:
  CodeWalk(const Matcher& matcher, const Section& section, uint64_t begin, uint64_t end,
           uint64_t addr)
      : pre_(matcher.pre_),
        image_(matcher.image_),
        tables_(matcher.tables_),
        matcher_(matcher),
        section_(section),
        begin_(begin),
        end_(end),
        addr_(addr) {
    result_.addr = addr;
  }

  Comparison run() {
    const RunSection* run_section = image_.section_at(addr_);
    if (run_section == nullptr || !run_section->exec) {
      differ("the place is not code");
      return std::move(result_);
    }
    code_ = std::span(run_section->data)
                .subspan(std::min<uint64_t>(addr_ - run_section->addr, run_section->data.size()));
    if (end_ > section_.data.size()) {
      differ("the function is cut off");
      return std::move(result_);
    }
    relocation_ = std::lower_bound(
        section_.relocations.begin(), section_.relocations.end(), begin_,
        [](const Relocation& relocation, uint64_t value) { return relocation.offset < value; });
    result_.map.reserve((end_ - begin_) / 4 + 2);
    std::span<const uint8_t> bytes = std::span(section_.data).first(end_);
    while (pre_at_ < end_ - begin_) {
      result_.map.emplace_back(static_cast<uint32_t>(pre_at_), static_cast<uint32_t>(run_at_));
      pre_insn_ = decode_instruction(bytes, begin_ + pre_at_);
      run_insn_ = decode_instruction(code_, run_at_);
      if (!pre_insn_) {  // data in code: compare byte by byte
        if (run_at_ >= code_.size() || code_[run_at_] != bytes[begin_ + pre_at_])
          return fail("bytes that are no instruction differ");
        pre_at_++;
        run_at_++;
        continue;
      }
      if (!run_insn_) return fail("the run bytes are no instruction");
      if (!step()) return std::move(result_);
    }
    result_.map.emplace_back(static_cast<uint32_t>(pre_at_), static_cast<uint32_t>(run_at_));
    result_.run_size = run_at_;
    if (!check_branches() || !check_tables() || !check_own_references()) return std::move(result_);
    result_.same = true;
    return std::move(result_);
  }

 private:
  bool differ(const std::string& what) {
    result_.difference = {pre_at_, run_at_, what, ""};
    return false;
  }
  bool differ_at(uint64_t pre_offset, const std::string& what) {
    pre_at_ = pre_offset;
    run_at_ = result_.run_offset(pre_offset).value_or(0);
    return differ(what);
  }
  Comparison fail(const std::string& what) {
    differ(what);
    return std::move(result_);
  }

  std::span<const uint8_t> pre_bytes() const {
    return std::span(section_.data).subspan(begin_ + pre_at_, pre_insn_->size);
  }
  std::span<const uint8_t> run_bytes() const { return code_.subspan(run_at_, run_insn_->size); }

  bool advance() {
    pre_at_ += pre_insn_->size;
    run_at_ += run_insn_->size;
    while (relocation_ != section_.relocations.end() && relocation_->offset < begin_ + pre_at_)
      ++relocation_;
    return true;
  }

  bool has_relocation() const {
    return relocation_ != section_.relocations.end() &&
           relocation_->offset < begin_ + pre_at_ + pre_insn_->size;
  }

  bool step() {
    auto label = pre_.jump_labels.find({&section_, begin_ + pre_at_});
    // Pre has the compiler's jmp, or already the nop if objtool was run on it.
    if (label != pre_.jump_labels.end() && label->second.nop &&
        (pre_insn_->kind == Kind::Jump || is_jump_label_nop(pre_bytes())))
      return jump_label_nop();
    bool equal_size = pre_insn_->size == run_insn_->size;
    if (pre_insn_->kind == Kind::Nop || run_insn_->kind == Kind::Nop) {
      bool equal =
          equal_size && std::equal(pre_bytes().begin(), pre_bytes().end(), run_bytes().begin());
      if (!equal && !has_relocation()) return padding();
    }
    if (pre_insn_->is_branch()) return branch();
    if (!equal_size) return differ("the instructions differ");
    return compare_fields();
  }

  // objtool replaced the jmp by a nop of its size.
  bool jump_label_nop() {
    if (!is_jump_label_nop(run_bytes()))
      return differ("a jump label that objtool turns into a nop is none");
    if (run_insn_->size != pre_insn_->size) relaxed_ = true;
    return advance();
  }

  // Alignment inside a function. When the assembler shortened a branch before it, another amount of
  // filling is needed to reach the same alignment.
  bool padding() {
    uint64_t pre_end = pre_at_, run_end = run_at_;
    std::span<const uint8_t> bytes = std::span(section_.data).first(end_);
    for (;;) {
      std::optional<Instruction> next = decode_instruction(bytes, begin_ + pre_end);
      if (!next || !is_gas_nop(bytes.subspan(begin_ + pre_end, next->size))) break;
      pre_end += next->size;
    }
    for (;;) {
      std::optional<Instruction> next = decode_instruction(code_, run_end);
      if (!next || !is_gas_nop(code_.subspan(run_end, next->size))) break;
      run_end += next->size;
    }
    // Loops and labels are aligned to 8, 16, 32 or 64 bytes by compilers; the filling is less than
    // that.
    bool aligned = (addr_ + run_end) % 8 == 0 && (begin_ + pre_end) % 8 == 0 &&
                   run_end - run_at_ < 64 && pre_end - pre_at_ < 64;
    if (!aligned || !relaxed_) return differ("the instructions differ");
    pre_at_ = pre_end;
    run_at_ = run_end;
    return true;
  }

  // A direct branch: its length may differ, its target must be the same.
  bool branch() {
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
      relaxed_ = true;
    } else if (!std::equal(pre.begin(), pre.begin() + pre_insn_->imm_offset, run.begin())) {
      return differ("the instructions differ");
    }
    uint64_t run_target = addr_ + static_cast<uint64_t>(run_insn_->target);
    if (has_relocation()) {
      PreTarget target = pre_.resolve(*relocation_, &*pre_insn_);
      if (!refer(target, run_target)) return false;
      if (run_insn_->imm_size == 4) add_field(*run_insn_, run_insn_->imm_offset, run_target);
      return advance();
    }
    uint64_t pre_target = static_cast<uint64_t>(pre_insn_->target);
    if (pre_target >= begin_ && pre_target <= end_ &&
        !(pre_target == end_ && pre_.entity_at(&section_, end_) != nullptr &&
          pre_.entity_at(&section_, end_)->begin == end_)) {
      branches_.push_back({pre_at_, pre_target - begin_, run_target});
      return advance();
    }
    PreTarget target;
    target.entity = pre_.entity_at(&section_, pre_target);
    if (target.entity == nullptr) return differ("the branch leaves the section");
    target.offset = static_cast<int64_t>(pre_target - target.entity->begin);
    if (!refer(target, run_target)) return false;
    return advance();
  }

  // Same size: all bytes but the relocated fields are equal, and these lead to the same things.
  bool compare_fields() {
    std::span<const uint8_t> pre = pre_bytes(), run = run_bytes();
    uint64_t checked = 0;
    for (auto it = relocation_;
         it != section_.relocations.end() && it->offset < begin_ + pre_at_ + pre.size(); ++it) {
      uint64_t field = it->offset - begin_ - pre_at_;
      unsigned size = reloc_size(it->type);
      if (size == 0) continue;
      if (field < checked || field + size > pre.size())
        return differ("a field crosses instructions");
      if (!std::equal(pre.begin() + static_cast<long>(checked),
                      pre.begin() + static_cast<long>(field),
                      run.begin() + static_cast<long>(checked)))
        return differ("the instructions differ");
      checked = field + size;
      if (!relocated_field(*it, field, size)) return false;
    }
    if (!std::equal(pre.begin() + static_cast<long>(checked), pre.end(),
                    run.begin() + static_cast<long>(checked)))
      return differ("the instructions differ");
    return advance();
  }

  bool relocated_field(const Relocation& relocation, uint64_t field, unsigned size) {
    if (size < 4) return differ("a field of one or two bytes is relocated");
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
    result_.fields.push_back(use);
    return true;
  }

  void add_field(const Instruction& instruction, uint64_t field, uint64_t target) {
    FieldUse use;
    use.run_offset = static_cast<uint32_t>(run_at_ + field);
    use.pc_relative = true;
    use.target = target;
    use.addend = -static_cast<int64_t>(instruction.size - field);
    result_.fields.push_back(use);
  }

  // Pre refers to target, run to run_target: notes what follows, or checks content.
  bool refer(const PreTarget& target, uint64_t run_target) {
    if (target.merged != nullptr) {
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
    if (entity.kind == Entity::Kind::Code && entity.symbols.empty())
      return refer_to_snippet(entity, static_cast<uint64_t>(target.offset), run_target);
    bool is_code = entity.kind == Entity::Kind::Function || entity.kind == Entity::Kind::Code;
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
  bool refer_to_snippet(const Entity& entity, uint64_t offset, uint64_t run_target) {
    if (entity.section == &section_) {  // also protects against endless recursion
      result_.inner.push_back({&entity, static_cast<int64_t>(offset), run_target, pre_at_});
      return true;
    }
    if (entity.end > entity.section->data.size())
      return differ("a reference leads out of the code");
    uint64_t begin = entity.begin + offset, end = begin;
    std::span<const uint8_t> bytes = std::span(entity.section->data).first(entity.end);
    while (end < entity.end) {
      std::optional<Instruction> insn = decode_instruction(bytes, end);
      if (!insn) break;
      end = insn->end();
      if (insn->ends_flow()) break;
    }
    Comparison code = matcher_.compare_snippet(*entity.section, begin, end, run_target);
    if (!code.same) return differ(entity.section->name + ": " + code.difference.what);
    for (Sighting& sighting : code.sightings) sighting.pre_offset = pre_at_;
    for (InnerReference& inner : code.inner) inner.pre_offset = pre_at_;
    result_.sightings.insert(result_.sightings.end(), code.sightings.begin(), code.sightings.end());
    result_.inner.insert(result_.inner.end(), code.inner.begin(), code.inner.end());
    result_.merged.insert(result_.merged.end(), code.merged.begin(), code.merged.end());
    return true;
  }

  // References into this code that were met on the way through relocations.
  bool check_own_references() {
    for (const InnerReference& inner : result_.inner) {
      if (inner.entity->section != &section_ || inner.entity->begin != begin_) continue;
      std::optional<uint32_t> expected = result_.run_offset(static_cast<uint64_t>(inner.offset));
      if (!expected || addr_ + *expected != inner.addr)
        return differ_at(inner.pre_offset, "a reference leads elsewhere in the function");
    }
    return true;
  }

  bool check_branches() {
    for (const Branch& branch : branches_) {
      std::optional<uint32_t> expected = result_.run_offset(branch.pre_target);
      // A target behind padding and one before it are the same place.
      if (!expected) return differ_at(branch.pre_at, "a branch leads into an instruction");
      if (addr_ + *expected != branch.run_target)
        return differ_at(branch.pre_at, "a branch has another target");
    }
    return true;
  }

  bool check_tables();
  bool check_alternatives(uint64_t pre_offset, uint64_t run_offset);

  struct Branch {
    uint64_t pre_at, pre_target, run_target;
  };

  const PreIndex& pre_;
  const RunImage& image_;
  const RunTables& tables_;
  const Matcher& matcher_;
  const Section& section_;
  const uint64_t begin_, end_, addr_;
  std::span<const uint8_t> code_;  // of run, from addr_
  std::vector<Relocation>::const_iterator relocation_;
  std::optional<Instruction> pre_insn_, run_insn_;
  uint64_t pre_at_ = 0, run_at_ = 0;  // offsets from begin_ and addr_
  bool relaxed_ = false;              // a branch had another length
  std::vector<Branch> branches_;
  Comparison result_;
};

// What the special sections say about this code must be said about run, too.
bool CodeWalk::check_tables() {
  auto in_range = [&](const CodePlace& place) {
    return place.first == &section_ && place.second < end_;
  };
  CodePlace first{&section_, begin_};
  for (auto it = pre_.jump_labels.lower_bound(first);
       it != pre_.jump_labels.end() && in_range(it->first); ++it) {
    uint64_t offset = it->first.second - begin_;
    std::optional<uint32_t> run_offset = result_.run_offset(offset);
    if (!run_offset) return differ_at(offset, "a jump label is inside an instruction");
    auto run = tables_.jump_labels.find(addr_ + *run_offset);
    if (run == tables_.jump_labels.end()) {
      if (!tables_.found_jump_labels) continue;
      // Entries of discarded init code are zeroed only in memory, not in the file.
      return differ_at(offset, "the image has no jump label here");
    }
    pre_at_ = offset;
    run_at_ = *run_offset;
    if (run->second.branch != it->second.branch)
      return differ_at(offset, "the jump label's likely branch differs");
    const PreTarget& target = it->second.target;
    if (target.entity != nullptr && target.entity->section == &section_ &&
        target.entity->begin == begin_) {
      std::optional<uint32_t> expected = result_.run_offset(static_cast<uint64_t>(target.offset));
      if (!expected || addr_ + *expected != run->second.target)
        return differ_at(offset, "the jump label has another target");
    } else if (!refer(target, run->second.target)) {
      return false;
    }
    if (!refer(it->second.key, run->second.key)) return false;
  }
  for (auto it = pre_.exceptions.lower_bound(first);
       it != pre_.exceptions.end() && in_range(it->first) && tables_.found_exceptions; ++it) {
    uint64_t offset = it->first.second - begin_;
    std::optional<uint32_t> run_offset = result_.run_offset(offset);
    if (!run_offset) return differ_at(offset, "an exception entry is inside an instruction");
    auto run = tables_.exceptions.find(addr_ + *run_offset);
    if (run == tables_.exceptions.end())
      return differ_at(offset, "the image has no exception entry here");
    if (run->second.type != it->second.type)
      return differ_at(offset, "the exception entry is of another type");
    pre_at_ = offset;
    run_at_ = *run_offset;
    const PreTarget& fixup = it->second.fixup;
    if (fixup.entity != nullptr && fixup.entity->section == &section_ &&
        fixup.entity->begin == begin_) {
      std::optional<uint32_t> expected = result_.run_offset(static_cast<uint64_t>(fixup.offset));
      if (!expected || addr_ + *expected != run->second.fixup)
        return differ_at(offset, "the exception entry has another fixup");
    } else if (!refer(fixup, run->second.fixup)) {
      return false;
    }
  }
  uint64_t previous = UINT64_MAX;
  for (auto it = pre_.alternatives.lower_bound(first);
       it != pre_.alternatives.end() && in_range(it->first) && tables_.found_alternatives; ++it) {
    uint64_t offset = it->first.second - begin_;
    if (offset == previous) continue;
    previous = offset;
    std::optional<uint32_t> run_offset = result_.run_offset(offset);
    if (!run_offset) return differ_at(offset, "an alternative is inside an instruction");
    if (!check_alternatives(offset, *run_offset)) return false;
  }
  return true;
}

bool CodeWalk::check_alternatives(uint64_t pre_offset, uint64_t run_offset) {
  auto [entry, last] = pre_.alternatives.equal_range({&section_, begin_ + pre_offset});
  auto found = tables_.alternatives.find(addr_ + run_offset);
  size_t count = static_cast<size_t>(std::distance(entry, last));
  if (found == tables_.alternatives.end() || found->second.size() != count)
    return differ_at(pre_offset, "the image has other alternatives here");
  for (const RunAlternative& run : found->second) {
    const Alternative& pre = (entry++)->second;
    std::optional<uint32_t> run_end = result_.run_offset(pre_offset + pre.length);
    if (pre.feature != run.feature || !run_end || *run_end - run_offset != run.length ||
        pre.replacement_length != run.replacement_length)
      return differ_at(pre_offset, "an alternative has another feature or length");
    if (pre.replacement_length == 0) continue;
    Comparison code = matcher_.compare_snippet(*pre.section, pre.begin,
                                               pre.begin + pre.replacement_length, run.replacement);
    if (!code.same)
      return differ_at(pre_offset, "the replacement of an alternative: " + code.difference.what);
    for (Sighting sighting : code.sightings) {
      sighting.pre_offset = pre_offset;
      result_.sightings.push_back(sighting);
    }
    for (InnerReference inner : code.inner) {
      inner.pre_offset = pre_offset;
      if (inner.entity->section == &section_ && inner.entity->begin == begin_) {
        std::optional<uint32_t> expected = result_.run_offset(static_cast<uint64_t>(inner.offset));
        if (!expected || addr_ + *expected != inner.addr)
          return differ_at(pre_offset, "the replacement of an alternative jumps elsewhere");
        continue;
      }
      result_.inner.push_back(inner);
    }
    result_.merged.insert(result_.merged.end(), code.merged.begin(), code.merged.end());
  }
  return true;
}

std::optional<uint32_t> Comparison::run_offset(uint64_t pre_offset) const {
  auto found =
      std::lower_bound(map.begin(), map.end(), pre_offset,
                       [](const auto& pair, uint64_t value) { return pair.first < value; });
  if (found == map.end() || found->first != pre_offset) return std::nullopt;
  // With padding on one side only, the later of two run offsets is the instruction's.
  while (std::next(found) != map.end() && std::next(found)->first == pre_offset) ++found;
  return found->second;
}

Comparison Matcher::compare_code(const Entity& entity, uint64_t addr) const {
  return CodeWalk(*this, *entity.section, entity.begin, entity.end, addr).run();
}

Comparison Matcher::compare_snippet(const Section& section, uint64_t begin, uint64_t end,
                                    uint64_t addr) const {
  return CodeWalk(*this, section, begin, end, addr).run();
}

std::string Matcher::compare_merged(const Section& section, int64_t offset, uint64_t addr) const {
  if (offset < 0 || static_cast<uint64_t>(offset) >= section.data.size())
    return "a reference leads out of " + section.name;
  std::span<const uint8_t> pre = std::span(section.data).subspan(static_cast<uint64_t>(offset));
  uint64_t length;
  if (section.is_strings() && section.entsize <= 1) {
    auto zero = std::find(pre.begin(), pre.end(), 0);
    length = static_cast<uint64_t>(zero - pre.begin()) + 1;
  } else {
    uint64_t entry = std::max<uint64_t>(1, section.entsize);
    length = entry - static_cast<uint64_t>(offset) % entry;
    // Strings of wide characters end with a zero one.
    while (section.is_strings() && length <= pre.size() &&
           !std::all_of(pre.begin() + static_cast<long>(length - entry),
                        pre.begin() + static_cast<long>(length), [](uint8_t b) { return b == 0; }))
      length += entry;
  }
  length = std::min<uint64_t>(length, pre.size());
  auto run = image_.read(addr, length);
  if (run && std::equal(run->begin(), run->end(), pre.begin())) return "";
  if (!section.is_strings()) return fmt::format("a constant of {} bytes has another value", length);
  std::string text(reinterpret_cast<const char*>(pre.data()), length - 1);
  return fmt::format("the string \"{}\" has another content", text);
}

Comparison Matcher::compare_data(const Entity& entity, uint64_t addr) const {
  Comparison result;
  result.addr = addr;
  result.run_size = entity.end - entity.begin;
  auto fail = [&](uint64_t offset, const std::string& what) {
    result.difference = {offset, offset, what, entity.name()};
    return result;
  };
  const Section& section = *entity.section;
  auto run = image_.read(addr, result.run_size);
  if (!run) return fail(0, "the place has no data");
  std::span<const uint8_t> pre = std::span(section.data).subspan(entity.begin, result.run_size);
  uint64_t checked = 0;
  auto equal_until = [&](uint64_t end) {
    for (; checked < end; checked++)
      if (pre[checked] != (*run)[checked]) return false;
    return true;
  };
  auto relocation =
      std::lower_bound(section.relocations.begin(), section.relocations.end(), entity.begin,
                       [](const Relocation& item, uint64_t value) { return item.offset < value; });
  for (; relocation != section.relocations.end() && relocation->offset < entity.end; ++relocation) {
    uint64_t field = relocation->offset - entity.begin;
    unsigned size = reloc_size(relocation->type);
    if (size == 0) continue;
    if (!equal_until(field)) return fail(checked, "read-only data differs");
    if (field + size > pre.size() || size < 4) return fail(field, "a field is cut off");
    checked = field + size;
    int64_t value = read_field(run->subspan(field, size), size, reloc_is_signed(relocation->type));
    uint64_t target_addr = static_cast<uint64_t>(value);
    if (reloc_is_pc_relative(relocation->type)) target_addr += addr + field;
    PreTarget target = pre_.resolve(*relocation, nullptr);
    target_addr += static_cast<uint64_t>(target.bias);
    if (target.merged != nullptr) {
      std::string what = compare_merged(*target.merged, target.offset, target_addr);
      if (!what.empty()) return fail(field, what);
      result.merged.push_back({{target.merged, static_cast<uint64_t>(target.offset)}, target_addr});
      continue;
    }
    if (target.entity == nullptr) return fail(field, "a reference leads nowhere");
    if (target.entity->kind == Entity::Kind::Absolute) continue;
    bool is_code =
        target.entity->kind == Entity::Kind::Function || target.entity->kind == Entity::Kind::Code;
    if (is_code && target.offset != 0) {
      result.inner.push_back({target.entity, target.offset, target_addr, field});
    } else {
      result.sightings.push_back(
          {target.entity, target_addr - static_cast<uint64_t>(target.offset), field});
    }
  }
  if (!equal_until(pre.size())) return fail(checked, "read-only data differs");
  result.same = true;
  return result;
}

}  // namespace ksplice
