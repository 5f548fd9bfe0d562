#include "objdiff/diff/correlate_state.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "objdiff/diff/align.h"
#include "objdiff/object/section_rules.h"

namespace ksplice {

namespace {

constexpr size_t MostCells = 4'000'000;  // of an alignment: 2000 instructions against 2000

// An instruction alone counts 1, one that refers to something 2.
constexpr int MessageWeight = 16;

// One place in a function, as the alignment sees it.
struct Token {
  size_t text = 0;  // a number for it
  int weight = 1;
  const Atom* wanted = nullptr;   // the variable that it refers to
  std::set<std::string> strings;  // near it
};

// The name that a macro gave a static local variable; "" for an author's own in the file.
std::string last_name(const Atom& atom) {
  const std::string name = plain_name(atom.name);
  const size_t dot = name.rfind('.');  // clang: "function.__warned"
  if (dot == std::string::npos && name == atom.name) return "";
  return dot == std::string::npos ? name : name.substr(dot + 1);
}

// Flags of what is done once.
bool is_once(const Atom& atom) {
  using namespace std::string_view_literals;
  static constexpr std::array Names = {"__already_done"sv, "__warned"sv, "__print_once"sv,
                                       "___done"sv, "___once_key"sv};
  return atom.kind == AtomKind::Data && atom.symbol != nullptr &&
         std::find(Names.begin(), Names.end(), last_name(atom)) != Names.end();
}

class StateCorrelator {
 public:
  StateCorrelator(const StateContext& context, Correlation& correlation)
      : c_(context), correlation_(correlation) {}

  std::vector<const Atom*> run() {
    collect(c_.pre.atoms(), open_pre_);
    collect(c_.post.atoms(), open_post_);
    if (open_pre_.empty() || open_post_.empty()) return {};
    for (const Atom* pre : open_pre_)
      for (const Atom* post : open_post_)
        if (may_be(*pre, *post)) candidates_[pre].insert(post);
    for (const Atom& post : c_.post.atoms().all())
      if (const Atom* pre = post.is_function() ? correlation_.pre(&post) : nullptr; pre != nullptr)
        align_functions(*pre, post);
    settle();
    by_declaring_function();
    part_others();
    return {ambiguous_.begin(), ambiguous_.end()};
  }

 private:
  using Variables = std::set<const Atom*>;

  // What the uses of a variable say it may be now.
  struct Places {
    Variables all, agreed;
    bool is_used = false;
    void narrow(const Variables& places, const Variables& mentioned) {
      if (!is_used) agreed = places;
      std::erase_if(agreed, [&](const Atom* atom) { return !places.contains(atom); });
      all.insert(mentioned.begin(), mentioned.end());
      is_used = true;
    }
    void take(const Atom* post) {
      all.erase(post);
      agreed.erase(post);
    }
  };

  bool is_open(const Atom& atom) const { return is_macro_state(atom) || c_.alike.contains(&atom); }

  void collect(const Atoms& atoms, std::vector<const Atom*>& open) const {
    for (const Atom& atom : atoms.all())
      if (is_open(atom)) open.push_back(&atom);
  }

  std::string declared_in(const Atom& atom, bool post) const {
    return (post ? c_.post_debug : c_.pre_debug).function_of_variable(atom.section, atom.offset);
  }

  bool may_be(const Atom& pre, const Atom& post) const {
    if (plain_name(pre.name) != plain_name(post.name) || pre.size != post.size ||
        pre.section->name.starts_with(".data..once") !=
            post.section->name.starts_with(".data..once"))
      return false;
    const std::string was = declared_in(pre, false), is = declared_in(post, true);
    if (!was.empty() && !is.empty() && was != is) return false;
    // The kernel has read a descriptor's text already: with another one it is another's.
    return post.section->name != "__dyndbg" || c_.similar(pre, post);
  }

