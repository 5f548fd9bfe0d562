// What a pre object consists of, seen by the matcher: functions, data objects, and what each
// relocation really refers to.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "objdiff/arch/series.h"
#include "objdiff/object/code.h"
#include "objdiff/object/object.h"

namespace ksplice {

// A thing that has one run address of its own: a function or fragment, a named data object, the
// part of a section that has no name, or an undefined symbol.
struct Entity {
  enum class Kind { Undefined, Absolute, Function, Code, Data };
  Kind kind = Kind::Data;
  const Section* section = nullptr;    // null for Undefined and Absolute
  uint64_t begin = 0, end = 0;         // in section
  std::vector<const Symbol*> symbols;  // all at begin; empty if it has no name

  std::string name() const;
  // Its bytes never change after the compiler, so they are compared. (.BTF_ids is filled in by
  // resolve_btfids after the link.)
  bool is_constant() const {
    return kind == Kind::Data && section->is_alloc() && !section->is_write() &&
           section->type == 1 /* SHT_PROGBITS */ && section->name != ".BTF_ids";
  }
  // What UBSAN has to say of a place in the source. Writable, as the kernel notes in it that it was
  // said; before the boot it is the compiler's.
  bool is_ubsan_record() const {
    return kind == Kind::Data && section->name.starts_with(".data..Lubsan_");
  }
  bool is_compared() const { return is_constant() || is_ubsan_record(); }
};

// What a relocation refers to. For mergeable sections, where equal content of other units may have
// been put instead, entity is null and the content counts.
struct PreTarget {
  const Entity* entity = nullptr;
  const Section* merged = nullptr;
  int64_t offset = 0;  // in the entity, or in the merged section
  int64_t beyond = 0;  // merged: added to the content's address (" " + 2; it may lie outside)
  int64_t bias = 0;  // to be added to the run value: the kernel's __pa_symbol() subtracts KernelMap
};

// One record of a special section, by the code it is about.
struct JumpLabel {
  PreTarget target, key;
  bool nop = false;     // objtool turned the jmp into a nop (bit 1 of the key)
  bool branch = false;  // bit 0 of the key
  const Relocation* target_reloc = nullptr;
};
struct Alternative {
  const Section* section = nullptr;  // of the replacement
  uint64_t begin = 0;
  uint32_t feature = 0;  // cpuid and flags as one number
  uint8_t length = 0, replacement_length = 0;
};
struct ExceptionEntry {
  PreTarget fixup;
  uint32_t type = 0;
};
struct Bug {
  uint16_t flags = 0;
  uint64_t entry = 0;  // its place in the table
  PreTarget format;    // of the message, where the layout has one
};
struct RuntimeConstant {
  std::string name;  // "ptr_dentry_hashtable" of section runtime_ptr_dentry_hashtable
};

using CodePlace = std::pair<const Section*, uint64_t>;

class PreIndex {
 public:
  // series: of the kernel that the object is for; null: the tables are not read.
  explicit PreIndex(const Object& object, const KernelSeries* series = nullptr);

  const Object& object() const { return object_; }
  const std::deque<Entity>& entities() const { return entities_; }
  const Entity* entity_of(const Symbol* symbol) const;
  // The entity that covers the place, or null in a section that is not looked at.
  const Entity* entity_at(const Section* section, uint64_t offset) const;
  // code: the instruction that holds the field, or null for data.
  PreTarget resolve(const Relocation& relocation, const Instruction* code) const;

  std::map<CodePlace, JumpLabel> jump_labels;
  std::multimap<CodePlace, Alternative> alternatives;  // equal keys in table order
  std::map<CodePlace, ExceptionEntry> exceptions;
  std::map<CodePlace, Bug> bugs;
  std::map<CodePlace, uint8_t> paravirt;  // length of the site
  std::map<CodePlace, bool> smp_locks;
  std::map<CodePlace, RuntimeConstant> runtime_constants;

 private:
  void split_section(const Section& section);
  // pre_tables.cc
  void read_tables();
  void read_jump_labels(const Section& section);
  void read_alternatives(const Section& section);
  void read_exceptions(const Section& section);
  void read_bugs(const Section& section);
  void read_paravirt(const Section& section);
  void read_smp_locks(const Section& section);
  void read_runtime_constants(const Section& section);

  const Object& object_;
  const KernelSeries* series_;
  std::deque<Entity> entities_;
  std::unordered_map<const Symbol*, const Entity*> by_symbol_;
  std::unordered_map<const Section*, std::vector<const Entity*>> by_section_;  // by begin
};

// Compiler-made numbers (foo.constprop.0, __func__.12, __UNIQUE_ID_x37) replaced by '#', so that
// names of the same thing from two compilations compare equal.
std::string normal_name(const std::string& name);

bool is_merged(const Section& section);

}  // namespace ksplice
