// A global name belongs to the whole target, and the differ sees one unit. Three kinds of change
// look harmless in each unit, and leave the kernel with two things of one name:
//
//   moved     foo() is gone from a.o and new in b.o. The callers in c.o are in the running kernel,
//             and go on calling the old one; a variable would be there twice, each with a state.
//   covered   b.o has a foo() now, and the kernel's is a __weak one of a.o.
//   uncovered a.o had foo(), and without it the __weak one of b.o counts, which the running kernel
//             does not even contain.
//
// What is refused, and why nothing else can go wrong:
//
//   A name that a unit gives away and did not before (ObjectDiff::new_globals) must not be one that
//   the image has as a global, or that a module gets from the kernel. Then nothing that runs can
//   mean it.
//   What has a name that is gone (gone_globals) must not be referred to by running code or data
//   that stays, nor by a unit of the patch as it is now. If another definition counts now, whoever
//   uses the name would be linked to that; without one, nobody can use it, or the patched source
//   would not link. So a use that stays proves that there is another, and none that nobody needs
//   it. Uses are found in the image's bytes: distances and addresses in instructions (decoded from
//   the start of their function), and pointers in data; to the start of a function, and to any
//   byte of a variable.
//   A variable that is gone from one unit and new in another, whatever its binding, is one that
//   moved: its copy would begin with the initial value. So is one of another name and size that a
//   function uses in place of it, wherever the function is.
#include "objdiff/update/global_names.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "objdiff/arch/arch.h"
#include "objdiff/diff/correlate_state.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/dwarf.h"
#include "objdiff/object/section_rules.h"
#include "objdiff/update/update_builder.h"

namespace ksplice {

namespace {

constexpr const char* AlternativesSection = ".altinstr_replacement";

const Symbol* find_global(const Object& object, const std::string& name) {
  for (const auto& symbol : object.symbols)
    if (symbol->name == name && symbol->section != nullptr && symbol->bind != STB_LOCAL)
      return symbol.get();
  return nullptr;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A piece of the running target that the update leaves to nobody.
struct Range {
  uint64_t begin = 0, end = 0;
};

bool is_in(const std::vector<Range>& ranges, uint64_t addr) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& range) { return addr >= range.begin && addr < range.end; });
}

bool is_state(const Symbol& symbol) {
  Atom atom;
  atom.kind = AtomKind::Data, atom.section = symbol.section, atom.symbol = &symbol;
  atom.name = symbol.name, atom.size = symbol.size;
  return is_state(atom);
}

// Names of variables, a function's own with that of the function.
std::string state_name(const DebugInfo& debug, const Symbol& symbol) {
  const std::string plain = plain_name(symbol.name);
  if (plain == symbol.name) return plain;
  return debug.function_of_variable(symbol.section, symbol.value) + "/" + plain;
}

class NameJudge {
 public:
  NameJudge(const std::vector<Unit>& units, const RunImage& image, const RunImage& vmlinux)
      : units_(units), image_(image), vmlinux_(vmlinux) {}

  std::vector<Refusal> run() {
    for (const Unit& unit : units_)
      for (const std::string& name : unit.diff->new_globals) judge_new(unit, name);
    for (const Unit& unit : units_)
      for (const std::string& name : unit.diff->gone_globals) judge_gone(unit, name);
    judge_uses();
    return std::move(refusals_);
  }

 private:
  struct Gone {
    const Unit* unit;
    std::string name;
    uint64_t end;                // behind what a use of it can lead to
    std::vector<Range> may_use;  // of the unit, if the name is its own now
  };

  Refusal& refuse(const char* code, const Unit& unit, const Symbol& symbol, std::string message,
                  std::string advice) {
    Refusal& refusal = refusals_.emplace_back();
    refusal.code = code;
    refusal.object = unit.name;
    refusal.section = symbol.section->name;
    refusal.symbol = symbol.name;
    refusal.message = std::move(message);
    refusal.advice = std::move(advice);
    return refusal;
  }

  // What the image itself has under a global name; an applied update's are found by that update.
  const RunSymbol* running(const std::string& name) const {
    for (const RunSymbol* symbol : image_.find_symbols(name))
      if (symbol->is_global() && symbol->type != 'U' && image_.owner_of(symbol->addr).empty())
        return symbol;
    return nullptr;
  }

  const Unit* unit_without(const std::string& name) const {
    for (const Unit& unit : units_)
      if (has(unit.diff->gone_globals, name)) return &unit;
    return nullptr;
  }