  std::string token_text(const Use& use, bool post, const Atom& function) const {
    const Section& section = *function.section;
    const Atoms& atoms = post ? c_.post.atoms() : c_.pre.atoms();
    std::string text;
    if (use.offset <= function.size)
      if (const Instruction* i = atoms.code(section)->at(function.entry + use.offset); i != nullptr)
        text = opcode_text(section, *i, use.type != 0);
    const Atom* target = use.reference.atom;
    if (target == nullptr)
      return text + (use.reference.symbol != nullptr ? " " + use.reference.symbol->name : "");
    if (is_open(*target)) return text + " =" + plain_name(target->name);
    if (target->kind == AtomKind::String) return text + " " + string_of(*target);
    const Atom* known = post ? target : correlation_.post(target);
    return text + " " + (known != nullptr ? known : target)->name;
  }

  // Without registers, which the compiler gives out anew with every change; and without the fields
  // that are relocated or lead elsewhere.
  static std::string opcode_text(const Section& section, const Instruction& i, bool relocated) {
    const uint8_t* at = section.data.data() + i.offset;
    std::string text(at + i.opcode_offset, at + std::min<size_t>(i.opcode_offset + 2, i.size));
    if (i.modrm_offset != 0) text.resize(i.modrm_offset - i.opcode_offset);
    if (i.is_branch() || relocated) return text;
    if (i.disp_size != 0) text.append(at + i.disp_offset, at + i.disp_offset + i.disp_size);
    if (i.imm_size != 0) text.append(at + i.imm_offset, at + i.imm_offset + i.imm_size);
    return text;
  }

  std::vector<Token> tokens(const std::vector<Use>& uses, bool post, const Atom& function) {
    std::vector<Token> result;
    for (const Use& use : uses) {
      Token& token = result.emplace_back();
      token.text = texts_.try_emplace(token_text(use, post, function), texts_.size()).first->second;
      const Atom* target = use.reference.atom;
      if (target != nullptr) token.weight = target->kind == AtomKind::String ? MessageWeight : 2;
      if (target == nullptr || !is_open(*target)) continue;
      token.wanted = target;
      token.strings = strings_near(post ? c_.post : c_.pre, function, use.offset);
    }
    return result;
  }

  int weight(const Token& a, const Token& b) const {
    if (a.text != b.text) return 0;
    if (a.wanted == nullptr) return a.weight;
    auto found = candidates_.find(a.wanted);
    if (found == candidates_.end() || !found->second.contains(b.wanted)) return 0;
    int common = 0;
    for (const std::string& text : a.strings) common += b.strings.contains(text) ? 1 : 0;
    return a.weight + MessageWeight * common;
  }

  static std::set<std::string> strings_near(const Uses& uses, const Atom& function,
                                            uint64_t offset) {
    std::set<std::string> strings;
    for (const Atom* atom : uses.things_near(function, offset))
      if (atom->kind == AtomKind::String) strings.insert(string_of(*atom));
    return strings;
  }

  Variables wanted_of(const std::vector<Use>& uses) const {
    Variables result;
    for (const Use& use : uses)
      if (use.reference.atom != nullptr && is_open(*use.reference.atom))
        result.insert(use.reference.atom);
    return result;
  }

  // What every use in one function says: which of post each variable of pre may be there.
  void align_functions(const Atom& pre, const Atom& post) {
    const Variables old = wanted_of(c_.pre.of(pre)), now = wanted_of(c_.post.of(post));
    if (old.empty() || now.empty()) return;
    std::vector<Use> a = c_.pre.with_code(pre), b = c_.post.with_code(post);
    if (a.size() * b.size() > MostCells) a = c_.pre.of(pre), b = c_.post.of(post);
    if (a.size() * b.size() > MostCells) return;
    const std::vector<Token> first = tokens(a, false, pre), second = tokens(b, true, post);
    const auto beside = lay_beside(first, second);
    std::map<const Atom*, Places> here;
    for (size_t i = 0; i < first.size(); ++i) {
      if (first[i].wanted == nullptr || beside[i].empty()) continue;
      Variables places;
      for (size_t j : beside[i]) places.insert(second[j].wanted);
      here[first[i].wanted].narrow(places, places);
    }
    for (const Atom* variable : old)
      for (const Atom* other : now)
        if (!here[variable].all.contains(other)) apart_.insert({variable, other});
    for (const Atom* variable : old)
      if (const Places& places = here[variable]; places.is_used)
        allowed_[variable].narrow(places.agreed, places.all);
  }

