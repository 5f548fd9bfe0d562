// The differ's stages in order. Each is a step over plain values: atoms (atoms.h), correlation
// (correlate.h), comparison (compare.h), closure over fragments and constants (here), and what must
// be refused (diff_refusals.h).
//
// Example: a patch adds a check to tcp_v4_send_check_x, which gcc inlines into tcp_v4_rcv. The name
// tables say that both objects have tcp_v4_rcv; the comparison finds the first instruction that
// differs; tcp_v4_rcv.cold is Changed with it as a fragment, because code jumps between the two;
// the string that the new check prints is part of the function and not reported by itself.
//
// Not seen here: what other units refer to, and whether pre is what runs; run_pre.h proves that.
#include "objdiff/diff/section_diff.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "objdiff/diff/compare.h"
#include "objdiff/diff/correlate.h"
#include "objdiff/diff/diff_refusals.h"
#include "objdiff/diff/moved.h"
#include "objdiff/diff/old_code.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/dwarf.h"
#include "objdiff/object/special_tables.h"

namespace ksplice {

namespace {

bool is_reported(const Atom& atom) {
  return atom.symbol != nullptr && (atom.kind == AtomKind::Function || atom.kind == AtomKind::Data);
}

// Of the moved object that is compared: the object whose place it takes, and its symbols there.
struct Original {
  const Object& object;
  const PreSymbols& symbols;
};

class Differ {
 public:
  Differ(const Object& pre, const Object& post, const Original* original = nullptr)
      : pre_(pre),
        post_(post),
        pre_tables_(pre_),
        post_tables_(post_),
        pre_debug_(pre),
        post_debug_(post),
        correlation_(correlate(pre_, post_, pre_tables_, post_tables_, pre_debug_, post_debug_)),
        pre_code_tables_(pre_),
        post_code_tables_(post_),
        comparer_(pre_, post_, correlation_, pre_tables_, post_tables_, pre_code_tables_,
                  post_code_tables_),
        original_(original) {
    if (original != nullptr) original_debug_.emplace(original->object);
  }

  ObjectDiff run(const PairFacts& facts) {
    compare_functions();
    compare_data();
    users_of_changed_constants();
    fragments();
    carry_unredirectable();
    fragments();
    bring_label_tables();
    list_removed();
    explain();
    correlate_symbols();
    DiffContext context{pre_,       post_,       correlation_, pre_tables_, post_tables_,
                        pre_debug_, post_debug_, facts,        diff_};
    Findings findings = find_refusals(context);
    diff_.refusals = std::move(findings.refusals);
    diff_.notes = std::move(findings.notes);
    for (FunctionDiff& function : diff_.functions) {
      function.reshaped = findings.reshaped.contains(function.post);
      function.start_only = findings.start_only.contains(function.post);
      if (auto found = findings.misled.find(function.pre); found != findings.misled.end())
        function.misled = found->second;
    }
    conclude();
    return std::move(diff_);
  }

 private:
  void compare_functions() {
    for (const Atom& post : post_.all()) {
      if (!is_reported(post) || !post.is_function()) continue;
      FunctionDiff function;
      function.name = post.name;
      function.section = post.section->name;
      function.post = post.symbol;
      if (const Atom* pre = correlation_.pre(&post)) {
        function.pre = pre->symbol;
        if (Difference difference = comparer_.functions(*pre, post)) {
          function.status = DiffStatus::Changed;
          Reason reason;
          reason.kind = difference.kind == DifferenceKind::Code       ? "code"
                        : difference.kind == DifferenceKind::Constant ? "constant"
                                                                      : "special";
          reason.detail = difference.detail;
          reason.before = difference.before;
          reason.offset = difference.offset;
          function.reasons.push_back(std::move(reason));
        }
      } else {
        function.status = DiffStatus::New;
        function.reasons.push_back({"new", "", "", 0, ""});
      }
      index_[&post] = diff_.functions.size();
      diff_.functions.push_back(std::move(function));
    }
  }

