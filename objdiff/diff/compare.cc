#include "objdiff/diff/compare.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "objdiff/diff/line_numbers.h"
#include "objdiff/object/dwarf.h"

namespace ksplice {

namespace {

// Written by objtool from the code, or about other things than the function's own behaviour.
bool is_derived_table(const std::string& name) {
  return name == ".orc_unwind_ip" || name == ".ibt_endbr_seal" || name == "__mcount_loc" ||
         name == "__patchable_function_entries";
}

std::vector<Relocation>::const_iterator first_relocation(const Section& section, uint64_t offset) {
  return std::lower_bound(section.relocations.begin(), section.relocations.end(), offset,
                          [](const Relocation& r, uint64_t place) { return r.offset < place; });
}

bool same_relocation_shape(const Relocation& a, const Relocation& b) {
  return reloc_size(a.type) == reloc_size(b.type) &&
         reloc_is_pc_relative(a.type) == reloc_is_pc_relative(b.type);
}

bool is_value_kind(const Atom& atom) {
  return atom.kind == AtomKind::String || atom.kind == AtomKind::Constant ||
         atom.kind == AtomKind::Anonymous || is_local_constant(atom);
}

std::span<const uint8_t> bytes_of(const Section& section, const Instruction& instruction) {
  return std::span(section.data).subspan(instruction.offset, instruction.size);
}

// A push of an immediate.
bool is_push(const Section& section, const CodeItem& item) {
  const uint8_t opcode = section.data[item.instruction->offset];
  return (opcode == 0x68 || opcode == 0x6a) && item.relocation[0] == nullptr;
}

// Several functions in one section: the assembler resolved branches between them.
bool shares_section(const Atoms& atoms, const Section& section) {
  int functions = 0;
  for (const Atom* atom : atoms.in(&section))
    if (atom->is_function() && ++functions > 1) return true;
  return false;
}

// What a person knows a constant by: the text of a string, else its name.
std::string constant_text(const Atom& atom) {
  if (atom.kind != AtomKind::String) return atom.name;
  constexpr uint64_t Shown = 60;
  const std::vector<uint8_t>& data = atom.section->data;
  std::string text = "\"";
  for (uint64_t i = 0; i < std::min(atom.size - 1, Shown); ++i) {
    const char c = static_cast<char>(data[atom.offset + i]);
    text += c >= ' ' && c < 127 ? c : '.';
  }
  return text + '"';
}

std::string reference_text(const Reference& reference) {
  std::string text;
  if (reference.atom != nullptr)
    text = constant_text(*reference.atom);
  else if (reference.symbol != nullptr)
    text = reference.symbol->name;
  if (reference.offset > 0) text += fmt::format("+{:#x}", reference.offset);
  if (reference.offset < 0) text += fmt::format("-{:#x}", -reference.offset);
  return text;
}

// The instruction at place, from the function's entry, with what its relocations mean:
// "callq <tcp_drop>". "the end of f" behind the last one.
std::string code_text(const Atoms& atoms, const Atom& function, uint64_t place) {
  const Section& section = *function.section;
  const uint64_t at = function.entry + place;
  if (at >= std::min<uint64_t>(function.end(), section.data.size()))
    return fmt::format("the end of {}", function.name);
  const std::optional<Instruction> instruction = decode_instruction(section.data, at);
  const uint64_t size =
      std::min<uint64_t>(instruction ? instruction->size : 1, section.data.size() - at);
  std::string text = instruction_text(std::span(section.data).subspan(at, size), place);
  auto relocation = first_relocation(section, at);
  if (instruction && instruction->is_branch() && relocation != section.relocations.end() &&
      relocation->offset < at + size)
    text = text.substr(0, text.find(' '));  // the target as encoded says nothing
  for (; relocation != section.relocations.end() && relocation->offset < at + size; ++relocation)
    text += fmt::format(" <{}>", reference_text(atoms.resolve(section, *relocation)));
  return text;
}

}  // namespace

bool is_local_constant(const Atom& atom) {
  return atom.kind == AtomKind::Data && atom.symbol != nullptr && atom.symbol->bind == STB_LOCAL &&
         !atom.section->is_write() && !atom.section->is_exec() &&
         (atom.section->name.starts_with(".rodata") ||
          atom.section->name.starts_with(".data.rel.ro"));
}

Comparer::Comparer(const Atoms& pre, const Atoms& post, const Correlation& correlation,
                   const SpecialTables& pre_tables, const SpecialTables& post_tables,
                   const CodeTables& pre_code_tables, const CodeTables& post_code_tables,
                   const DebugInfo* pre_debug, const DebugInfo* post_debug)
    : pre_(pre),
      post_(post),
      correlation_(correlation),
      pre_tables_(pre_tables),
      post_tables_(post_tables),
      pre_code_tables_(pre_code_tables),
      post_code_tables_(post_code_tables),
      pre_debug_(pre_debug),
      post_debug_(post_debug) {}

Comparer::Stream Comparer::stream(const Atoms& atoms, const Section& section, uint64_t begin,
                                  uint64_t end, const std::set<uint64_t>& pinned) const {
  Stream result;
  result.begin = begin;
  result.index.assign(end - begin + 1, NoItem);
  const std::vector<Instruction>& all = atoms.code(section)->instructions();
  auto it = std::lower_bound(all.begin(), all.end(), begin,
                             [](const Instruction& i, uint64_t place) { return i.offset < place; });
  auto relocation = first_relocation(section, begin);
  std::vector<uint64_t> padding;
  for (; it != all.end() && it->offset < end; ++it) {
    if (it->is_padding() && !pinned.contains(it->offset)) {
      padding.push_back(it->offset - begin);
      continue;
    }
    for (uint64_t place : padding) result.index[place] = result.items.size();
    padding.clear();
    result.index[it->offset - begin] = result.items.size();
    CodeItem item;
    item.instruction = &*it;
    while (relocation != section.relocations.end() && relocation->offset < it->offset) ++relocation;
    for (auto next = relocation; next != section.relocations.end() && next->offset < it->end();
         ++next)
      (item.relocation[0] == nullptr ? item.relocation[0] : item.relocation[1]) = &*next;
    result.items.push_back(item);
  }
  for (uint64_t place : padding) result.index[place] = result.items.size();
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

bool Comparer::same_reference(const Reference& pre, const Reference& post) {
  if (pre.atom == nullptr || post.atom == nullptr) {
    if (pre.atom != post.atom) return false;
    if (pre.symbol == nullptr || post.symbol == nullptr)
      return pre.symbol == post.symbol && pre.offset == post.offset;
    const std::string& a = pre.symbol->is_section() ? pre.symbol->section->name : pre.symbol->name;
    const std::string& b =
        post.symbol->is_section() ? post.symbol->section->name : post.symbol->name;
    return a == b && pre.offset == post.offset;
  }
  if (pre.atom == pre_self_ || post.atom == post_self_) {
    if (pre.atom == pre_self_ && post.atom == post_self_)
      return same_place(pre.offset, post.offset);
    if (correlation_.pre(post.atom) != pre.atom) return false;
  }
  if (correlation_.pre(post.atom) == pre.atom && !is_own_table(*pre.atom, *post.atom))
    return pre.offset == post.offset;
  if (pre.atom->kind == AtomKind::Special && post.atom->kind == AtomKind::Special) {
    if (pre.atom->section->name != post.atom->section->name) return false;
    if (!pre.atom->section->is_exec()) return true;  // a symbol in a table that is dropped
    return same_outside_code(*pre.atom->section, pre.offset, *post.atom->section, post.offset);
  }
  if (is_value_kind(*pre.atom) && is_value_kind(*post.atom)) {
    if (same_value(*pre.atom, pre.offset, *post.atom, post.offset)) return true;
    if (failed_constant_ == nullptr) {
      failed_constant_ = post.atom;
      failed_constant_pre_ = pre.atom;
    }
  }
  return false;
}

// A table of labels of the functions being compared: equal if it leads to the same instructions.
bool Comparer::is_own_table(const Atom& pre, const Atom& post) const {
  if (pre_self_ == nullptr || pre.kind != AtomKind::Data || post.kind != AtomKind::Data)
    return false;
  const std::string pre_owner = pre_code_tables_.owner(pre);
  return !pre_owner.empty() && !post_code_tables_.owner(post).empty();
}

bool Comparer::same_string(const Atom& pre, uint64_t pre_place, const Atom& post,
                           uint64_t post_place) const {
  // One past the end ("" + 1): of equal strings the same place.
  if (pre_place == pre.end() && post_place == post.end() && pre.size == post.size)
    pre_place = pre.entry, post_place = post.entry;
  const std::vector<uint8_t>&a = pre.section->data, &b = post.section->data;
  const uint64_t a_end = std::min<uint64_t>(pre.end(), a.size());
  const uint64_t b_end = std::min<uint64_t>(post.end(), b.size());
  const bool strings = pre.kind == AtomKind::String && post.kind == AtomKind::String;
  if (strings && (pre.section->entsize != 1 || post.section->entsize != 1))
    return a_end - pre_place == b_end - post_place &&
           std::equal(a.begin() + pre_place, a.begin() + a_end, b.begin() + post_place);
  auto text = [](const std::vector<uint8_t>& data, uint64_t begin, uint64_t end) {
    const uint8_t* first = data.data() + begin;
    const void* zero = begin < end ? std::memchr(first, 0, end - begin) : nullptr;
    if (zero == nullptr) return std::optional<std::string_view>();
    return std::optional(std::string_view(reinterpret_cast<const char*>(first),
                                          static_cast<const uint8_t*>(zero) - first));
  };
  const auto left = text(a, pre_place, a_end), right = text(b, post_place, b_end);
  return left && right && same_text_but_line(*left, *right);
}

// Where the anonymous thing at place ends at the latest: at the next place that is referred to.
uint64_t Comparer::extent(bool post, const Atom& atom, uint64_t place) {
  if (atom.kind != AtomKind::Anonymous) return atom.end();
  if (!referenced_done_[post]) {
    referenced_done_[post] = true;
    const Atoms& atoms = post ? post_ : pre_;
    for (const auto& section : atoms.object().sections) {
      if (!section->is_alloc() && !section->is_exec()) continue;
      for (const Relocation& relocation : section->relocations) {
        const Reference reference = atoms.resolve(*section, relocation);
        if (reference.atom != nullptr && reference.atom->kind == AtomKind::Anonymous)
          referenced_[post][reference.atom].push_back(reference.atom->entry + reference.offset);
      }
    }
    for (auto& [target, places] : referenced_[post]) std::sort(places.begin(), places.end());
  }
  const std::vector<uint64_t>& places = referenced_[post][&atom];
  auto next = std::upper_bound(places.begin(), places.end(), place);
  return next == places.end() || *next > atom.end() ? atom.end() : *next;
}

bool Comparer::same_value(const Atom& pre, int64_t pre_offset, const Atom& post,
                          int64_t post_offset) {
  // A cycle of references is the same as long as nothing else says otherwise.
  const auto key = std::make_tuple(&pre, pre_offset, &post, post_offset);
  if (!in_progress_.insert(key).second) return true;
  auto compare = [&] {
    if (pre.section->is_write() != post.section->is_write()) return false;
    if (pre_offset < 0 || post_offset < 0 || static_cast<uint64_t>(pre_offset) > pre.size ||
        static_cast<uint64_t>(post_offset) > post.size) {
      if (pre_offset != post_offset || pre.size != post.size) return false;
      return same_content(*pre.section, pre.offset, *post.section, post.offset, pre.size, {});
    }
    const uint64_t pre_place = pre.entry + pre_offset, post_place = post.entry + post_offset;
    if (pre.kind == AtomKind::String || post.kind == AtomKind::String)
      return same_string(pre, pre_place, post, post_place);
    if (pre.kind == AtomKind::Data && post.kind == AtomKind::Data) {
      if (pre_offset != post_offset || pre.size != post.size) return false;
      return same_content(*pre.section, pre.offset, *post.section, post.offset, pre.size,
                          line_fields(post_, post));
    }
    // The rest of the gap, or at least up to what is referred to next.
    uint64_t size = pre.end() - pre_place;
    const std::vector<std::pair<uint64_t, uint64_t>> lines = line_fields(post_, post);
    if (size == post.end() - post_place &&
        same_content(*pre.section, pre_place, *post.section, post_place, size,
                     pre_offset == 0 && post_offset == 0
                         ? lines
                         : std::vector<std::pair<uint64_t, uint64_t>>()))
      return true;
    size = extent(false, pre, pre_place) - pre_place;
    const uint64_t post_size = extent(true, post, post_place) - post_place;
    if (size != post_size) {
      if (pre.kind != AtomKind::Constant && post.kind != AtomKind::Constant) return false;
      size = std::min(size, post_size);  // .rodata.cst8 against a literal in .rodata
    }
    return same_content(*pre.section, pre_place, *post.section, post_place, size, {});
  };
  const bool same = compare();
  in_progress_.erase(key);
  return same;
}

// An entry of a relative jump table: ".long .L5 - .Ltable" is relocated as PC-relative with the
// entry's distance from the table's start added.
bool Comparer::same_table_target(const Section& pre, const Relocation& pre_entry,
                                 const Section& post, const Relocation& post_entry,
                                 uint64_t distance) {
  if (pre.is_exec() || distance == 0 || !reloc_is_pc_relative(pre_entry.type)) return false;
  if (is_special_section(pre)) return false;
  Relocation a = pre_entry, b = post_entry;
  a.addend -= static_cast<int64_t>(distance);
  b.addend -= static_cast<int64_t>(distance);
  const Reference x = pre_.resolve(pre, a), y = post_.resolve(post, b);
  return x.atom != nullptr && x.atom == pre_self_ && y.atom == post_self_ && same_reference(x, y);
}

bool Comparer::same_content(const Section& pre, uint64_t pre_begin, const Section& post,
                            uint64_t post_begin, uint64_t size,
                            const std::vector<std::pair<uint64_t, uint64_t>>& masked,
                            bool skip_first_relocation) {
  if ((pre.type == SHT_NOBITS) != (post.type == SHT_NOBITS)) {
    // Explicit zeros against bss.
    const Section& full = pre.type == SHT_NOBITS ? post : pre;
    const uint64_t begin = pre.type == SHT_NOBITS ? post_begin : pre_begin;
    if (begin + size > full.data.size()) return false;
    auto relocation = first_relocation(full, begin);
    if (relocation != full.relocations.end() && relocation->offset < begin + size) return false;
    return std::all_of(full.data.begin() + begin, full.data.begin() + begin + size,
                       [](uint8_t byte) { return byte == 0; });
  }
  if (pre.type == SHT_NOBITS) return true;
  if (pre_begin + size > pre.data.size() || post_begin + size > post.data.size()) return false;
  auto a = first_relocation(pre, pre_begin), b = first_relocation(post, post_begin);
  uint64_t done = 0;
  auto fail_at = [this](uint64_t at) {
    failed_at_ = at;
    return false;
  };
  auto bytes_equal = [&](uint64_t from, uint64_t to) {
    for (uint64_t at = from; at < to; ++at) {
      if (pre.data[pre_begin + at] == post.data[post_begin + at]) continue;
      const bool line = std::any_of(masked.begin(), masked.end(), [at](const auto& range) {
        return at >= range.first && at < range.second;
      });
      if (!line) return fail_at(at);
    }
    return true;
  };
  bool first = true;
  while (true) {
    const bool a_end = a == pre.relocations.end() || a->offset >= pre_begin + size;
    const bool b_end = b == post.relocations.end() || b->offset >= post_begin + size;
    if (a_end && b_end) break;
    const uint64_t a_at = a_end ? size : a->offset - pre_begin;
    const uint64_t at = std::min(a_at, b_end ? size : b->offset - post_begin);
    if (at < done) return fail_at(at);
    if (!bytes_equal(done, at)) return false;
    if (a_end || b_end || a_at != at || b->offset - post_begin != at ||
        !same_relocation_shape(*a, *b))
      return fail_at(at);
    const bool skip = first && skip_first_relocation;
    first = false;
    if (!skip && !same_reference(pre_.resolve(pre, *a), post_.resolve(post, *b)) &&
        !same_table_target(pre, *a, post, *b, at))
      return fail_at(at);
    done = std::min<uint64_t>(at + reloc_size(a->type), size);
    ++a, ++b;
  }
  return bytes_equal(done, size);
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

bool Comparer::is_line_change(const Section& pre_section, const Stream& pre_stream,
                              size_t pre_index, const Section& post_section,
                              const Stream& post_stream, size_t post_index) {
  const Instruction& a = *pre_stream.items[pre_index].instruction;
  const Instruction& b = *post_stream.items[post_index].instruction;
  ImmediateLoad pre_load, post_load;
  if (!is_immediate_load(bytes_of(pre_section, a), a, pre_load) ||
      !is_immediate_load(bytes_of(post_section, b), b, post_load))
    return false;
  if (pre_load.argument != post_load.argument || pre_load.offset != post_load.offset) return false;
  if (prepares_line_argument(pre_, pre_section, pre_stream.items, pre_index, pre_load) &&
      prepares_line_argument(post_, post_section, post_stream.items, post_index, post_load))
    return true;
  if (pre_debug_ == nullptr || post_debug_ == nullptr) return false;
  // The line table has the first line of a call where __LINE__ may be its last, or the other way
  // round: both objects must agree on the distance.
  constexpr int MaxLines = 6;
  for (int distance = -MaxLines; distance <= MaxLines; ++distance)
    if (pre_debug_->has_line(&pre_section, pre_stream.begin,
                             pre_stream.begin + pre_stream.index.size() - 1,
                             pre_load.value + distance, a.offset) &&
        post_debug_->has_line(&post_section, post_stream.begin,
                              post_stream.begin + post_stream.index.size() - 1,
                              post_load.value + distance, b.offset))
      return true;
  return false;
}

bool Comparer::same_item(const Section& pre_section, const Stream& pre_stream, size_t pre_index,
                         const Section& post_section, const Stream& post_stream,
                         size_t post_index) {
  const CodeItem& pre = pre_stream.items[pre_index];
  const CodeItem& post = post_stream.items[post_index];
  const Instruction &a = *pre.instruction, &b = *post.instruction;
  if (a.is_branch() || b.is_branch()) return same_branch(pre_section, pre, post_section, post);
  if (is_push(pre_section, pre) && is_push(post_section, post) &&
      !std::ranges::equal(bytes_of(pre_section, a), bytes_of(post_section, b)))
    return is_line_change(pre_section, pre_stream, pre_index, post_section, post_stream,
                          post_index);  // short below 128, long above
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
    if (at != y.offset - b.offset || !same_relocation_shape(x, y)) return false;
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
  if (left == right) return true;
  if (a.imm_size != 4 || b.imm_size != 4 || a.imm_offset != b.imm_offset) return false;
  std::fill_n(left.begin() + a.imm_offset, 4, 0);
  std::fill_n(right.begin() + b.imm_offset, 4, 0);
  return left == right &&
         is_line_change(pre_section, pre_stream, pre_index, post_section, post_stream, post_index);
}

bool Comparer::same_range(const Section& pre_section, uint64_t pre_begin, uint64_t pre_end,
                          const Section& post_section, uint64_t post_begin, uint64_t post_end) {
  const Stream a = stream(pre_, pre_section, pre_begin, pre_end, {});
  const Stream b = stream(post_, post_section, post_begin, post_end, {});
  if (a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    const Instruction &x = *a.items[i].instruction, &y = *b.items[i].instruction;
    // Branches inside the range.
    if (x.is_branch() && y.is_branch() && a.items[i].relocation[0] == nullptr &&
        b.items[i].relocation[0] == nullptr) {
      if (x.kind != y.kind ||
          x.target - static_cast<int64_t>(pre_begin) != y.target - static_cast<int64_t>(post_begin))
        return false;
      continue;
    }
    if (!same_item(pre_section, a, i, post_section, b, i)) return false;
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

bool Comparer::same_entry(const TableEntry& pre, const TableEntry& post) {
  if (pre.size != post.size || pre.section->name != post.section->name) return false;
  if (!same_place(pre.owner_offset, post.owner_offset)) return false;
  std::vector<std::pair<uint64_t, uint64_t>> masked;
  if (post.section->name == "__bug_table" && post.size >= 12) {
    // The line follows the addresses: struct bug_entry { bug_addr, [format,] file, line, flags }.
    masked.emplace_back(post.size - 4, post.size - 2);
    if (post.size == 24) masked.assign(1, {16, 18});
  }
  if (post.section->name == ".altinstructions") {
    // { instr_offset, repl_offset, cpuid/flags, instrlen, replacementlen [, padlen] }
    auto a = first_relocation(*pre.section, pre.offset + 4);
    auto b = first_relocation(*post.section, post.offset + 4);
    const bool has_a = a != pre.section->relocations.end() && a->offset == pre.offset + 4;
    const bool has_b = b != post.section->relocations.end() && b->offset == post.offset + 4;
    if (has_a != has_b) return false;
    const uint64_t skip = 8;
    if (!std::equal(pre.section->data.begin() + pre.offset + skip,
                    pre.section->data.begin() + pre.offset + pre.size,
                    post.section->data.begin() + post.offset + skip))
      return false;
    if (!has_a) return true;
    const Reference x = pre_.resolve(*pre.section, *a), y = post_.resolve(*post.section, *b);
    if (x.atom == nullptr || y.atom == nullptr || x.offset < 0 || y.offset < 0) return false;
    const uint64_t length_at = post.size == 13 ? 11 : post.size - 1;
    const uint64_t length = post.section->data[post.offset + length_at];
    const uint64_t begin = x.atom->entry + x.offset, post_begin = y.atom->entry + y.offset;
    if (!x.atom->section->is_exec() || !y.atom->section->is_exec() ||
        begin + length > x.atom->section->data.size() ||
        post_begin + length > y.atom->section->data.size())
      return false;
    return same_range(*x.atom->section, begin, begin + length, *y.atom->section, post_begin,
                      post_begin + length);
  }
  return same_content(*pre.section, pre.offset, *post.section, post.offset, post.size, masked,
                      /*skip_first_relocation=*/true);
}

Difference Comparer::special_entries(const Atom& pre, const Atom& post) {
  auto relevant = [](const std::vector<TableEntry>& all) {
    std::vector<TableEntry> result;
    for (const TableEntry& entry : all)
      if (!is_derived_table(entry.section->name)) result.push_back(entry);
    return result;
  };
  const std::vector<TableEntry> a = relevant(pre_tables_.of(&pre));
  const std::vector<TableEntry> b = relevant(post_tables_.of(&post));
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i < a.size() && i < b.size() && same_entry(a[i], b[i])) continue;
    const TableEntry& entry = i < b.size() ? b[i] : a[i];
    Difference difference;
    difference.kind = DifferenceKind::Special;
    difference.detail = entry.section->name;
    difference.offset = i < b.size() && entry.owner_offset > 0 ? entry.owner_offset : 0;
    difference.pre_offset = i < a.size() && a[i].owner_offset > 0 ? a[i].owner_offset : 0;
    return difference;
  }
  return {};
}

Difference Comparer::difference_at(const Atom& pre, uint64_t pre_place, const Atom& post,
                                   uint64_t post_place) const {
  Difference difference;
  difference.kind = DifferenceKind::Code;
  difference.pre_offset = pre_place;
  difference.offset = post_place;
  if (failed_constant_ != nullptr) {
    difference.kind = DifferenceKind::Constant;
    difference.detail = constant_text(*failed_constant_);
    difference.before = constant_text(*failed_constant_pre_);
  } else {
    difference.detail = code_text(post_, post, post_place);
    difference.before = code_text(pre_, pre, pre_place);
  }
  return difference;
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
    return l.offset - pre.entry == r.offset - post.entry && same_relocation_shape(l, r);
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
  pre_stream_ = post_stream_ = nullptr;
  bool differs_in_layout = false;
  Difference difference = same_layout_code(pre, post, differs_in_layout);
  if (!differs_in_layout) {
    if (!difference) difference = special_entries(pre, post);
    pre_self_ = post_self_ = nullptr;
    return difference;
  }
  auto pinned = [](const SpecialTables& tables, const Atom& atom) {
    std::set<uint64_t> result;
    for (const TableEntry& entry : tables.of(&atom))
      if (entry.owner_offset >= 0) result.insert(atom.entry + entry.owner_offset);
    return result;
  };
  const Stream a =
      stream(pre_, *pre.section, pre.entry, std::min<uint64_t>(pre.end(), pre.section->data.size()),
             pinned(pre_tables_, pre));
  const Stream b =
      stream(post_, *post.section, post.entry,
             std::min<uint64_t>(post.end(), post.section->data.size()), pinned(post_tables_, post));
  pre_stream_ = &a;
  post_stream_ = &b;
  auto place = [](const Stream& stream, size_t i) {
    return i < stream.items.size() ? stream.items[i].instruction->offset - stream.begin
                                   : stream.index.size() - 1;
  };
  for (size_t i = 0; i < std::max(a.items.size(), b.items.size()); ++i) {
    failed_constant_ = nullptr;
    const bool both = i < a.items.size() && i < b.items.size();
    if (both && same_item(*pre.section, a, i, *post.section, b, i)) continue;
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

namespace {

// A pointer that is relocated, or a null one.
bool is_pointer(const Section& section, uint64_t place) {
  auto relocation = first_relocation(section, place);
  if (relocation != section.relocations.end() && relocation->offset < place + 8)
    return relocation->offset == place && relocation->type == R_X86_64_64;
  return section.type != SHT_NOBITS && place + 8 <= section.data.size() &&
         std::all_of(section.data.begin() + place, section.data.begin() + place + 8,
                     [](uint8_t byte) { return byte == 0; });
}

}  // namespace

std::vector<uint64_t> Comparer::changed_pointers(const Atom& pre, const Atom& post) {
  if (pre.size != post.size || pre.offset % 8 != 0 || post.offset % 8 != 0) return {};
  if (pre.section->name.starts_with(".data..percpu")) return {};        // one for each processor
  if (leads_inside(pre_, pre) || leads_inside(post_, post)) return {};  // of one body only
  std::vector<uint64_t> offsets;
  for (uint64_t at = 0; at < pre.size; at += 8) {
    const uint64_t size = std::min<uint64_t>(8, pre.size - at);
    if (same_content(*pre.section, pre.offset + at, *post.section, post.offset + at, size, {}))
      continue;
    if (size < 8 || !is_pointer(*pre.section, pre.offset + at) ||
        !is_pointer(*post.section, post.offset + at))
      return {};
    offsets.push_back(at);
  }
  return offsets;
}

Difference Comparer::data(const Atom& pre, const Atom& post) {
  Difference difference;
  const uint64_t size = std::min(pre.size, post.size);
  failed_at_ = 0;
  const bool same = same_content(*pre.section, pre.offset, *post.section, post.offset, size,
                                 line_fields(post_, post));
  if (same && pre.size == post.size) return difference;
  difference.kind = DifferenceKind::Constant;
  difference.detail = post.name;
  difference.offset = difference.pre_offset = same ? size : failed_at_;
  return difference;
}

}  // namespace ksplice