  std::vector<std::vector<size_t>> lay_beside(const std::vector<Token>& first,
                                              const std::vector<Token>& second) const {
    const bool same = std::equal(first.begin(), first.end(), second.begin(), second.end(),
                                 [&](const Token& a, const Token& b) { return weight(a, b) > 0; });
    if (!same)
      return align(first.size(), second.size(),
                   [&](size_t i, size_t j) { return weight(first[i], second[j]); });
    std::vector<std::vector<size_t>> result(first.size());
    for (size_t i = 0; i < result.size(); ++i) result[i] = {i};
    return result;
  }

  // Takes what is certain, and with that excludes it for others, until nothing changes.
  void settle() {
    for (bool more = true; more;) {
      more = false;
      std::map<const Atom*, Variables> claims;  // by post
      for (const auto& [pre, places] : allowed_)
        if (places.agreed.size() == 1 && correlation_.post(pre) == nullptr)
          claims[*places.agreed.begin()].insert(pre);
      for (const auto& [post, claimants] : claims) {
        if (claimants.size() != 1) continue;
        correlation_.add(*claimants.begin(), post);
        more = true;
        for (auto& [other, places] : allowed_)
          if (other != *claimants.begin()) places.take(post);
      }
    }
    for (const auto& [pre, places] : allowed_)
      if (correlation_.post(pre) == nullptr)
        for (const Atom* post : places.all)
          if (correlation_.pre(post) == nullptr) ambiguous_.insert(post);
  }

  // Variables whose uses moved between functions, as inlining goes: one of a kind in the function
  // that declares it is the same.
  void by_declaring_function() {
    std::map<std::pair<std::string, std::string>, std::pair<Variables, Variables>> left;
    auto key = [&](const Atom& atom, bool post) {
      return std::pair(plain_name(atom.name), declared_in(atom, post));
    };
    for (const Atom* pre : open_pre_)
      if (correlation_.post(pre) == nullptr) left[key(*pre, false)].first.insert(pre);
    for (const Atom* post : open_post_)
      if (correlation_.pre(post) == nullptr) left[key(*post, true)].second.insert(post);
    for (const auto& [unused, variables] : left) {
      const auto& [pre, post] = variables;
      auto possible = [&](const Atom* was, const Atom* is) {
        auto found = candidates_.find(was);
        return found != candidates_.end() && found->second.contains(is) &&
               !apart_.contains({was, is});
      };
      for (const Atom* is : post) {
        Variables from;
        std::copy_if(pre.begin(), pre.end(), std::inserter(from, from.end()),
                     [&](const Atom* was) { return possible(was, is); });
        if (from.empty()) continue;
        const auto rivals = std::count_if(post.begin(), post.end(), [&](const Atom* other) {
          return possible(*from.begin(), other);
        });
        if (from.size() == 1 && rivals == 1 && !declared_in(*is, true).empty() &&
            !ambiguous_.contains(is))
          correlation_.add(*from.begin(), is);
        else
          ambiguous_.insert(is);
      }
    }
  }

  // What is done with a flag: the texts, and the variables of names that say something.
  struct Deed {
    std::set<std::string> strings;
    Variables variables;
  };

  std::map<const Atom*, Deed> deeds(const Uses& uses) const {
    std::map<const Atom*, Deed> result;
    for (const Atom& function : uses.atoms().all()) {
      if (!function.is_function()) continue;
      for (const Use& use : uses.of(function)) {
        const Atom* flag = use.reference.atom;
        if (flag == nullptr || !is_once(*flag)) continue;
        Deed& deed = result[flag];
        for (const Atom* atom : uses.things_near(function, use.offset))
          if (atom->kind == AtomKind::String)
            deed.strings.insert(string_of(*atom));
          else if (atom->kind == AtomKind::Data && atom->section->is_write() && !is_open(*atom))
            deed.variables.insert(atom);
      }
    }
    return result;
  }