  void compare_data() {
    for (const Atom& post : post_.all()) {
      if (!is_reported(post) || post.is_function()) continue;
      DataDiff data;
      data.name = post.name;
      data.section = post.section->name;
      data.post = post.symbol;
      if (const Atom* pre = correlation_.pre(&post)) {
        data.pre = pre->symbol;
        if (is_label_table(*pre, post)) {
          // Compared and decided with its function.
        } else if (const Difference difference = comparer_.data(*pre, post)) {
          data.status = DiffStatus::Changed;
          data.offset = difference.offset;
          data.places = comparer_.changed_places(*pre, post);
          // Live objects point to a table of operations: its users never get a copy of their own.
          const bool is_table = refers_to_code(pre_, *pre) || refers_to_code(post_, post);
          data.brought = is_table && is_private_table(*pre, post);
          if (data.brought) data.places = {};
          if (data.brought || (is_local_constant(post) && !is_table))
            changed_constants_.insert(&post);
        }
      } else {
        data.status = DiffStatus::New;
      }
      diff_.data.push_back(std::move(data));
    }
  }

  // Neither an old holder of its address nor the old body of a function can go on using it.
  bool is_private_table(const Atom& pre, const Atom& post) const {
    auto is_private = [](const Atoms& atoms, const CodeTables& tables, const Atom& atom) {
      return tables.is_private(atom) && !leads_inside(atoms, atom);
    };
    return is_private(pre_, pre_code_tables_, pre) && is_private(post_, post_code_tables_, post);
  }

  bool is_label_table(const Atom& pre, const Atom& post) const {
    return !pre_code_tables_.owner(pre).empty() && !post_code_tables_.owner(post).empty();
  }

  // The labels of a computed goto are those of one body: a new one brings its own table.
  void bring_label_tables() {
    std::set<std::string> included;
    for (const FunctionDiff& function : diff_.functions)
      if (function.post != nullptr && function.status != DiffStatus::Same)
        included.insert(function.name);
    for (DataDiff& data : diff_.data) {
      if (data.post == nullptr || data.pre == nullptr) continue;
      const Atom &pre = *pre_.of(data.pre), &post = *post_.of(data.post);
      if (!is_label_table(pre, post) || !included.contains(post_code_tables_.owner(post))) continue;
      data.status = DiffStatus::Changed;
      data.brought = true;
    }
  }

  // A function that refers to a changed local constant is changed with it, and so is a constant
  // that refers to one.
  void users_of_changed_constants() {
    bool more = !changed_constants_.empty();
    while (more) {
      more = false;
      for (const Atom& atom : post_.all()) {
        const bool constant = is_local_constant(atom) && !changed_constants_.contains(&atom);
        auto function = index_.find(&atom);
        const bool same = function != index_.end() &&
                          diff_.functions[function->second].status == DiffStatus::Same;
        if (!constant && !same) continue;
        for (const Relocation* relocation : post_.relocations(atom)) {
          const Reference reference = post_.resolve(*atom.section, *relocation);
          if (reference.atom == nullptr || !changed_constants_.contains(reference.atom)) continue;
          if (constant) {
            changed_constants_.insert(&atom);
            mark_data_changed(atom);
            more = true;
          } else {
            FunctionDiff& entry = diff_.functions[function->second];
            entry.status = DiffStatus::Changed;
            entry.reasons.push_back(
                {"constant", reference.atom->name, "", relocation->offset - atom.entry, ""});
          }
          break;
        }
      }
    }
  }

  void mark_data_changed(const Atom& atom) {
    for (DataDiff& data : diff_.data)
      if (data.post == atom.symbol && data.status == DiffStatus::Same)
        data.status = DiffStatus::Changed;
  }