  void judge_new(const Unit& unit, const std::string& name) {
    const Symbol& symbol = *find_global(*unit.post, name);
    if (is_freed_section(symbol.section->name)) return;  // refused or left out as such
    const RunSymbol* old = running(name);
    const bool is_imported =
        old == nullptr && image_.is_module() && vmlinux_.exports.contains(name);
    if (old == nullptr && !is_imported) return;
    const Unit* from = unit_without(name);
    const bool is_weak = old != nullptr && (old->type == 'W' || old->type == 'V');
    const std::string place = is_imported       ? "the kernel exports it"
                              : from != nullptr ? "it was in " + from->name
                              : is_weak         ? fmt::format("{} has a weak one", image_.target)
                                                : fmt::format("{} has another", image_.target);
    refuse("global_moved", unit, symbol,
           fmt::format("{} is defined in {} now, and {}: running code that the update does not "
                       "replace goes on using that one",
                       name, unit.name, place),
           from != nullptr ? fmt::format("keep it in {}, and change it there", from->name)
           : is_weak       ? "change the weak definition, or its callers"
                           : "give it another name, or make it static")
        .expected = is_imported ? "the kernel's" : fmt::format("{} {}", old->type, name);
  }

  // Where the image has what the unit calls name, if it is the unit's. The references to a weak
  // variable may lead to another's.
  std::optional<uint64_t> run_address(const Unit& unit, const Symbol& symbol) const {
    const FunctionMatch* match = unit.match->find(&symbol);
    const bool is_proven = match != nullptr && match->status == MatchStatus::Matched;
    auto found = unit.match->addresses.find(&symbol);
    if (is_proven && found != unit.match->addresses.end()) return found->second;
    const RunSymbol* only = symbol.bind == STB_WEAK ? nullptr : only_global(image_, symbol.name);
    return only == nullptr ? std::nullopt : std::optional(only->addr);
  }

  void judge_gone(const Unit& unit, const std::string& name) {
    const Symbol* symbol = find_global(*unit.pre, name);
    if (symbol == nullptr || is_freed_section(symbol->section->name)) return;
    const bool is_moved = std::any_of(units_.begin(), units_.end(), [&](const Unit& other) {
      return has(other.diff->new_globals, name);
    });
    if (is_moved) return;  // named above
    for (const Unit& other : units_)
      for (const auto& post : other.post->symbols)
        if (post->is_undefined() && post->name == name) {
          refuse_gone(unit, *symbol, other.name);
          return;
        }
    if (has_another_name(unit, *symbol)) return;
    std::optional<uint64_t> addr = run_address(unit, *symbol);
    if (!addr) return;
    const uint64_t size = symbol->section->is_exec() ? 1 : std::max<uint64_t>(symbol->size, 1);
    Gone gone{&unit, name, *addr + size, {}};
    if (unit.post->find_symbol(name) != nullptr) gone.may_use = all_of(unit);
    gone_[*addr] = std::move(gone);
  }

  // Uses of one name cannot be told from those of another.
  static bool has_another_name(const Unit& unit, const Symbol& symbol) {
    return std::any_of(unit.pre->symbols.begin(), unit.pre->symbols.end(), [&](const auto& other) {
      return other->section == symbol.section && other->value == symbol.value &&
             other->bind != STB_LOCAL && other->name != symbol.name &&
             find_global(*unit.post, other->name) != nullptr;
    });
  }

  void refuse_gone(const Unit& unit, const Symbol& symbol, const std::string& user) {
    refuse(
        "global_moved", unit, symbol,
        fmt::format("{} no longer defines {} for others, and {} still uses it: another "
                    "definition (a weak one) counts now, and the update cannot lead there",
                    unit.name, symbol.name, user),
        fmt::format("keep {} in {}, and let it do what the other one does", symbol.name, unit.name))
        .found = "used by " + user;
  }

  // The code and data of the unit that are in the image.
  static std::vector<Range> all_of(const Unit& unit) {
    std::vector<Range> result;
    for (const FunctionMatch& match : unit.match->functions) add_function(unit, match.pre, result);
    for (const DataDiff& data : unit.diff->data) add_datum(unit, data.pre, result);
    return result;
  }

  static void add_function(const Unit& unit, const Symbol* pre, std::vector<Range>& ranges) {
    const FunctionMatch* match = pre == nullptr ? nullptr : unit.match->find(pre);
    if (match == nullptr || match->status != MatchStatus::Matched) return;
    ranges.push_back({match->run.addr, match->run.addr + match->run.bytes.size()});
  }

  static void add_datum(const Unit& unit, const Symbol* pre, std::vector<Range>& ranges) {
    auto found = unit.match->addresses.find(pre);
    if (pre != nullptr && found != unit.match->addresses.end())
      ranges.push_back({found->second, found->second + pre->size});
  }