  // Takes apart flags of one place by which another thing is done now.
  void part_others() {
    const std::map<const Atom*, Deed> was = deeds(c_.pre), is = deeds(c_.post);
    for (const auto& [post, now] : is) {
      const Atom* pre = correlation_.pre(post);
      auto before = was.find(pre);
      if (pre == nullptr || before == was.end()) continue;
      const Deed& old = before->second;
      const bool has_text =
          std::any_of(now.strings.begin(), now.strings.end(),
                      [&](const auto& each) { return old.strings.contains(each); });
      Variables kept;
      for (const Atom* variable : old.variables) kept.insert(correlation_.post(variable));
      const bool has_variable = std::any_of(now.variables.begin(), now.variables.end(),
                                            [&](const Atom* each) { return kept.contains(each); });
      const bool is_other_text = !has_text && !old.strings.empty() && !now.strings.empty();
      const bool is_other_variable =
          !has_variable &&
          std::any_of(now.variables.begin(), now.variables.end(),
                      [&](const Atom* each) { return correlation_.pre(each) == nullptr; });
      if (has_text || has_variable || (!is_other_text && !is_other_variable)) continue;
      correlation_.to_pre.erase(post);
      correlation_.to_post.erase(pre);
    }
  }

  const StateContext& c_;
  Correlation& correlation_;
  std::vector<const Atom*> open_pre_, open_post_;
  std::map<const Atom*, Variables> candidates_;          // of post, by what it is
  std::map<const Atom*, Places> allowed_;                // of these, by how it is used
  std::map<std::string, size_t> texts_;                  // numbers of tokens
  std::set<std::pair<const Atom*, const Atom*>> apart_;  // used in one function, at other places
  std::set<const Atom*> ambiguous_;
};

}  // namespace

bool is_macro_state(const Atom& atom) {
  if (atom.kind != AtomKind::Data || atom.symbol == nullptr || atom.symbol->bind != STB_LOCAL ||
      !atom.section->is_write() || atom.size == 0)
    return false;
  if (atom.section->name == "__dyndbg") return true;
  using namespace std::string_view_literals;
  static constexpr std::array Names = {"_rs"sv, "__key"sv};
  const std::string name = last_name(atom);
  return is_once(atom) || std::find(Names.begin(), Names.end(), name) != Names.end();
}

bool is_state(const Atom& atom) {
  const SectionRule* rule = section_rule(atom.section->name);
  return atom.section->is_write() && atom.size != 0 && !is_macro_state(atom) &&
         !atom.section->name.starts_with(".data.rel.ro") &&
         (rule == nullptr || rule->use == SectionUse::Content);
}

bool keeps_state(const Atom& atom) {
  return atom.kind == AtomKind::Data && atom.section->is_write() && atom.size > 0 &&
         atom.section->name != "alloc_tags" && atom.section->name != "__tracepoint_str";
}

std::string source_name(const Atom& atom) {
  const std::string name = plain_name(atom.name);
  return name.substr(name.rfind('.') + 1);
}

std::set<const Atom*> find_alike(const Atoms& pre, const Atoms& post, const DebugInfo& pre_debug,
                                 const DebugInfo& post_debug) {
  using Group = std::pair<std::vector<const Atom*>, std::vector<const Atom*>>;  // of pre, of post
  auto is_several = [](const Group& group) {
    return group.first.size() > 1 || group.second.size() > 1;
  };
  std::map<std::string, Group> by_name;
  auto add = [&](const Atoms& atoms, auto member) {
    for (const Atom& atom : atoms.all())
      if (atom.symbol != nullptr && keeps_state(atom) && atom.symbol->bind == STB_LOCAL)
        (by_name[source_name(atom)].*member).push_back(&atom);
  };
  add(pre, &Group::first);
  add(post, &Group::second);
  std::set<const Atom*> alike;
  for (const auto& [name, group] : by_name) {
    if (!is_several(group)) continue;
    std::map<std::string, Group> by_function;
    for (const Atom* atom : group.first)
      by_function[pre_debug.function_of_variable(atom->section, atom->offset)].first.push_back(
          atom);
    for (const Atom* atom : group.second)
      by_function[post_debug.function_of_variable(atom->section, atom->offset)].second.push_back(
          atom);
    for (const auto& [function, own] : by_function) {
      if (function.empty() || !is_several(own)) continue;
      alike.insert(own.first.begin(), own.first.end());
      alike.insert(own.second.begin(), own.second.end());
    }
  }
  return alike;
}

std::vector<const Atom*> correlate_macro_state(const StateContext& context,
                                               Correlation& correlation) {
  return StateCorrelator(context, correlation).run();
}

}  // namespace ksplice