  // foo and foo.cold are one function in two places.
  void fragments() {
    std::map<std::string, size_t> by_name;
    for (size_t i = 0; i < diff_.functions.size(); ++i) by_name[diff_.functions[i].name] = i;
    for (size_t i = 0; i < diff_.functions.size(); ++i) {
      const std::string parent = fragment_parent(diff_.functions[i].name);
      auto found = by_name.find(parent);
      if (parent.empty() || found == by_name.end()) continue;
      FunctionDiff& fragment = diff_.functions[i];
      FunctionDiff& whole = diff_.functions[found->second];
      if (whole.status != DiffStatus::Same && fragment.status == DiffStatus::Same) {
        fragment.status = DiffStatus::Changed;
        fragment.reasons.push_back({"fragment", whole.name, "", 0, ""});
      } else if (whole.status == DiffStatus::Same && fragment.status != DiffStatus::Same) {
        whole.status = DiffStatus::Changed;
        whole.reasons.push_back({"fragment", fragment.name, "", 0, ""});
      }
    }
  }

  // An inline function that was not inlined has no ftrace site (linux/compiler_types.h makes inline
  // imply notrace), and is called from this unit only: when all its callers are replaced, nobody
  // runs the old one any more. Functions that the author made notrace are refused instead.
  void carry_unredirectable() {
    for (bool more = true; more;) {
      more = false;
      for (size_t i = 0; i < diff_.functions.size(); ++i) {
        FunctionDiff& function = diff_.functions[i];
        if (function.status != DiffStatus::Changed || function.pre == nullptr) continue;
        const Atom* post = post_.of(function.post);
        const Atom* pre = pre_.of(function.pre);
        if (!can_carry(*pre, *post)) continue;
        const std::vector<size_t> callers = callers_of(post);
        if (callers.empty()) continue;
        function.status = DiffStatus::New;
        function.carried = true;
        function.left = std::exchange(function.pre, nullptr);
        carried_.insert(post);
        function.reasons.push_back(
            {"carried", "has no ftrace site; its callers are replaced", "", 0, ""});
        more = true;
        for (size_t caller : callers) {
          FunctionDiff& user = diff_.functions[caller];
          if (user.status != DiffStatus::Same) continue;
          user.status = DiffStatus::Changed;
          user.reasons.push_back({"callee", function.name, "", 0, ""});
        }
        // Its fragment comes along as new, too.
        for (FunctionDiff& fragment : diff_.functions) {
          if (fragment.post == nullptr || fragment_parent(fragment.name) != function.name) continue;
          carried_.insert(post_.of(fragment.post));
          fragment.status = DiffStatus::New;
          fragment.carried = true;
          fragment.left = std::exchange(fragment.pre, nullptr);
        }
      }
    }
  }

  bool can_carry(const Atom& pre, const Atom& post) const {
    if (!fragment_parent(pre.name).empty() || pre_tables_.has_ftrace_site(pre)) return false;
    if (is_init_section(pre.section->name) || is_assembly_unit()) return false;
    if (pre.symbol->bind != STB_LOCAL || post.symbol->bind != STB_LOCAL) return false;
    if (!post.section->name.starts_with(".text")) return false;
    const std::optional<SourceLine> line = post_debug_.line_at(post.section, post.entry);
    if (!is_compiler_made(post.name) && !(line && line->file.ends_with(".h"))) return false;
    // A site elsewhere in the unit shows that functions are traced here at all.
    if (!traced_unit()) return false;
    return !address_taken(pre_, pre) && !address_taken(post_, post);
  }

  bool traced_unit() const {
    return std::any_of(pre_.all().begin(), pre_.all().end(), [&](const Atom& atom) {
      return atom.is_function() && pre_tables_.has_ftrace_site(atom);
    });
  }

  bool is_assembly_unit() const { return is_assembly(post_.object(), post_debug_); }

