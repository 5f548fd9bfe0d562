// Which addresses in an update may outlive its undo?
//
// The invariant: after an undo nothing outside of the update holds the address of anything in it;
// an update of which that cannot be shown keeps its memory.
//
// An address of the update's own memory enters the running kernel in one way only: a relocation in
// the update's code or data that leads to something that the update brought along. (References to
// replaced functions lead to the original, see update_object.cc, and what is compiled to the
// address of its own code carries no relocation, but is found by its form.) So each such reference
// in code is followed, instruction by instruction and along every path, until it is known where the
// address goes:
//
//   call, jmp                  nowhere: the frame is on the stack, and the core looks there
//   load, store, compare       nowhere: the address is used and forgotten. What is loaded from a
//                              table of the update that holds such addresses is one of them, and is
//                              followed
//   kept in a register, in     followed. What is somewhere in the frame is in every value that is
//   the frame                  read from the frame, and in the hands of whoever is called and not
//                              known
//   argument of a call         given away, unless the callee is the update's own (followed there)
//                              or is known to keep no pointer (harmless.cc)
//   stored, returned, lost     given away
//
// A pointer that is switched in place is taken back by the undo, and its consent
// (--change-pointers) says that everybody reads it anew each time. What the loader keeps for a
// module's own code (bug table, jump labels, exceptions, ...) it forgets with the module. An
// address in the middle of a function (_THIS_IP_) is printed and compared, and nobody calls it: as
// an argument it does no harm. Whatever is not understood counts as given away.
//
//   timer_setup(&b->timer, beat_other, 0);   movq $beat_other, 0x18(%rbx)     is stored
//   printk("beat %d\n", n);                  movq $.LC0, %rdi; call _printk   nothing
#include "objdiff/diff/given_away.h"

#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "objdiff/arch/registers.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/code.h"

namespace ksplice {

std::string GivenAway::sentence() const {
  return fmt::format("{} {} (in {}+{:#x})", what, how, function, offset);
}

namespace {

using Kind = InstructionKind;

// Set in a state, beside the registers: the frame holds the address; it was pushed for the next
// call.
constexpr Registers InFrame = Registers{1} << 31;
constexpr Registers Pushed = Registers{1} << 30;
constexpr size_t MaxSteps = 50000;
constexpr unsigned MaxDepth = 8;

// A place in the update: of what a reference leads to, or of an instruction.
struct Place {
  const Section* section = nullptr;
  uint64_t offset = 0;
  auto operator<=>(const Place&) const = default;
};

// The address that is being followed.
struct Subject {
  bool holds_addresses = false;  // what is loaded from there is an address of the update, too
  bool is_label = false;         // in the middle of code
};

struct Outcome {
  std::string how;        // not empty: given away
  bool returned = false;  // by the function that was followed
};

// What an instruction that names the address does with it, and what the rest of the code does then.
struct Step {
  Registers state = 0;
  std::string how;
};

// Tables that the loader reads for the module's code, and forgets with it.
bool is_of_the_loader(const Section& section) {
  return !section.is_alloc() || (is_special_section(section) && !section.is_exec());
}

class Follower {
 public:
  // wanted: only these data, and comparisons count (find_known_by_address); null: everything.
  explicit Follower(const Object& update, const std::vector<DataRange>* wanted = nullptr);
  std::vector<GivenAway> find();

 private:
  void add_ways(const Section& table);
  bool is_wanted(const Place& place) const;
  bool is_compared(const RegisterUse& use, const Instruction& instruction, Registers state,
                   bool immediate) const;
  void look_at(const Section& section);
  void judge(const Section& section, const Instruction& instruction, const Place& target,
             uint64_t field);
  void report(const Section& section, const Instruction& instruction, const Place& target,
              const std::string& how);
  Outcome follow(Place from, Registers state, const Subject& subject, unsigned depth);
  Outcome follow_anew(Place from, Registers state, const Subject& subject, unsigned depth);
  Step step(const Section& section, const Instruction& instruction, Registers state,
            const Subject& subject, bool immediate, bool memory) const;
  Outcome call(const Section& section, const Instruction& instruction, Registers& state,
               const Subject& subject, unsigned depth);
  std::string leave(const std::string& callee, Registers state, const Subject& subject) const;
  Subject subject_of(const Place& target) const;
  std::optional<Place> place_of(const Section& section, const Relocation& relocation);
  const CodeMap& code_of(const Section& section);
  const Relocation* branch_relocation(const Section& section, const Instruction& branch) const;
  bool is_entry(const Place& place) const { return entries_.contains(place); }
  bool is_label_table(const Section& section);
  bool has_addresses(const Section& section) const { return with_addresses_.contains(&section); }
  std::string name_of(const Place& place) const;

