// Code: the streams of instructions of two functions, and what is no part of them (filling).
#include <algorithm>
#include <cstring>
#include <optional>

#include "objdiff/diff/compare.h"
#include "objdiff/diff/diff_refusals.h"

namespace ksplice {

namespace {

std::span<const uint8_t> bytes_of(const Section& section, const Instruction& instruction) {
  return std::span(section.data).subspan(instruction.offset, instruction.size);
}

// Several functions in one section: the assembler resolved branches between them, and what one
// gains or loses moves the others.
bool shares_section(const Atoms& atoms, const Section& section) {
  int functions = 0;
  for (const Atom* atom : atoms.in(&section))
    if (atom->is_function() && ++functions > 1) return true;
  return false;
}

}  // namespace

// The places in function's section of instructions that are filling, as compare.h says.
std::set<uint64_t> Comparer::find_filling(const Atoms& atoms, const SpecialTables& tables,
                                          const Atom& function) {
  const Section& section = *function.section;
  const std::vector<Instruction> code = decode_range(
      section.data, function.entry, std::min<uint64_t>(function.end(), section.data.size()));
  std::set<uint64_t> counts;  // what tables name
  for (const TableEntry& entry : tables.of(&function))
    if (entry.owner_offset >= 0) counts.insert(function.entry + entry.owner_offset);
  const std::vector<uint64_t>& references = referenced(&atoms == &post_, function);
  std::set<uint64_t> targets(references.begin(), references.end());
  for (const Instruction& instruction : code)
    if (instruction.is_branch() && instruction.target >= 0)
      targets.insert(static_cast<uint64_t>(instruction.target));
  std::set<uint64_t> filling;
  bool reached = true;  // whether execution can come to the instruction
  for (size_t i = 0; i < code.size();) {
    if (!code[i].is_padding() || counts.contains(code[i].offset)) {
      // Behind the ud2 of a warning, which a table names, the code goes on.
      reached = !code[i].ends_flow() || counts.contains(code[i].offset);
      ++i;
      continue;
    }
    size_t end = i;
    bool nops = true;
    while (end < code.size() && code[end].is_padding() && !counts.contains(code[end].offset)) {
      if (targets.contains(code[end].offset)) {
        if (end > i) break;
        reached = true;
      }
      nops = nops && code[end].kind == InstructionKind::Nop;
      ++end;
    }
    constexpr uint64_t LeastAlignment = 8;  // of what compilers align in a function
    const uint64_t place = code[end - 1].end(), size = place - code[i].offset;
    const uint64_t alignment = place & (~place + 1);
    if (!reached || (nops && alignment >= LeastAlignment && size < alignment))
      for (size_t at = i; at < end; ++at) filling.insert(code[at].offset);
    i = end;
  }
  return filling;
}

Comparer::Stream Comparer::stream(const Atoms& atoms, const Section& section, uint64_t begin,
                                  uint64_t end, const std::set<uint64_t>& filling) const {
  Stream result;
  result.begin = begin;
  result.index.assign(end - begin + 1, NoItem);
  const std::vector<Instruction>& all = atoms.code(section)->instructions();
  auto it = std::lower_bound(all.begin(), all.end(), begin,
                             [](const Instruction& i, uint64_t place) { return i.offset < place; });
  auto relocation = first_relocation(section, begin);
  for (; it != all.end() && it->offset < end; ++it) {
    result.index[it->offset - begin] = result.items.size();
    if (filling.contains(it->offset)) continue;
    CodeItem item;
    item.instruction = &*it;
    while (relocation != section.relocations.end() && relocation->offset < it->offset) ++relocation;
    for (auto next = relocation; next != section.relocations.end() && next->offset < it->end();
         ++next)
      (item.relocation[0] == nullptr ? item.relocation[0] : item.relocation[1]) = &*next;
    result.items.push_back(item);
  }
  result.index[end - begin] = result.items.size();
  return result;
}

bool Comparer::same_place(int64_t pre_offset, int64_t post_offset) const {
  if (pre_stream_ == nullptr || pre_offset < 0 || post_offset < 0) return pre_offset == post_offset;
  if (static_cast<uint64_t>(pre_offset) >= pre_stream_->index.size() ||
      static_cast<uint64_t>(post_offset) >= post_stream_->index.size())
    return pre_offset == post_offset;
  const uint32_t a = pre_stream_->index[pre_offset], b = post_stream_->index[post_offset];
  return a == b && a != NoItem;
}

Reference Comparer::branch_target(const Atoms& atoms, const Section& section,
                                  const CodeItem& item) const {
  if (item.relocation[0] != nullptr) return atoms.resolve(section, *item.relocation[0]);
  Reference reference;
  reference.pc_relative = true;
  const Instruction& instruction = *item.instruction;
  int64_t target = instruction.target;
  if (!instruction.is_branch()) {  // a rip-relative operand that the assembler resolved
    int32_t displacement = 0;
    std::memcpy(&displacement, section.data.data() + instruction.offset + instruction.disp_offset,
                sizeof displacement);
    target = static_cast<int64_t>(instruction.end()) + displacement;
  }
  reference.offset = target;
  if (target < 0) return reference;
  const Atom* self = &atoms == &pre_ ? pre_self_ : post_self_;
  if (self != nullptr && self->section == &section &&
      static_cast<uint64_t>(target) == self->end()) {
    reference.atom = self;
  } else {
    reference.atom = atoms.at(&section, static_cast<uint64_t>(target));
  }
  if (reference.atom != nullptr)
    reference.offset = target - static_cast<int64_t>(reference.atom->entry);
  return reference;
}

bool Comparer::same_branch(const Section& pre_section, const CodeItem& pre,
                           const Section& post_section, const CodeItem& post) {
  const Instruction &a = *pre.instruction, &b = *post.instruction;
  if (a.kind != b.kind) return false;
  const auto a_bytes = bytes_of(pre_section, a), b_bytes = bytes_of(post_section, b);
  if (a.kind == InstructionKind::CondJump) {
    const int condition = condition_code(pre_section.data, a);
    if (condition != condition_code(post_section.data, b)) return false;
    // loop and jrcxz have no long form: the opcode itself must be the same.
    if (condition < 0 && a_bytes[a.opcode_offset] != b_bytes[b.opcode_offset]) return false;
  }
  if (!std::equal(a_bytes.begin(), a_bytes.begin() + a.opcode_offset, b_bytes.begin(),
                  b_bytes.begin() + b.opcode_offset))
    return false;
  return same_reference(branch_target(pre_, pre_section, pre),
                        branch_target(post_, post_section, post));
}

bool Comparer::same_item(const Section& pre_section, const CodeItem& pre,
                         const Section& post_section, const CodeItem& post) {
  const Instruction &a = *pre.instruction, &b = *post.instruction;
  if (a.is_branch() || b.is_branch()) return same_branch(pre_section, pre, post_section, post);
  if (a.size != b.size || a.kind != b.kind) return false;
  std::vector<uint8_t> left(pre_section.data.begin() + a.offset,
                            pre_section.data.begin() + a.end());
  std::vector<uint8_t> right(post_section.data.begin() + b.offset,
                             post_section.data.begin() + b.end());
  for (int i = 0; i < 2; ++i) {
    if ((pre.relocation[i] == nullptr) != (post.relocation[i] == nullptr)) return false;
    if (pre.relocation[i] == nullptr) continue;
    const Relocation &x = *pre.relocation[i], &y = *post.relocation[i];
    const uint64_t at = x.offset - a.offset;
    if (at != y.offset - b.offset || x.type != y.type) return false;
    for (uint64_t byte = at; byte < std::min<uint64_t>(at + reloc_size(x.type), a.size); ++byte)
      left[byte] = right[byte] = 0;
    if (!same_reference(pre_.resolve(pre_section, x), post_.resolve(post_section, y))) return false;
  }
  if (a.rip_relative && b.rip_relative && pre.relocation[0] == nullptr && a.disp_size == 4 &&
      a.disp_offset == b.disp_offset) {
    std::fill_n(left.begin() + a.disp_offset, 4, 0);
    std::fill_n(right.begin() + b.disp_offset, 4, 0);
    if (!same_reference(branch_target(pre_, pre_section, pre),
                        branch_target(post_, post_section, post)))
      return false;
  }
  return left == right;
}

bool Comparer::same_range(const Section& pre_section, uint64_t pre_begin, uint64_t pre_end,
                          const Section& post_section, uint64_t post_begin, uint64_t post_end) {
  const Stream a = stream(pre_, pre_section, pre_begin, pre_end);
  const Stream b = stream(post_, post_section, post_begin, post_end);
  if (a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    // A branch inside the range leads to the same place of it.
    const Instruction &x = *a.items[i].instruction, &y = *b.items[i].instruction;
    if (x.is_branch() && y.is_branch() && a.items[i].relocation[0] == nullptr &&
        b.items[i].relocation[0] == nullptr) {
      if (!std::ranges::equal(bytes_of(pre_section, x), bytes_of(post_section, y))) return false;
      continue;
    }
    if (!same_item(pre_section, a.items[i], post_section, b.items[i])) return false;
  }
  return true;
}

// Code that a function leaves to and comes back from (.altinstr_aux, .fixup): up to its last jump.
bool Comparer::same_outside_code(const Section& pre, uint64_t pre_offset, const Section& post,
                                 uint64_t post_offset) {
  auto end_of = [](const Section& section, uint64_t offset) {
    while (offset < section.data.size()) {
      const std::optional<Instruction> instruction = decode_instruction(section.data, offset);
      if (!instruction) break;
      offset = instruction->end();
      if (instruction->ends_flow()) break;
    }
    return std::min<uint64_t>(offset, section.data.size());
  };
  if (pre_offset > pre.data.size() || post_offset > post.data.size()) return false;
  return same_range(pre, pre_offset, end_of(pre, pre_offset), post, post_offset,
                    end_of(post, post_offset));
}

// Equal bytes and relocations at equal places: only the references need a look. Sets
// differs_in_layout when that is not so.
Difference Comparer::same_layout_code(const Atom& pre, const Atom& post, bool& differs_in_layout) {
  differs_in_layout = true;
  const Section &a = *pre.section, &b = *post.section;
  const uint64_t size = pre.end() - pre.entry;
  if (size != post.end() - post.entry || pre.end() > a.data.size() || post.end() > b.data.size())
    return {};
  if (!std::equal(a.data.begin() + pre.entry, a.data.begin() + pre.end(),
                  b.data.begin() + post.entry))
    return {};
  if (shares_section(pre_, a) || shares_section(post_, b)) return {};
  auto x = first_relocation(a, pre.entry), y = first_relocation(b, post.entry);
  auto x_end = first_relocation(a, pre.end()), y_end = first_relocation(b, post.end());
  if (x_end - x != y_end - y) return {};
  const bool shape = std::equal(x, x_end, y, [&](const Relocation& l, const Relocation& r) {
    return l.offset - pre.entry == r.offset - post.entry && l.type == r.type;
  });
  if (!shape) return {};
  differs_in_layout = false;
  for (; x != x_end; ++x, ++y) {
    failed_constant_ = nullptr;
    if (same_reference(pre_.resolve(a, *x), post_.resolve(b, *y))) continue;
    const Instruction* l = pre_.code(a)->at(x->offset);
    const Instruction* r = post_.code(b)->at(y->offset);
    return difference_at(pre, l != nullptr ? l->offset - pre.entry : x->offset - pre.entry, post,
                         r != nullptr ? r->offset - post.entry : y->offset - post.entry);
  }
  return {};
}

// Whether item jumps to another place of function or of its fragments.
bool Comparer::jumps_inside(const Atoms& atoms, const Section& section, const CodeItem& item,
                            const Atom& function) const {
  const InstructionKind kind = item.instruction->kind;
  if (kind != InstructionKind::Jump && kind != InstructionKind::CondJump) return false;
  const Atom* target = branch_target(atoms, section, item).atom;
  if (target == nullptr) return false;
  auto whole = [](const Atom& atom) {
    const std::string parent = fragment_parent(atom.name);
    return parent.empty() ? atom.name : parent;
  };
  return target == &function || whole(*target) == whole(function);
}

Difference Comparer::functions(const Atom& pre, const Atom& post) {
  pre_self_ = &pre;
  post_self_ = &post;
  start_holder_ = is_init_section(pre.section->name);
  pre_stream_ = post_stream_ = nullptr;
  bool differs_in_layout = false;
  Difference difference = same_layout_code(pre, post, differs_in_layout);
  if (!differs_in_layout) {
    if (!difference) difference = special_entries(pre, post);
    pre_self_ = post_self_ = nullptr;
    return difference;
  }
  const bool shared = shares_section(pre_, *pre.section) || shares_section(post_, *post.section);
  const Stream a =
      stream(pre_, *pre.section, pre.entry, std::min<uint64_t>(pre.end(), pre.section->data.size()),
             shared ? find_filling(pre_, pre_tables_, pre) : std::set<uint64_t>());
  const Stream b = stream(post_, *post.section, post.entry,
                          std::min<uint64_t>(post.end(), post.section->data.size()),
                          shared ? find_filling(post_, post_tables_, post) : std::set<uint64_t>());
  pre_stream_ = &a;
  post_stream_ = &b;
  auto place = [](const Stream& stream, size_t i) {
    return i < stream.items.size() ? stream.items[i].instruction->offset - stream.begin
                                   : stream.index.size() - 1;
  };
  for (size_t i = 0; i < std::max(a.items.size(), b.items.size()); ++i) {
    failed_constant_ = nullptr;
    const bool both = i < a.items.size() && i < b.items.size();
    if (both && same_item(*pre.section, a.items[i], *post.section, b.items[i])) continue;
    // A jump over what changed says less about it than what changed itself.
    const bool jump = both && jumps_inside(pre_, *pre.section, a.items[i], pre) &&
                      jumps_inside(post_, *post.section, b.items[i], post) &&
                      a.items[i].instruction->kind == b.items[i].instruction->kind;
    if (!difference || !jump) difference = difference_at(pre, place(a, i), post, place(b, i));
    if (!jump) break;
  }
  if (!difference) difference = special_entries(pre, post);
  pre_self_ = post_self_ = nullptr;
  pre_stream_ = post_stream_ = nullptr;
  return difference;
}

}  // namespace ksplice
