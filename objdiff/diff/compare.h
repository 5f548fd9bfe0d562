// Whether a thing of pre and a thing of post mean the same. pre is here the original source as it
// was compiled for the comparison: with the line numbers of post (create/moved.h) where there is
// such an object.
//
// Nothing is free to differ: no immediate, no field, no text. Relocations are compared by what they
// refer to, branches by the instruction they lead to. Strings and constants without a name are
// compared by content, named things by correlation only: a call to a changed function is the same
// call.
//
// Padding. The compiler gives a function a section of its own, in which equal source has equal
// padding: there every byte counts, and a nop or an int3 is an instruction like any other. Only
// functions that share a section with others (.init.text, .noinstr.text, assembly) can start at
// another place than before and be filled differently. There a run of filling is left out of the
// comparison if it cannot mean anything:
//   - behind an instruction that ends the flow, nops and int3s to which no branch leads: nobody
//     executes them;
//   - else nops alone, up to a place that is aligned to eight bytes or more, and to more than they
//     are: they do nothing.
// An int3 that can be executed, and a nop that a table names (a jump label), always count.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "objdiff/diff/code_tables.h"
#include "objdiff/diff/correlate.h"
#include "objdiff/diff/section_diff.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/special_tables.h"

namespace ksplice {

enum class DifferenceKind { None, Code, Constant, Special };

struct Difference {
  DifferenceKind kind = DifferenceKind::None;
  std::string detail;   // first differing instruction of post, constant, or table
  std::string before;   // what pre has in its place; "" if nothing
  uint64_t offset = 0;  // from the post atom's entry
  uint64_t pre_offset = 0;
  explicit operator bool() const { return kind != DifferenceKind::None; }
};

struct CodeItem {
  const Instruction* instruction = nullptr;
  const Relocation* relocation[2] = {nullptr, nullptr};
};

class Comparer {
 public:
  Comparer(const Atoms& pre, const Atoms& post, const Correlation& correlation,
           const SpecialTables& pre_tables, const SpecialTables& post_tables,
           const CodeTables& pre_code_tables, const CodeTables& post_code_tables);

  // The first difference between two functions, special section entries included.
  Difference functions(const Atom& pre, const Atom& post);
  // The same for two variables: size, content, references.
  Difference data(const Atom& pre, const Atom& post);
  // How two variables differ, as far as that can be changed in place; empty if they differ in
  // anything else.
  ChangedPlaces changed_places(const Atom& pre, const Atom& post);

 private:
  struct Stream {
    uint64_t begin = 0;  // in the section
    std::vector<CodeItem> items;
    // Offset from begin -> item; of padding that is left out: the next item; NoItem inside an
    // instruction.
    std::vector<uint32_t> index;
  };
  static constexpr uint32_t NoItem = ~0u;

  Stream stream(const Atoms& atoms, const Section& section, uint64_t begin, uint64_t end,
                const std::set<uint64_t>& filling = {}) const;
  std::set<uint64_t> find_filling(const Atoms& atoms, const SpecialTables& tables,
                                  const Atom& function);
  Difference same_layout_code(const Atom& pre, const Atom& post, bool& differs_in_layout);
  Difference difference_at(const Atom& pre, uint64_t pre_place, const Atom& post,
                           uint64_t post_place) const;
  bool same_reference(const Reference& pre, const Reference& post);
  bool is_own_table(const Atom& pre, const Atom& post) const;
  bool is_kept_start(const Reference& pre, const Reference& post) const;
  bool same_value(const Atom& pre, int64_t pre_offset, const Atom& post, int64_t post_offset);
  bool same_string(const Atom& pre, uint64_t pre_place, const Atom& post,
                   uint64_t post_place) const;
  bool same_table_target(const Section& pre, const Relocation& pre_entry, const Section& post,
                         const Relocation& post_entry, uint64_t distance);
  bool same_content(const Section& pre, uint64_t pre_begin, const Section& post,
                    uint64_t post_begin, uint64_t size, bool skip_first_relocation = false);
  bool same_special(const Atom& pre, int64_t pre_offset, const Atom& post, int64_t post_offset);
  bool same_item(const Section& pre_section, const CodeItem& pre, const Section& post_section,
                 const CodeItem& post);
  bool same_branch(const Section& pre_section, const CodeItem& pre, const Section& post_section,
                   const CodeItem& post);
  bool same_range(const Section& pre_section, uint64_t pre_begin, uint64_t pre_end,
                  const Section& post_section, uint64_t post_begin, uint64_t post_end);
  bool same_outside_code(const Section& pre, uint64_t pre_offset, const Section& post,
                         uint64_t post_offset);
  Difference special_entries(const Atom& pre, const Atom& post);
  bool same_alternative(const TableEntry& pre, const TableEntry& post);
  bool same_entry(const TableEntry& pre, const TableEntry& post);
  bool same_place(int64_t pre_offset, int64_t post_offset) const;
  bool jumps_inside(const Atoms& atoms, const Section& section, const CodeItem& item,
                    const Atom& function) const;
  Reference branch_target(const Atoms& atoms, const Section& section, const CodeItem& item) const;
  const std::vector<uint64_t>& referenced(bool post, const Atom& atom);
  uint64_t extent(bool post, const Atom& atom, uint64_t place);

  const Atoms& pre_;
  const Atoms& post_;
  const Correlation& correlation_;
  const SpecialTables& pre_tables_;
  const SpecialTables& post_tables_;
  const CodeTables& pre_code_tables_;
  const CodeTables& post_code_tables_;

  // The functions being compared, and how offsets in them map to instructions.
  bool start_holder_ = false;  // what is compared is start code, or data of it
  const Atom* pre_self_ = nullptr;
  const Atom* post_self_ = nullptr;
  const Stream* pre_stream_ = nullptr;  // null: same bytes, offsets map to themselves
  const Stream* post_stream_ = nullptr;
  // The constant at which same_reference failed, in post, and what pre has in its place.
  const Atom* failed_constant_ = nullptr;
  const Atom* failed_constant_pre_ = nullptr;
  uint64_t failed_at_ = 0;  // how far same_content came, when it says no

  std::set<std::tuple<const Atom*, int64_t, const Atom*, int64_t>> in_progress_;
  // What referenced() has found; [0] pre, [1] post.
  std::unordered_map<const Atom*, std::vector<uint64_t>> referenced_[2];
  bool referenced_done_[2] = {false, false};
};

// The first relocation of section at offset or behind it.
std::vector<Relocation>::const_iterator first_relocation(const Section& section, uint64_t offset);

// True for data that a function depends on by its content: local, read-only.
bool is_local_constant(const Atom& atom);

}  // namespace ksplice
