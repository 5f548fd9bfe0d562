// One walk over pre and run code in lockstep; internal to match_code.cc (instructions) and
// match_tables.cc (what the special sections say about them).
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "objdiff/match/match_code.h"

namespace ksplice {

class CodeWalk {
 public:
  // Compares [begin, end) of section with what is at addr. depth: how many walks over nameless code
  // this one is nested in.
  CodeWalk(const Matcher& matcher, const Section& section, uint64_t begin, uint64_t end,
           uint64_t addr, unsigned depth);
  Comparison run();

 private:
  // match_code.cc
  bool differ(const std::string& what);
  bool differ_at(uint64_t pre_offset, const std::string& what);
  std::span<const uint8_t> pre_bytes() const;
  std::span<const uint8_t> run_bytes() const;
  bool advance();
  bool has_relocation(uint64_t length) const;
  bool step();
  bool no_instruction();
  bool jump_label_nop();
  bool nop();
  bool is_claimed() const;
  bool padding();
  bool branch();
  bool local_branch(uint64_t run_target);
  bool compare_fields();
  bool relocated_field(const Relocation& relocation, uint64_t field, unsigned size);
  void add_field(const Instruction& instruction, uint64_t field, uint64_t target);
  bool refer(const PreTarget& target, uint64_t run_target);
  bool refer_to_snippet(const Entity& entity, uint64_t offset, uint64_t run_target);
  void take_evidence(const Comparison& code, uint64_t pre_offset);
  bool is_own(const PreTarget& target) const;
  bool check_own_references();
  bool check_branches();

  // match_tables.cc
  bool check_tables();
  bool check_target(const PreTarget& target, uint64_t run_target, uint64_t offset,
                    const std::string& what);
  bool check_jump_labels();
  bool check_exceptions();
  bool check_bugs();
  bool check_alternatives();
  bool check_alternative(uint64_t pre_offset, uint64_t run_offset);
  bool check_static_calls();
  bool check_runtime_constants();
  template <typename Table>
  bool has_others(const Table& table, size_t expected) const;

  struct Branch {
    uint64_t pre_at, pre_target, run_target;
  };
  struct StaticCall {
    uint64_t pre_at, run_at;
    std::string trampoline;
  };

  const PreIndex& pre_;
  const RunImage& image_;
  const RunTables& tables_;
  const Matcher& matcher_;
  const Section& section_;
  const uint64_t begin_, end_, addr_;
  const unsigned depth_;
  std::span<const uint8_t> code_;  // of run, from addr_
  std::vector<Relocation>::const_iterator relocation_;
  std::optional<Instruction> pre_insn_, run_insn_;
  uint64_t pre_at_ = 0, run_at_ = 0;  // offsets from begin_ and addr_
  // The nops just before them, equal in both, that may be the beginning of filling.
  struct Filling {
    uint64_t pre_at, run_at;
    uint8_t first, last;  // lengths of nops
    // The assembler's nops are of one length, but for a shorter one at the end.
    bool goes_on_with(const Instruction& insn) const {
      return insn.kind != InstructionKind::Nop || (last == first && insn.size <= first);
    }
  };
  std::optional<Filling> filling_;
  std::vector<Branch> branches_;
  std::vector<StaticCall> static_calls_;
  std::map<uint64_t, uint64_t> loaded_bugs_;  // place in pre's table -> run address of the entry
  Comparison result_;
};

}  // namespace ksplice
