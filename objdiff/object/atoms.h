// The units that the differ, the matcher and the update object think in: one function, one
// variable, one string, one constant. A section can hold many of them (.init.text,
// .data..read_mostly, string sections), and most references in an object go to "section + addend",
// so two questions must be answered in one place: which thing lies at this offset, and which thing
// does this relocation mean.
//
// Example, fs/namei.o of 6.12: .text.path_get holds 16 nops, then path_get; one Function atom with
// offset 0, entry 16. A pc-relative relocation .rodata.putname.str1.1+0x5 with addend 0x1 at the
// end of a lea means string offset 5, not 1: the addend is corrected by the distance from the field
// to the end of the instruction.
//
// Not handled: bytes that nothing names and nothing refers to (they are Anonymous atoms, one per
// gap).
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "objdiff/object/code.h"
#include "objdiff/object/object.h"

namespace ksplice {

enum class AtomKind {
  Function,   // executable; also assembly labels with code behind them
  Data,       // a named object in a section that is not executable
  String,     // one zero-terminated string of a SHF_MERGE|SHF_STRINGS section
  Constant,   // one entry of a SHF_MERGE section (.rodata.cst16)
  Anonymous,  // a gap between named things in an allocated section (jump tables, literals)
  Special,    // a whole special section (is_special_section), never split here
};

struct Atom {
  AtomKind kind = AtomKind::Anonymous;
  const Section* section = nullptr;
  uint64_t offset = 0;  // first byte; for a function that of its call padding prefix
  uint64_t entry = 0;   // offset of symbol in section; equals offset except behind a prefix
  uint64_t size = 0;    // from offset
  const Symbol* symbol = nullptr;  // primary name; null for String, Constant, Anonymous, Special
  std::vector<const Symbol*> aliases;  // every other symbol that lies in [offset, offset+size)
  std::string name;                    // symbol's, or "SECTION+0xOFFSET"

  uint64_t end() const { return offset + size; }
  bool is_function() const { return kind == AtomKind::Function; }
};

// What a relocation refers to. Exactly one of atom and symbol is set, or none for a malformed one.
struct Reference {
  const Atom* atom = nullptr;
  const Symbol* symbol = nullptr;  // undefined or absolute symbol
  int64_t offset = 0;  // from atom->entry (or symbol) to the byte that is meant; may be outside
  bool pc_relative = false;
};

class Atoms {
 public:
  // object must outlive this and keep its sections and symbols.
  explicit Atoms(const Object& object);
  Atoms(const Atoms&) = delete;
  Atoms& operator=(const Atoms&) = delete;

  const Object& object() const { return object_; }
  // By section order, then offset.
  const std::deque<Atom>& all() const { return atoms_; }
  // The atom that covers offset, or null. The end of a section belongs to its last atom.
  const Atom* at(const Section* section, uint64_t offset) const;
  // The atom a defined symbol lies in; null for undefined, absolute and section symbols.
  const Atom* of(const Symbol* symbol) const;
  // All atoms of the section, by offset.
  std::vector<const Atom*> in(const Section* section) const;
  // The relocations of atom: a range of its section's, sorted by offset.
  std::vector<const Relocation*> relocations(const Atom& atom) const;
  // The decoded instructions of an executable section; null for others.
  const CodeMap* code(const Section& section) const;
  // What relocation, one of from's, means.
  Reference resolve(const Section& from, const Relocation& relocation) const;

 private:
  void split(const Section& section, std::vector<const Symbol*> symbols);
  void split_merged(const Section& section);
  void add_gap(const Section& section, uint64_t begin, uint64_t end);
  Atom& add(AtomKind kind, const Section& section, uint64_t begin, uint64_t end);

  const Object& object_;
  std::deque<Atom> atoms_;
  std::unordered_map<const Section*, std::vector<const Atom*>> by_section_;
  std::unordered_map<const Symbol*, const Atom*> by_symbol_;
  // Executable sections, decoded when first asked for.
  mutable std::unordered_map<const Section*, CodeMap> code_;
};

// True for sections whose content belongs to code elsewhere and is handled by entry or dropped
// (section_rules.h says how): __bug_table, .altinstructions, __mcount_loc, .orc_unwind, ...
bool is_special_section(const Section& section);

// Name without what the compiler numbers: "foo.isra.0.cold" gives "foo.isra.cold", "__key.12"
// "__key", "CSWTCH.45" "CSWTCH", "__UNIQUE_ID_addressable_x12" "__UNIQUE_ID_addressable_x",
// "f.llvm.9" "f".
std::string plain_name(const std::string& name);

// Rewrites object so that every reference from one function to another has a relocation: branches
// that the assembler resolved because both functions lie in one section (.init.text, .noinstr.text,
// .sched.text) get a PC-relative relocation (one of one byte for short ones) against the callee's
// symbol and a zeroed field. Idempotent.
void normalise(Object& object);

}  // namespace ksplice