  // Places in diff_.functions of those that call function in post, without start code.
  std::vector<size_t> callers_of(const Atom* function) const {
    std::vector<size_t> result;
    for (const auto& [atom, place] : index_) {
      if (atom == function || is_init_section(atom->section->name)) continue;
      if (fragment_parent(atom->name) == function->name) continue;
      for (const Relocation* relocation : post_.relocations(*atom))
        if (post_.resolve(*atom->section, *relocation).atom == function) {
          result.push_back(place);
          break;
        }
    }
    std::sort(result.begin(), result.end());
    return result;
  }

  void list_removed() {
    std::set<std::string> gone_fragments;
    for (const Atom& pre : pre_.all()) {
      if (!is_reported(pre) || correlation_.post(&pre) != nullptr) continue;
      if (pre.is_function()) {
        FunctionDiff function;
        function.name = pre.name;
        function.section = pre.section->name;
        function.status = DiffStatus::Removed;
        function.pre = pre.symbol;
        function.left = pre.symbol;
        diff_.functions.push_back(std::move(function));
        if (const std::string parent = fragment_parent(pre.name); !parent.empty())
          gone_fragments.insert(parent);
      } else {
        DataDiff data;
        data.name = pre.name;
        data.section = pre.section->name;
        data.status = DiffStatus::Removed;
        data.pre = pre.symbol;
        diff_.data.push_back(std::move(data));
      }
    }
  }

  void explain() {
    for (FunctionDiff& function : diff_.functions) {
      if (function.post == nullptr) continue;
      for (Reason& reason : function.reasons) {
        const Section* section = function.post->section;
        const uint64_t place = function.post->value + reason.offset;
        if (std::optional<SourceLine> line = post_debug_.line_at(section, place))
          reason.source = fmt::format("{}:{}", line->file, line->line);
        if (reason.kind != "code") continue;
        const std::string inlined = changed_inlined(function, place);
        if (inlined.empty()) continue;
        reason.kind = "inlined";
        reason.detail = fmt::format("{}: {}", inlined, reason.detail);
      }
    }
  }

  // The function inlined at place (in post's section) or elsewhere in function that is the reason
  // for the difference, or "" for its own code. Registers are given out anew when anything changes,
  // so what is inlined at the first differing instruction need not be what changed. An edit moves
  // the lines behind it: where most lines differ, the edit is, in the unit's own file rather than
  // in a header, whose small functions lose and gain lines by themselves. One that leaves the lines
  // alone is where the instruction is.
  std::string changed_inlined(const FunctionDiff& function, uint64_t place) const {
    const Atom& post = *post_.of(function.post);
    const Atom& pre = *correlation_.pre(&post);  // a carried function has one, too
    // Its own lines, as moved ones would hide where the edit is.
    const Symbol* own = original_ != nullptr ? original_->symbols.of(pre.symbol) : nullptr;
    auto was = own != nullptr ? original_debug_->lines_by_inlined(own->section, own->value,
                                                                  own->value + own->size)
                              : pre_debug_.lines_by_inlined(pre.section, pre.entry, pre.end());
    auto now = post_debug_.lines_by_inlined(post.section, post.entry, post.end());
    auto moved = [&](const std::string& name) {
      std::vector<int> lines;
      std::ranges::set_symmetric_difference(was[name].lines, now[name].lines,
                                            std::back_inserter(lines));
      return std::pair(!lines.empty() && !now[name].in_header, lines.size());
    };
    const std::string here = post_debug_.inlined_at(post.section, place);
    std::string most = moved("") > moved(here) ? "" : here;
    for (const auto& [name, unused] : now)
      if (was.contains(name) && moved(name) > moved(most)) most = name;
    return most;
  }

  // The old body of a carried function stays, for no one; nothing of post is it.
  const Atom* partner(const Atom* post) const {
    return post == nullptr || carried_.contains(post) ? nullptr : correlation_.pre(post);
  }