  // What nobody runs or reads any more, or reads as it is changed.
  std::vector<Range> replaced() const {
    std::vector<Range> result;
    for (const Unit& unit : units_) {
      for (const FunctionDiff& function : unit.diff->functions) {
        if (function.status == DiffStatus::Same) continue;
        add_function(unit, function.carried ? unit.pre->find_symbol(function.name) : function.pre,
                     result);
      }
      for (const DataDiff& data : unit.diff->data)
        if (data.status == DiffStatus::Changed || data.status == DiffStatus::Removed)
          add_datum(unit, data.pre, result);
    }
    return result;
  }

  // Finds who uses what is gone.
  void judge_uses() {
    if (gone_.empty()) return;
    replaced_ = replaced();
    for (const RunSection& section : image_.sections) {
      // What is linked by name is in the sections of content; the others tell of functions.
      const SectionRule* rule = section_rule(section.name);
      if (section.is_code())
        read_code(section);
      else if (rule == nullptr || rule->use == SectionUse::Content)
        read_data(section);
    }
  }

  // What lies there and is gone, or null.
  const Gone* gone_at(uint64_t target) const {
    auto behind = gone_.upper_bound(target);
    if (behind == gone_.begin()) return nullptr;
    const Gone& gone = std::prev(behind)->second;
    return target < gone.end ? &gone : nullptr;
  }

  void read_code(const RunSection& section) {
    const uint64_t first = gone_.begin()->first, last = gone_.rbegin()->second.end;
    for (uint64_t at = 0; at + 4 <= section.data.size(); ++at) {
      int32_t value;
      std::memcpy(&value, section.data.data() + at, sizeof value);
      const auto absolute = static_cast<uint64_t>(static_cast<int64_t>(value));
      // An immediate may stand between a distance and the end of its instruction.
      const uint64_t near = section.addr + at + 4 + absolute;
      for (uint64_t behind : {0, 1, 2, 4})
        if (near + behind >= first && near + behind < last)
          if (const Gone* gone = gone_at(near + behind);
              gone != nullptr && is_distance(section, at, at + 4 + behind))
            judge_use(section, at, *gone);
      if (absolute >= first && absolute < last)
        if (const Gone* gone = gone_at(absolute); gone != nullptr && is_address(section, at))
          judge_use(section, at, *gone);
    }
  }

  // The instruction that has the byte; filling before a function has none.
  std::optional<Instruction> instruction_with(const RunSection& section, uint64_t at) const {
    const RunSymbol* function = image_.symbol_at(section.addr + at);
    const uint64_t begin =
        function == nullptr || function->addr < section.addr ? 0 : function->addr - section.addr;
    for (const Instruction& each : decode_range(section.data, begin, at + 16))
      if (each.end() > at) return each;
    return std::nullopt;
  }

  static bool is_immediate(const Instruction& each, uint64_t at) {
    return each.imm_size == 4 && each.offset + each.imm_offset == at;
  }

  static bool is_displacement(const Instruction& each, uint64_t at) {
    return each.disp_size == 4 && each.offset + each.disp_offset == at;
  }

  // Whether an instruction has a distance there, counted from its end.
  bool is_distance(const RunSection& section, uint64_t at, uint64_t end) const {
    const std::optional<Instruction> each = instruction_with(section, at);
    return each && each->end() == end &&
           ((is_immediate(*each, at) && each->is_branch()) ||
            (is_displacement(*each, at) && each->rip_relative));
  }

  bool is_address(const RunSection& section, uint64_t at) const {
    const std::optional<Instruction> each = instruction_with(section, at);
    return each && ((is_immediate(*each, at) && !each->is_branch()) ||
                    (is_displacement(*each, at) && !each->rip_relative));
  }

  void read_data(const RunSection& section) {
    for (uint64_t at = (8 - section.addr % 8) % 8; at + 8 <= section.data.size(); at += 8) {
      uint64_t value;
      std::memcpy(&value, section.data.data() + at, sizeof value);
      if (const Gone* gone = gone_at(value)) judge_use(section, at, *gone);
    }
  }

  void judge_use(const RunSection& section, uint64_t at, const Gone& gone) {
    const uint64_t place = section.addr + at;
    // The code of alternatives lies there when the kernel starts, and then in a function.
    if (image_.is_freed(place) && section.name != AlternativesSection) return;
    if (is_in(replaced_, place) || is_in(gone.may_use, place)) return;
    const RunSymbol* user = image_.symbol_at(place);
    if (user != nullptr && image_.bodies.contains(user->addr)) return;  // replaced by another
    if (!named_.insert(gone.end).second) return;
    refuse_gone(*gone.unit, *find_global(*gone.unit->pre, gone.name),
                user != nullptr ? user->name : fmt::format("{}+{:#x}", section.name, at));
  }

  const std::vector<Unit>& units_;
  const RunImage& image_;
  const RunImage& vmlinux_;
  std::vector<Refusal> refusals_;
  std::map<uint64_t, Gone> gone_;  // by run address
  std::set<uint64_t> named_;       // the ends of these
  std::vector<Range> replaced_;
};

