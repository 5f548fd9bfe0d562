// The update object while it is made; internal to update_object.cc (what goes in),
// update_references.cc, update_symbols.cc, update_special.cc, update_tables.cc, update_counters.cc
// and update_names.cc.
//
// A "piece" is a range of a post section that goes into the update object: an atom, or the part of
// a special section that one kept entry refers to. Pieces enter a queue when something included
// refers to them; the queue ends when everything that the changed functions need is there.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "kmod-core/ksplice_abi.h"
#include "objdiff/object/atoms.h"
#include "objdiff/update/update_object.h"

namespace ksplice {

// What a reference becomes in the update object: symbol, and the offset in the post section (or
// symbol) that the symbol stands for.
struct Target {
  Symbol* symbol = nullptr;
  int64_t base = 0;
};

// One unit with the lookups that selection needs.
struct UnitState {
  const Unit* unit = nullptr;
  std::unique_ptr<Atoms> atoms, pre_atoms;
  std::map<const Symbol*, const FunctionDiff*> functions;  // by post symbol
  std::map<const Symbol*, const DataDiff*> data;           // by post symbol
  std::map<std::pair<const Section*, uint64_t>, Symbol*>
      placed;  // first byte of a piece -> its symbol
  // Where references point into sections without symbols (.altinstr_aux, .fixup): ends of pieces.
  std::map<const Section*, std::set<uint64_t>> cuts;
  // Texts that pre refers to, with their run addresses; filled in when the first is asked for.
  std::map<std::string, uint64_t> texts;
  bool has_texts = false;
  std::set<const Atom*> callees;  // that refuse_other_callee() has looked at
};

enum class UseKind { Any, Address };  // Address: not what a call or jump does with it

struct Piece {
  UnitState* unit = nullptr;
  const Section* from = nullptr;
  uint64_t begin = 0, end = 0;
  Section* to = nullptr;
};

class UpdateBuilder {
 public:
  UpdateBuilder(const RunImage& image, const RunImage& vmlinux, const UpdateInfo& info)
      : image_(image), vmlinux_(vmlinux), info_(info) {}
  UpdateObject build(const std::vector<Unit>& units);
  UpdateObject build_check(const std::vector<Unit>& units);

 private:
  // update_object.cc
  void add_unit(const Unit& unit);
  void select_seeds(UnitState& unit);
  void include_wanted();
  void note_given_away();
  void note_uses();
  void drain_queue();
  void copy_relocation(const Piece& piece, const Relocation& relocation);
  Symbol* include_atom(UnitState& unit, const Atom& atom);
  Symbol* include_new(UnitState& unit, const Atom& atom);
  Symbol* include_piece(UnitState& unit, const Section& from, uint64_t begin, uint64_t end,
                        uint64_t entry, const std::string& name, uint8_t type);
  void refuse_loose_branches(const UnitState& unit, const Section& from, uint64_t begin,
                             uint64_t end, const std::string& name);
  bool is_included(UnitState& unit, const Atom& atom) const {
    return unit.placed.contains({atom.section, atom.offset});
  }
  void refuse(const UnitState& unit, const std::string& code, const Section* section,
              const std::string& symbol, uint64_t offset, const std::string& message,
              const std::string& advice);
  Section* new_section(const std::string& name, uint32_t type, uint64_t flags, uint64_t align);

  // update_references.cc
  // What the relocation means in the update object: a symbol (null: refused) and an addend.
  std::pair<Symbol*, int64_t> meaning(UnitState& unit, const Section& from,
                                      const Relocation& relocation);
  Target resolve(UnitState& unit, const Section& from, const Relocation& relocation);
  bool is_one_place(UnitState& unit, const Atom& before, const Atom& atom) const;
  bool refuse_border(UnitState& unit, const Section& from, const Relocation& relocation,
                     Reference& reference);
  bool refuse_freed(UnitState& unit, const Section& from, const Relocation& relocation,
                    const Reference& reference);
  std::pair<const RunImage*, uint64_t> run_place(UnitState& unit, const Symbol& symbol);
  bool refuse_read_only_key(UnitState& unit, const Section& from, const Relocation& relocation,
                            const Reference& reference);
  bool refuse_sealed(UnitState& unit, const Section& from, const Relocation& relocation,
                     const Reference& reference);
  void need_replaced(UnitState& unit, const Section& from, const Relocation& relocation,
                     const Reference& reference);
  bool referred_before(const UnitState& unit, const Section& from, uint64_t offset,
                       const Symbol& symbol, UseKind use = UseKind::Any) const;
  bool is_called_anew(UnitState& unit, const Section& from, const Relocation& relocation);
  Target resolve_function(UnitState& unit, const Atom& atom);
  bool refuse_other_callee(UnitState& unit, const Atom& atom);
  Target resolve_named_data(UnitState& unit, const Atom* atom, const Symbol& symbol);
  Target resolve_unnamed(UnitState& unit, const Atom& atom, const Reference& reference);
  Symbol* known_text(UnitState& unit, const Section& section, uint64_t offset);
  std::optional<Target> defined_anew(const UnitState& user, const Symbol& symbol);
  std::optional<uint64_t> run_address(UnitState& unit, const Symbol& post_symbol) const;

