// Values: what references mean, strings, constants, the content of data.
#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "objdiff/diff/compare.h"
#include "objdiff/diff/diff_refusals.h"

namespace ksplice {

namespace {

bool is_value_kind(const Atom& atom) {
  return atom.kind == AtomKind::String || atom.kind == AtomKind::Constant ||
         atom.kind == AtomKind::Anonymous || is_local_constant(atom);
}

// The zero-terminated text at begin, up to end.
std::optional<std::string_view> text_at(const std::vector<uint8_t>& data, uint64_t begin,
                                        uint64_t end) {
  end = std::min<uint64_t>(end, data.size());
  const uint8_t* first = data.data() + begin;
  const void* zero = begin < end ? std::memchr(first, 0, end - begin) : nullptr;
  if (zero == nullptr) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(first),
                          static_cast<const uint8_t*>(zero) - first);
}

// Where the object that has the byte at place begins and ends, by the symbols in section.
std::pair<uint64_t, uint64_t> named_extent(const Atom& special, uint64_t place) {
  for (const Symbol* symbol : special.aliases)
    if (symbol->size > 0 && place >= symbol->value && place < symbol->value + symbol->size)
      return {symbol->value, symbol->value + symbol->size};
  return {0, special.section->size};
}

}  // namespace

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
  if (is_kept_start(pre, post)) return true;
  if (correlation_.pre(post.atom) == pre.atom && !is_own_table(*pre.atom, *post.atom))
    return pre.offset == post.offset;
  if (pre.atom->kind == AtomKind::Special && post.atom->kind == AtomKind::Special) {
    return same_special(*pre.atom, pre.offset, *post.atom, post.offset);
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

// Start code has run, with the function that is to stay with the patch.
bool Comparer::is_kept_start(const Reference& pre, const Reference& post) const {
  return start_holder_ && pre.atom->is_function() && post.atom->is_function() &&
         pre.atom->name == post.atom->name && pre.offset == post.offset &&
         is_init_section(pre.atom->section->name) && !is_init_section(post.atom->section->name);
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
  const auto left = text_at(a, pre_place, a_end), right = text_at(b, post_place, b_end);
  return left && right && *left == *right;
}

// Two places in special sections, which are not split into atoms: the entry of the table, the named
// object or, without a name, the whole section around the place must be the same, and the place in
// it. Code is compared up to where it leaves.
bool Comparer::same_special(const Atom& pre, int64_t pre_offset, const Atom& post,
                            int64_t post_offset) {
  const Section &a = *pre.section, &b = *post.section;
  if (a.name != b.name || pre_offset < 0 || post_offset < 0) return false;
  const auto pre_place = static_cast<uint64_t>(pre_offset);
  const auto post_place = static_cast<uint64_t>(post_offset);
  if (a.is_exec()) return same_outside_code(a, pre_place, b, post_place);
  auto [begin, end] = named_extent(pre, pre_place);
  auto [post_begin, post_end] = named_extent(post, post_place);
  const uint64_t size = table_entry_size(a);
  if (size != 0 && size == table_entry_size(b) && pre_place < a.size && post_place < b.size) {
    begin = pre_place - pre_place % size, end = std::min(begin + size, a.size);
    post_begin = post_place - post_place % size, post_end = std::min(post_begin + size, b.size);
  }
  if (pre_place - begin != post_place - post_begin || end - begin != post_end - post_begin)
    return false;
  // As for values: a cycle is the same as long as nothing else says otherwise.
  const auto key =
      std::make_tuple(&pre, static_cast<int64_t>(begin), &post, static_cast<int64_t>(post_begin));
  if (!in_progress_.insert(key).second) return true;
  const bool same = same_content(a, begin, b, post_begin, end - begin);
  in_progress_.erase(key);
  return same;
}

// The places in its section at which an anonymous atom or a function is referred to, sorted.
const std::vector<uint64_t>& Comparer::referenced(bool post, const Atom& atom) {
  if (!referenced_done_[post]) {
    referenced_done_[post] = true;
    const Atoms& atoms = post ? post_ : pre_;
    for (const auto& section : atoms.object().sections) {
      if (!section->is_alloc() && !section->is_exec()) continue;
      for (const Relocation& relocation : section->relocations) {
        const Reference reference = atoms.resolve(*section, relocation);
        if (reference.atom != nullptr &&
            (reference.atom->kind == AtomKind::Anonymous || reference.atom->is_function()))
          referenced_[post][reference.atom].push_back(reference.atom->entry + reference.offset);
      }
    }
    for (auto& [target, places] : referenced_[post]) std::sort(places.begin(), places.end());
  }
  return referenced_[post][&atom];
}

// Where the anonymous thing at place ends at the latest: at the next place that is referred to.
uint64_t Comparer::extent(bool post, const Atom& atom, uint64_t place) {
  if (atom.kind != AtomKind::Anonymous) return atom.end();
  const std::vector<uint64_t>& places = referenced(post, atom);
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
      return same_content(*pre.section, pre.offset, *post.section, post.offset, pre.size);
    }
    const uint64_t pre_place = pre.entry + pre_offset, post_place = post.entry + post_offset;
    if (pre.kind == AtomKind::String || post.kind == AtomKind::String)
      return same_string(pre, pre_place, post, post_place);
    if (pre.kind == AtomKind::Data && post.kind == AtomKind::Data) {
      if (pre_offset != post_offset || pre.size != post.size) return false;
      return same_content(*pre.section, pre.offset, *post.section, post.offset, pre.size);
    }
    // The rest of the gap, or at least up to what is referred to next.
    uint64_t size = pre.end() - pre_place;
    if (size == post.end() - post_place &&
        same_content(*pre.section, pre_place, *post.section, post_place, size))
      return true;
    size = extent(false, pre, pre_place) - pre_place;
    const uint64_t post_size = extent(true, post, post_place) - post_place;
    if (size != post_size) {
      if (pre.kind != AtomKind::Constant && post.kind != AtomKind::Constant) return false;
      size = std::min(size, post_size);  // .rodata.cst8 against a literal in .rodata
    }
    return same_content(*pre.section, pre_place, *post.section, post_place, size);
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
                            uint64_t post_begin, uint64_t size, bool skip_first_relocation) {
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
    for (uint64_t at = from; at < to; ++at)
      if (pre.data[pre_begin + at] != post.data[post_begin + at]) return fail_at(at);
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
    if (a_end || b_end || a_at != at || b->offset - post_begin != at || a->type != b->type)
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

}  // namespace ksplice