// A variable that holds state, and that the differ found to be new, or gone.
struct State {
  const std::string* target;
  const Unit* unit;
  const Symbol* symbol;
  std::string name;             // state_name()
  std::set<std::string> users;  // functions of any unit that refer to it, as the source names them
};

std::vector<State> find_states(const std::map<std::string, std::vector<Unit>>& targets,
                               DiffStatus status) {
  const bool is_new = status == DiffStatus::New;
  std::vector<State> states;
  for (const auto& [target, units] : targets)
    for (const Unit& unit : units) {
      const DebugInfo debug(is_new ? *unit.post : *unit.pre);  // reads when it is asked
      for (const DataDiff& data : unit.diff->data) {
        const Symbol* symbol = is_new ? data.post : data.pre;
        if (data.status == status && symbol != nullptr && is_state(*symbol))
          states.push_back({&target, &unit, symbol, state_name(debug, *symbol), {}});
      }
    }
  return states;
}

void add_users(const std::map<std::string, std::vector<Unit>>& targets, bool is_post,
               std::vector<State>& states) {
  std::map<const Symbol*, State*> by_symbol;
  std::map<std::string, State*> by_name;  // what other units can use
  for (State& state : states) {
    by_symbol[state.symbol] = &state;
    if (state.symbol->bind != STB_LOCAL) by_name[state.symbol->name] = &state;
  }
  auto used = [&](const Reference& reference) -> State* {
    if (reference.atom != nullptr) {
      auto found = by_symbol.find(reference.atom->symbol);
      return found == by_symbol.end() ? nullptr : found->second;
    }
    auto found = reference.symbol == nullptr ? by_name.end() : by_name.find(reference.symbol->name);
    return found == by_name.end() ? nullptr : found->second;
  };
  for (const auto& [target, units] : targets)
    for (const Unit& unit : units) {
      const Atoms atoms(is_post ? *unit.post : *unit.pre);
      for (const Atom& atom : atoms.all())
        for (const Relocation* relocation : atoms.relocations(atom))
          if (State* state = used(atoms.resolve(*atom.section, *relocation));
              state != nullptr && atom.is_function())
            state->users.insert(plain_name(atom.name));
    }
}

// Whether the new one is what the one that is gone was: by its name and size, or as a function that
// used that one uses this.
bool is_successor(const State& gone, const State& now) {
  if (gone.unit == now.unit) return false;  // judged by the differ
  if (gone.name == now.name && gone.symbol->size == now.symbol->size) return true;
  return std::any_of(now.users.begin(), now.users.end(),
                     [&](const std::string& user) { return gone.users.contains(user); });
}

Refusal refuse_successor(const State& gone, const State& now) {
  Refusal refusal;
  refusal.code = "state_lost";
  refusal.object = now.unit->name;
  refusal.section = now.symbol->section->name;
  refusal.symbol = now.symbol->name;
  const bool is_renamed = gone.name != now.name;
  refusal.message = fmt::format(
      "{} was in {} and is in {} now{}: what the running kernel keeps in it would be lost, and "
      "begin anew with the initial value",
      gone.symbol->name, gone.unit->name, now.unit->name,
      is_renamed ? ", as " + now.symbol->name : "");
  refusal.advice = fmt::format(
      "keep it in {}, and reach it from there; if {} is another variable, of which the initial "
      "value is right in a kernel that runs, use --begin-anew={}",
      gone.unit->name, now.symbol->name, now.symbol->name);
  refusal.expected = gone.symbol->name;
  refusal.found = now.symbol->name;
  return refusal;
}

}  // namespace

std::vector<Refusal> refuse_moved_state(const std::map<std::string, std::vector<Unit>>& targets) {
  std::vector<State> gone = find_states(targets, DiffStatus::Removed);
  std::vector<State> added = find_states(targets, DiffStatus::New);
  std::vector<Refusal> refusals;
  if (gone.empty() || added.empty()) return refusals;
  add_users(targets, false, gone);
  add_users(targets, true, added);
  for (const State& now : added) {
    auto old = std::find_if(gone.begin(), gone.end(),
                            [&](const State& each) { return is_successor(each, now); });
    if (old == gone.end()) continue;
    const bool is_global = has(now.unit->diff->new_globals, now.symbol->name) &&
                           has(old->unit->diff->gone_globals, now.symbol->name);
    if (is_global && *old->target == *now.target) continue;  // global_moved
    refusals.push_back(refuse_successor(*old, now));
  }
  return refusals;
}

std::vector<Refusal> refuse_moved_names(const std::vector<Unit>& units, const RunImage& image,
                                        const RunImage& vmlinux) {
  return NameJudge(units, image, vmlinux).run();
}

}  // namespace ksplice