  const Object& update_;
  const std::vector<DataRange>* wanted_;
  std::map<const Section*, CodeMap> code_;
  std::map<const Section*, std::vector<const Symbol*>> symbols_;
  std::map<const Section*, std::vector<Relocation>> relocations_;  // by offset
  std::set<Place> entries_;                                        // of functions
  std::set<const Section*> with_addresses_;                        // data that hold addresses
  std::multimap<Place, Place> ways_;      // that tables add: jump labels, exceptions, alternatives
  std::map<const Section*, Place> back_;  // from replacement code to behind its site
  std::map<std::tuple<Place, Registers, bool, bool>, Outcome> followed_;
  std::vector<GivenAway> found_;
};

Follower::Follower(const Object& update, const std::vector<DataRange>* wanted)
    : update_(update), wanted_(wanted) {
  for (const auto& symbol : update.symbols) {
    if (symbol->section == nullptr) continue;
    symbols_[symbol->section].push_back(symbol.get());
    if (symbol->is_function()) entries_.insert({symbol->section, symbol->value});
  }
  for (const auto& section : update.sections) {
    std::vector<Relocation>& all = relocations_[section.get()];
    all = section->relocations;
    std::stable_sort(all.begin(), all.end(),
                     [](const Relocation& a, const Relocation& b) { return a.offset < b.offset; });
    if (section->is_exec() || is_of_the_loader(*section)) continue;
    for (const Relocation& relocation : all)
      if (relocation.symbol->section != nullptr && !is_label_table(*section))
        with_addresses_.insert(section.get());
  }
  for (const auto& section : update.sections) add_ways(*section);
}

// An entry has the distance to its site and then that to where the code goes on. In an update each
// stands in a section of its own, and so does the code of an alternative; where many share one, the
// way back from it is not known, and what it does with the address is left out.
void Follower::add_ways(const Section& table) {
  const std::string& name = table.name;
  if (name != "__jump_table" && name != "__ex_table" && name != ".altinstructions") return;
  const std::vector<Relocation>& all = relocations_[&table];
  const bool is_alone = all.size() <= 3;
  if (name == ".altinstructions" && !is_alone) return;
  for (size_t i = 0; i + 1 < all.size(); ++i) {
    if (all[i + 1].offset != all[i].offset + 4) continue;
    const auto site = place_of(table, all[i]), target = place_of(table, all[i + 1]);
    ++i;
    if (!site || !target || !target->section->is_exec()) continue;
    ways_.emplace(*site, *target);
    if (name == ".altinstructions") back_[target->section] = *site;
  }
}

bool Follower::is_wanted(const Place& place) const {
  return wanted_ == nullptr ||
         std::any_of(wanted_->begin(), wanted_->end(), [&](const DataRange& range) {
           // The end is named by a loop that stops there.
           return place.section == range.section && place.offset >= range.begin &&
                  place.offset < range.end;
         });
}

// Whether the address is compared with another one, of which it is not known where it is from.
bool Follower::is_compared(const RegisterUse& use, const Instruction& instruction, Registers state,
                           bool immediate) const {
  if (wanted_ == nullptr) return false;
  const bool is_one = immediate || (use.values & state) != 0;
  const bool is_another = use.reads_memory || (use.values & ~state) != 0;
  return is_one && is_another && (immediate || instruction.imm_size == 0);
}

const CodeMap& Follower::code_of(const Section& section) {
  auto found = code_.find(&section);
  if (found == code_.end()) found = code_.try_emplace(&section, update_, section).first;
  return found->second;
}

// Where in the update the relocation leads, or nullopt: to the kernel.
std::optional<Place> Follower::place_of(const Section& section, const Relocation& relocation) {
  if (relocation.symbol->section == nullptr) return std::nullopt;
  const int64_t offset =
      reloc_target_offset(relocation, section.is_exec() ? &code_of(section) : nullptr);
  return Place{relocation.symbol->section,
               static_cast<uint64_t>(static_cast<int64_t>(relocation.symbol->value) + offset)};
}

// The table of a switch or a computed goto: it leads into the middle of code only.
bool Follower::is_label_table(const Section& section) {
  if (section.is_write() || section.is_exec()) return false;
  const std::vector<Relocation>& all = relocations_[&section];
  return !all.empty() && std::all_of(all.begin(), all.end(), [&](const Relocation& relocation) {
    const Section* to = relocation.symbol->section;
    // A pc-relative entry of a table has its own place in the table in its addend.
    const int64_t own =
        reloc_is_pc_relative(relocation.type) ? static_cast<int64_t>(relocation.offset) : 0;
    const int64_t offset = static_cast<int64_t>(relocation.symbol->value) + relocation.addend - own;
    return to != nullptr && to->is_exec() && !is_entry({to, static_cast<uint64_t>(offset)});
  });
}

Subject Follower::subject_of(const Place& target) const {
  return {.holds_addresses = wanted_ == nullptr && has_addresses(*target.section),
          .is_label = target.section->is_exec() && !is_entry(target)};
}

std::string Follower::name_of(const Place& place) const {
  const Symbol* best = nullptr;
  auto found = symbols_.find(place.section);
  if (found != symbols_.end())
    for (const Symbol* symbol : found->second)
      if (!symbol->is_section() && symbol->value <= place.offset &&
          (best == nullptr || best->value < symbol->value))
        best = symbol;
  if (best != nullptr && !best->name.empty()) return best->name;
  const std::vector<uint8_t>& data = place.section->data;
  std::string text;
  for (uint64_t i = place.offset; i < data.size() && data[i] >= 0x20 && data[i] < 0x7f; ++i)
    text += static_cast<char>(data[i]);
  const bool is_text =
      !text.empty() && place.offset + text.size() < data.size() &&
      (data[place.offset + text.size()] == 0 || data[place.offset + text.size()] == '\n');
  if (is_text && !place.section->is_exec())
    return fmt::format("the text \"{}\"", text.substr(0, 40));
  return "something in " + place.section->name;
}

void Follower::report(const Section& section, const Instruction& instruction, const Place& target,
                      const std::string& how) {
  uint64_t begin = 0;
  for (const Symbol* symbol : symbols_[&section])
    if (symbol->is_function() && symbol->value <= instruction.offset)
      begin = std::max(begin, symbol->value);
  GivenAway away{name_of(target), name_of({&section, instruction.offset}),
                 instruction.offset - begin, how};
  for (const GivenAway& other : found_)
    if (other.what == away.what && other.function == away.function && other.how == away.how) return;
  found_.push_back(std::move(away));
}

const Relocation* Follower::branch_relocation(const Section& section,
                                              const Instruction& branch) const {
  for (const Relocation& relocation : relocations_.at(&section))
    if (relocation.offset == branch.offset + branch.imm_offset) return &relocation;
  return nullptr;
}

// A function outside of the update gets the registers of state, by a jump if nobody comes back.
std::string Follower::leave(const std::string& callee, Registers state,
                            const Subject& subject) const {
  if (subject.is_label || (state & (ArgumentRegisters | InFrame | Pushed)) == 0) return "";
  const std::string name = callee.substr(0, callee.find(".."));
  const Callee* harmless = find_harmless(name);
  const bool holds = subject.holds_addresses || (state & InFrame) != 0;
  if (harmless == nullptr || (harmless->copies && holds))
    return fmt::format("is passed to {}", name.empty() ? "a function" : name);
  return "";
}

Outcome Follower::call(const Section& section, const Instruction& instruction, Registers& state,
                       const Subject& subject, unsigned depth) {
  const Relocation* relocation =
      instruction.kind == Kind::Call ? branch_relocation(section, instruction) : nullptr;
  const Registers arguments = state & ArgumentRegisters;
  const Registers after = state & (SavedRegisters | InFrame);
  std::optional<Place> own;
  if (relocation != nullptr) own = place_of(section, *relocation);
  if (own && arguments != 0 && (state & (InFrame | Pushed)) == 0 && !subject.is_label) {
    const Outcome inside = follow(*own, arguments, subject, depth + 1);
    state = after | (inside.returned ? ResultRegisters : 0);
    return {inside.how, false};
  }
  const std::string callee = relocation != nullptr ? relocation->symbol->name : "";
  Outcome outcome{leave(callee, state, subject), false};
  const Callee* harmless = find_harmless(callee.substr(0, callee.find("..")));
  const bool returns = harmless != nullptr && harmless->returns_first && arguments != 0;
  state = after | (returns ? ResultRegisters : 0);
  return outcome;
}

// One instruction that is no branch. immediate, memory: the address itself is its immediate, or
// where its memory operand is.
Step Follower::step(const Section& section, const Instruction& instruction, Registers state,
                    const Subject& subject, bool immediate, bool memory) const {
  const std::optional<RegisterUse> use = register_use(section.data, instruction);
  if (!use) return {state, "is used by an instruction that is not understood"};
  if (use->only_looks)
    return {state, is_compared(*use, instruction, state, immediate)
                       ? "is compared with what others hold"
                       : ""};
  const bool by_value = immediate || (use->values & state) != 0;
  const bool by_place = memory || (use->places & state) != 0;
  // Any pointer may lead into the frame, but for one to the address itself.
  const bool from_frame =
      (state & InFrame) != 0 && use->reads_memory && (use->is_stack || (use->places & ~state) != 0);
  const bool loads = use->reads_memory && subject.holds_addresses && by_place;
  const bool gains = use->is_address ? by_place || by_value : by_value || loads || from_frame;
  Step result{state & ~use->written, ""};
  if (!gains) return result;
  if (use->writes_other) result.how = "goes into a register that is not followed";
  if (use->writes_memory && !use->is_stack) result.how = "is stored";
  const bool is_push = use->is_stack && use->places == 0;
  if (use->writes_memory && use->is_stack) result.state |= is_push && immediate ? Pushed : InFrame;
  result.state |= use->written | use->partly;
  return result;
}

Outcome Follower::follow(Place from, Registers state, const Subject& subject, unsigned depth) {
  const auto key = std::make_tuple(from, state, subject.holds_addresses, subject.is_label);
  auto known = followed_.find(key);
  if (known != followed_.end()) return known->second;
  if (depth > MaxDepth) return {"goes through too many functions", true};
  followed_[key] = {"", true};  // a recursion finds what the outer call finds
  const Outcome outcome = follow_anew(from, state, subject, depth);
  followed_[key] = outcome;
  return outcome;
}

Outcome Follower::follow_anew(Place from, Registers state, const Subject& subject, unsigned depth) {
  std::map<Place, Registers> seen;
  std::deque<Place> queue;
  Outcome outcome;
  auto go = [&](const Place& place, Registers registers) {
    if (registers == 0) return;
    Registers& known = seen[place];
    if ((known | registers) == known) return;
    known |= registers;
    queue.push_back(place);
  };
  go(from, state);
  for (size_t steps = 0; !queue.empty(); ++steps) {
    if (steps == MaxSteps) return {"goes through too much code", true};
    const Place at = queue.front();
    queue.pop_front();
    Registers now = seen[at];
    const Section& section = *at.section;
    const Instruction* instruction = code_of(section).at(at.offset);
    if (instruction == nullptr || instruction->offset != at.offset) {
      auto back = back_.find(&section);
      if (back == back_.end()) continue;  // behind a call that does not return
      if (const Instruction* site = code_of(*back->second.section).at(back->second.offset))
        go({back->second.section, site->end()}, now);
      continue;
    }
    auto [first, last] = ways_.equal_range(at);
    for (auto way = first; way != last; ++way) go(way->second, now);
    const Place next{&section, instruction->end()};
    switch (instruction->kind) {
      case Kind::Call:
      case Kind::IndirectCall: {
        Outcome inside = call(section, *instruction, now, subject, depth);
        if (!inside.how.empty()) return inside;
        break;
      }
      case Kind::Jump:
      case Kind::CondJump: {
        const Relocation* relocation = branch_relocation(section, *instruction);
        std::optional<Place> own;
        if (relocation != nullptr)
          own = place_of(section, *relocation);
        else
          own = Place{&section, static_cast<uint64_t>(instruction->target)};
        if (own) {
          go(*own, now);
        } else {
          const std::string& callee = relocation->symbol->name;
          const bool is_return = callee.ends_with("return_thunk");
          if (is_return) outcome.returned |= (now & ResultRegisters) != 0;
          std::string how = is_return ? "" : leave(callee, now & ~(InFrame | Pushed), subject);
          const Callee* harmless = find_harmless(callee);
          // Nothing of the update is on the stack then, and an undo does not see the task.
          if (how.empty() && harmless != nullptr && harmless->sleeps && !subject.is_label &&
              (now & ArgumentRegisters) != 0)
            how = fmt::format("is left to {}, which may sleep", callee);
          if (!how.empty()) return {how, true};
        }
        if (instruction->kind == Kind::Jump) continue;
        break;
      }
      case Kind::IndirectJump:
        if (!subject.is_label) return {"cannot be followed through a jump", true};
        continue;
      case Kind::Return:
        outcome.returned |= (now & ResultRegisters) != 0;
        continue;
      case Kind::Trap:  // execution goes on after it in a WARN
      case Kind::Nop:
      case Kind::Int3:
      case Kind::Endbr:
        break;
      case Kind::Other: {
        Step step_taken = step(section, *instruction, now, subject, false, false);
        if (!step_taken.how.empty()) return {step_taken.how, true};
        now = step_taken.state;
        break;
      }
    }
    go(next, now);
  }
  return outcome;
}

// The instruction names the target in the field at that offset.
void Follower::judge(const Section& section, const Instruction& instruction, const Place& target,
                     uint64_t field) {
  if (instruction.is_branch() || !is_wanted(target)) return;
  const Subject subject = subject_of(target);
  if (!target.section->is_exec() && is_label_table(*target.section)) return;
  const bool immediate = instruction.imm_size != 0 && field == instruction.imm_offset;
  const bool memory = instruction.disp_size != 0 && field == instruction.disp_offset;
  if (!immediate && !memory) {
    report(section, instruction, target, "is in a field that is not understood");
    return;
  }
  const bool is_indirect =
      instruction.kind == Kind::IndirectCall || instruction.kind == Kind::IndirectJump;
  if (is_indirect || instruction.kind == Kind::Nop) return;
  const Step first = step(section, instruction, 0, subject, immediate, memory);
  if (!first.how.empty()) {
    report(section, instruction, target, first.how);
    return;
  }
  if (first.state == 0) return;
  const Outcome outcome = follow({&section, instruction.end()}, first.state, subject, 0);
  if (!outcome.how.empty())
    report(section, instruction, target, outcome.how);
  else if (outcome.returned && !subject.is_label)
    report(section, instruction, target, "is returned");
}

void Follower::look_at(const Section& section) {
  const CodeMap& code = code_of(section);
  std::set<uint64_t> with_relocation;
  for (const Relocation& relocation : relocations_[&section]) {
    if (reloc_size(relocation.type) == 0) continue;
    const Instruction* instruction = code.at(relocation.offset);
    if (instruction == nullptr) continue;
    with_relocation.insert(instruction->offset);
    if (const std::optional<Place> target = place_of(section, relocation))
      judge(section, *instruction, *target, relocation.offset - instruction->offset);
  }
  // The assembler itself settles what refers to its own section.
  for (const Instruction& instruction : code.instructions()) {
    if (!instruction.rip_relative || with_relocation.contains(instruction.offset)) continue;
    int32_t distance = 0;
    for (unsigned i = 0; i < 4; ++i)
      distance |= static_cast<int32_t>(
          static_cast<uint32_t>(section.data[instruction.offset + instruction.disp_offset + i])
          << (8 * i));
    const uint64_t target = instruction.end() + static_cast<uint64_t>(int64_t{distance});
    if (target < section.size)
      judge(section, instruction, {&section, target}, instruction.disp_offset);
  }
}

std::vector<GivenAway> Follower::find() {
  for (const auto& section : update_.sections)
    if (section->is_exec()) look_at(*section);
  return std::move(found_);
}

}  // namespace

std::vector<GivenAway> find_given_away(const Object& update) { return Follower(update).find(); }

std::vector<GivenAway> find_known_by_address(const Object& object,
                                             const std::vector<DataRange>& wanted) {
  return Follower(object, &wanted).find();
}

}  // namespace ksplice
