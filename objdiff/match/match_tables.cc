// What the special sections say about a piece of code must be said about run, too, and run must not
// say more: a jump label, exception entry, alternative, static call or trap that only one of the
// two knows is a difference, even where every byte of the code is equal.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "objdiff/match/code_walk.h"

namespace ksplice {

// A target that a table names, at offset of this code.
bool CodeWalk::check_target(const PreTarget& target, uint64_t run_target, uint64_t offset,
                            const std::string& what) {
  if (is_own(target)) {
    std::optional<uint32_t> expected = result_.run_offset(static_cast<uint64_t>(target.offset));
    if (!expected || addr_ + *expected != run_target) return differ_at(offset, what);
    return true;
  }
  pre_at_ = offset;
  run_at_ = result_.run_offset(offset).value_or(0);
  return refer(target, run_target);
}

// Whether the table has other than the expected number of entries for this code.
template <typename Table>
bool CodeWalk::has_others(const Table& table, size_t expected) const {
  auto first = table.lower_bound(addr_), last = table.lower_bound(addr_ + result_.run_size);
  return static_cast<size_t>(std::distance(first, last)) != expected;
}

bool CodeWalk::check_jump_labels() {
  size_t count = 0;
  for (auto it = pre_.jump_labels.lower_bound({&section_, begin_});
       it != pre_.jump_labels.end() && it->first < CodePlace{&section_, end_}; ++it, ++count) {
    uint64_t offset = it->first.second - begin_;
    std::optional<uint32_t> run_offset = result_.run_offset(offset);
    if (!run_offset) return differ_at(offset, "a jump label is inside an instruction");
    auto run = tables_.jump_labels.find(addr_ + *run_offset);
    if (run == tables_.jump_labels.end())
      return differ_at(offset, "the image has no jump label here");
    if (run->second.branch != it->second.branch)
      return differ_at(offset, "the jump label's likely branch differs");
    if (!check_target(it->second.target, run->second.target, offset,
                      "the jump label has another target"))
      return false;
    pre_at_ = offset;
    run_at_ = *run_offset;
    if (!refer(it->second.key, run->second.key)) return false;
  }
  if (has_others(tables_.jump_labels, count))
    return differ_at(0, "the image has other jump labels in this code");
  return true;
}

bool CodeWalk::check_exceptions() {
  size_t count = 0;
  for (auto it = pre_.exceptions.lower_bound({&section_, begin_});
       it != pre_.exceptions.end() && it->first < CodePlace{&section_, end_}; ++it, ++count) {
    uint64_t offset = it->first.second - begin_;
    std::optional<uint32_t> run_offset = result_.run_offset(offset);
    if (!run_offset) return differ_at(offset, "an exception entry is inside an instruction");
    auto run = tables_.exceptions.find(addr_ + *run_offset);
    if (run == tables_.exceptions.end())
      return differ_at(offset, "the image has no exception entry here");
    if (run->second.type != it->second.type)
      return differ_at(offset, "the exception entry is of another type");
    if (!check_target(it->second.fixup, run->second.fixup, offset,
                      "the exception entry has another fixup"))
      return false;
  }
  if (has_others(tables_.exceptions, count))
    return differ_at(0, "the image has other exception entries in this code");
  return true;
}

// A trap is a warning or the end by its entry alone. The line is not compared: it moves with every
// line above it.
bool CodeWalk::check_bugs() {
  size_t count = 0;
  for (auto it = pre_.bugs.lower_bound({&section_, begin_});
       it != pre_.bugs.end() && it->first < CodePlace{&section_, end_}; ++it, ++count) {
    uint64_t offset = it->first.second - begin_;
    std::optional<uint32_t> run_offset = result_.run_offset(offset);
    auto run = run_offset ? tables_.bugs.find(addr_ + *run_offset) : tables_.bugs.end();
    if (run == tables_.bugs.end())
      return differ_at(offset, "the image has no entry for the trap (WARN, BUG) here");
    if (run->second.flags != it->second.flags)
      return differ_at(offset, "the trap (WARN, BUG) is of another kind");
    const PreTarget& format = it->second.format;
    if ((format.entity != nullptr || format.merged != nullptr) &&
        !check_target(format, run->second.format, offset, "the trap has another message"))
      return false;
    auto loaded = loaded_bugs_.find(it->second.entry);
    if (loaded == loaded_bugs_.end()) continue;
    if (loaded->second != run->second.entry)
      return differ_at(offset, "the entry of another trap (WARN) is referred to");
    loaded_bugs_.erase(loaded);
  }
  if (has_others(tables_.bugs, count))
    return differ_at(0, "the image has other traps (WARN, BUG) in this code");
  if (!loaded_bugs_.empty())
    return differ_at(0, "the entry of a trap (WARN) in other code is referred to");
  return true;
}

bool CodeWalk::check_alternatives() {
  size_t count = 0;
  for (auto it = pre_.alternatives.lower_bound({&section_, begin_});
       it != pre_.alternatives.end() && it->first < CodePlace{&section_, end_};
       it = pre_.alternatives.upper_bound(it->first), ++count) {
    uint64_t offset = it->first.second - begin_;
    std::optional<uint32_t> run_offset = result_.run_offset(offset);
    if (!run_offset) return differ_at(offset, "an alternative is inside an instruction");
    if (!check_alternative(offset, *run_offset)) return false;
  }
  if (has_others(tables_.alternatives, count))
    return differ_at(0, "the image has other alternatives in this code");
  return true;
}

bool CodeWalk::check_alternative(uint64_t pre_offset, uint64_t run_offset) {
  auto [entry, last] = pre_.alternatives.equal_range({&section_, begin_ + pre_offset});
  auto found = tables_.alternatives.find(addr_ + run_offset);
  size_t count = static_cast<size_t>(std::distance(entry, last));
  if (found == tables_.alternatives.end() || found->second.size() != count)
    return differ_at(pre_offset, "the image has other alternatives here");
  for (const RunAlternative& run : found->second) {
    const Alternative& pre = (entry++)->second;
    std::optional<uint32_t> run_end = result_.run_end(pre_offset + pre.length);
    if (pre.feature != run.feature || !run_end || *run_end - run_offset != run.length ||
        pre.replacement_length != run.replacement_length)
      return differ_at(pre_offset, "an alternative has another feature or length");
    if (pre.replacement_length == 0) continue;
    Comparison code = matcher_.compare_snippet(
        *pre.section, pre.begin, pre.begin + pre.replacement_length, run.replacement, depth_ + 1);
    if (!code.same)
      return differ_at(pre_offset, "the replacement of an alternative: " + code.difference.what);
    take_evidence(code, pre_offset);
  }
  return true;
}

// The entry of a site says through which key it is called, and whether it is a tail call.
bool CodeWalk::check_static_calls() {
  size_t count = 0;
  for (const StaticCall& call : static_calls_) {
    auto run = tables_.static_calls.find(addr_ + call.run_at);
    if (run == tables_.static_calls.end())
      return differ_at(call.pre_at, "the image has no static call here");
    count++;
    std::string name = call.trampoline.substr(std::string("__SCT__").size());
    std::set<uint64_t> known;
    for (const std::string& symbol : {"__SCK__" + name, call.trampoline}) {
      for (const RunSymbol* each : image_.find_symbols(symbol)) known.insert(each->addr);
      if (std::optional<uint64_t> import = image_.import_address(symbol)) known.insert(*import);
    }
    if (known.count(run->second.key) == 0)
      return differ_at(call.pre_at, "the static call goes through another key");
    std::optional<Instruction> insn = decode_instruction(code_, call.run_at);
    bool is_call = insn && insn->kind == InstructionKind::Call;
    if (is_call == ((run->second.flags & 1) != 0))
      return differ_at(call.pre_at, "the static call's entry is of another kind");
  }
  if (has_others(tables_.static_calls, count))
    return differ_at(0, "the image has other static calls in this code");
  return true;
}

// A constant that the kernel puts in at its start is a dummy in both: the table alone says which.
bool CodeWalk::check_runtime_constants() {
  size_t count = 0;
  for (auto it = pre_.runtime_constants.lower_bound({&section_, begin_});
       it != pre_.runtime_constants.end() && it->first < CodePlace{&section_, end_};
       ++it, ++count) {
    const uint64_t offset = it->first.second - begin_;
    auto insn =
        std::upper_bound(result_.map.begin(), result_.map.end(), offset,
                         [](uint64_t value, const auto& pair) { return value < pair.first; });
    if (insn == result_.map.begin()) return differ_at(offset, "a runtime constant is in no code");
    --insn;
    const uint64_t place = addr_ + insn->second + (offset - insn->first);
    auto run = tables_.runtime_constants.find(place);
    if (run == tables_.runtime_constants.end() || run->second != it->second.name)
      return differ_at(insn->first, "the runtime constant " + it->second.name +
                                        (run == tables_.runtime_constants.end()
                                             ? " is none in the image"
                                             : " is " + run->second + " in the image"));
    if (!find_constant(image_, run->second, place))
      return differ_at(insn->first,
                       "the kernel has nothing to prove the value of the runtime constant " +
                           run->second + " by");
  }
  if (has_others(tables_.runtime_constants, count))
    return differ_at(0, "the image has other runtime constants in this code");
  return true;
}

bool CodeWalk::check_tables() {
  return check_jump_labels() && check_exceptions() && check_bugs() && check_alternatives() &&
         check_static_calls() && check_runtime_constants() && check_own_references();
}

}  // namespace ksplice