  void correlate_symbols() {
    std::map<std::string, const Symbol*> undefined, absolute;
    for (const auto& symbol : pre_.object().symbols) {
      if (symbol->is_undefined())
        undefined[symbol->name] = symbol.get();
      else if (symbol->section == nullptr && symbol->type != STT_FILE)
        absolute[symbol->name] = symbol.get();
    }
    for (const auto& symbol : post_.object().symbols) {
      if (symbol->is_section() || symbol->type == STT_FILE) continue;
      if (symbol->section == nullptr) {
        const auto& table = symbol->is_undefined() ? undefined : absolute;
        auto found = table.find(symbol->name);
        if (found != table.end()) diff_.correlation[symbol.get()] = found->second;
        continue;
      }
      const Atom* post = post_.of(symbol.get());
      const Atom* pre = partner(post);
      if (pre == nullptr) continue;
      if (symbol.get() == post->symbol) {
        diff_.correlation[symbol.get()] = pre->symbol;
        if (is_made_global(*pre->symbol, *symbol)) diff_.made_global.push_back(symbol->name);
        continue;
      }
      // Another name of the same thing.
      std::vector<const Symbol*> names = pre->aliases;
      names.push_back(pre->symbol);
      for (const Symbol* name : names)
        if (plain_name(name->name) == plain_name(symbol->name))
          diff_.correlation[symbol.get()] = name;
    }
  }

  static std::set<std::string> global_names(const Object& object) {
    std::set<std::string> names;
    for (const auto& symbol : object.symbols)
      if (symbol->section != nullptr && symbol->section->is_alloc() && symbol->bind != STB_LOCAL)
        names.insert(symbol->name);
    return names;
  }

  void conclude() {
    const std::set<std::string> was = global_names(pre_.object()),
                                is = global_names(post_.object());
    std::ranges::set_difference(is, was, std::back_inserter(diff_.new_globals));
    std::ranges::set_difference(was, is, std::back_inserter(diff_.gone_globals));
    diff_.identical = diff_.refusals.empty();
    for (const FunctionDiff& function : diff_.functions)
      if (function.status != DiffStatus::Same) diff_.identical = false;
    for (const DataDiff& data : diff_.data)
      if (data.status != DiffStatus::Same) diff_.identical = false;
  }

  const Atoms pre_;
  const Atoms post_;
  const SpecialTables pre_tables_;
  const SpecialTables post_tables_;
  const DebugInfo pre_debug_;
  const DebugInfo post_debug_;
  const Correlation correlation_;
  const CodeTables pre_code_tables_;
  const CodeTables post_code_tables_;
  Comparer comparer_;
  const Original* original_;
  std::optional<DebugInfo> original_debug_;
  ObjectDiff diff_;
  std::map<const Atom*, size_t>
      index_;  // by address, only for look-up; post function -> place in diff_.functions
  std::set<const Atom*> changed_constants_;
  std::set<const Atom*> carried_;
};

}  // namespace

bool is_made_global(const Symbol& pre, const Symbol& post) {
  return pre.bind == STB_LOCAL && post.bind != STB_LOCAL;
}

ObjectDiff diff_objects(const Object& pre, const Object& post, const Object* moved,
                        const PairFacts& facts) {
  if (moved == nullptr) return Differ(pre, post).run(facts);
  const PreSymbols symbols(pre, *moved);
  ObjectDiff diff;
  if (symbols.refusal()) {
    diff.identical = false;
    diff.refusals.push_back(*symbols.refusal());
    return diff;
  }
  const Original original = {pre, symbols};
  diff = Differ(*moved, post, &original).run(facts);
  for (FunctionDiff& function : diff.functions) {
    if (function.post == nullptr) function.name = symbols.of(function.pre)->name;
    function.pre = symbols.of(function.pre);
    function.left = symbols.of(function.left);
  }
  for (DataDiff& data : diff.data) {
    if (data.post == nullptr) data.name = symbols.of(data.pre)->name;
    data.pre = symbols.of(data.pre);
  }
  for (auto& [post_symbol, pre_symbol] : diff.correlation) pre_symbol = symbols.of(pre_symbol);
  return diff;
}

}  // namespace ksplice