  // update_symbols.cc
  Symbol* kernel_symbol(const std::string& name);
  // What an applied update added to vmlinux is no place for the update of a module: the module of
  // that update would not be pinned by it.
  bool is_foreign(uint64_t vmlinux_addr) const {
    return image_.is_module() && !vmlinux_.owner_of(vmlinux_addr).empty();
  }
  Symbol* target_module_symbol();
  Symbol* param_symbol(const RunLocation& location);
  Symbol* neighbour_symbol(UnitState& unit, const std::string& name);
  Symbol* undefined_symbol(UnitState& unit, const Symbol& symbol);
  Symbol* absolute_symbol(const std::string& name, const RunLocation& location);
  Symbol* run_symbol(const std::string& name, uint64_t addr);
  Symbol* import_symbol(const Symbol& like);
  void need_static_call_key(const std::string& trampoline);
  Symbol* section_symbol(Section* section);
  Symbol* new_symbol(const std::string& name, uint8_t bind, uint8_t type, Section* section,
                     uint64_t value, uint64_t size);

  // update_special.cc
  void add_special_sections(UnitState& unit);
  void add_entries(UnitState& unit, const Section& section, uint64_t entry_size);
  bool entry_refers_to_included(UnitState& unit, const Section& section, uint64_t begin,
                                uint64_t end);
  bool is_included_code(UnitState& unit, const Section& from, const Relocation& relocation);
  void rewrite_runtime_pointers(UnitState& unit, const Section& section);
  void refuse_unknown_section(UnitState& unit, const Section& section);
  void add_hooks(UnitState& unit);

  // update_tables.cc
  void add_tables();
  uint64_t add_run(const FunctionMatch& match);
  void add_left_bodies();
  uint64_t add_ranges(const RunCode& run);
  void add_fields(const RunCode& run, uint64_t bytes_at, uint64_t run_offset,
                  const std::vector<RunField>& fields);
  uint64_t add_needs();
  uint64_t add_callees();
  uint64_t add_units();
  void refuse_older_source(const UnitState& unit, const RunLower& lower);
  void add_switched_places(UnitState& unit);
  void add_switched_pointer(UnitState& unit, const DataDiff& data, uint64_t addr, uint64_t offset);
  void add_switched_values(UnitState& unit, const DataDiff& data, uint64_t addr);
  uint64_t add_place(const DataDiff& data, uint64_t addr, int64_t offset,
                     const ksplice_place& place);
  void refuse_place(UnitState& unit, const DataDiff& data, uint64_t offset,
                    const std::string& what);
  void add_object_record();
  std::string kept_text() const;
  uint64_t add_string(const std::string& text);
  Section* table(const std::string& name);
  void add_pointer(Section* section, uint64_t offset, Section* to, uint64_t to_offset);

  // update_counters.cc
  void add_counters();

  // update_names.cc
  void name_symbols();
  void name_functions(UnitState& unit, std::set<std::string>& taken);
  void note_placed(const UnitState& unit);
  void rename_shadowed_symbols(const std::set<std::string>& taken);

  const RunImage& image_;
  const RunImage& vmlinux_;
  const UpdateInfo& info_;
  UpdateObject out_;
  std::deque<UnitState> units_;
  std::deque<Piece> queue_;
  std::map<std::string, std::pair<UnitState*, const Symbol*>> new_globals_;  // of all units
  std::map<std::string, Symbol*> undefined_;
  std::map<std::string, Symbol*> used_neighbours_;  // by name
  std::map<std::tuple<std::string, std::string, std::string, int64_t, bool, std::string>, Symbol*>
      absolute_;
  std::set<std::string> absolute_names_;
  std::set<std::tuple<std::string, std::string, uint64_t>> refused_;  // one refusal per place
  std::set<std::pair<const Section*, uint64_t>> runtime_sites_;       // rewritten
  std::map<const Section*, Symbol*> section_symbols_;
  std::map<std::string, Section*> tables_;
  std::set<std::string> needed_;  // update modules of functions that new code is the first to call
  std::map<std::string, Symbol*> callees_;  // functions of the kernel that new code refers to anew
  struct Replaced {
    UnitState* unit;
    const FunctionDiff* diff;
    const FunctionMatch* match;
    Symbol* body;
  };
  std::vector<Replaced> replaced_;
  std::map<std::string, std::vector<Symbol*>> hooks_;  // by section name
};

// True for the out-of-line part of a function that gcc splits off and that belongs to it: foo.cold.
bool is_fragment(const std::string& name);
// What stands before the names of an update's new bodies.
std::string update_prefix(const std::string& id);
// "foo" of "foo.cold", "foo.part.0" of "foo.part.0.cold".
std::string cold_parent(const std::string& name);
// Changed functions cannot live in these; the differ refuses them by name.
bool is_freed_section(const std::string& name);
// The global symbol of that name, null if there is none or if two differ.
const RunSymbol* only_global(const RunImage& image, const std::string& name);

}  // namespace ksplice
