#include "objdiff/diff/correlate.h"

#include <elf.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <tuple>

#include "objdiff/diff/correlate_state.h"
#include "objdiff/diff/diff_refusals.h"
#include "objdiff/diff/uses.h"

namespace ksplice {

const Atom* Correlation::pre(const Atom* post) const {
  auto found = to_pre.find(post);
  return found == to_pre.end() ? nullptr : found->second;
}

const Atom* Correlation::post(const Atom* pre) const {
  auto found = to_post.find(pre);
  return found == to_post.end() ? nullptr : found->second;
}

void Correlation::add(const Atom* pre, const Atom* post) {
  to_pre[post] = pre;
  to_post[pre] = post;
}

std::string fragment_parent(const std::string& name) {
  const size_t at = name.rfind(".cold");
  if (at == std::string::npos || at == 0) return "";
  for (size_t i = at + 5; i < name.size(); ++i)
    if (name[i] != '.' && !std::isdigit(static_cast<unsigned char>(name[i]))) return "";
  return name.substr(0, at);
}

bool is_compiler_made(const std::string& name) {
  const auto marks = {".constprop.", ".isra.", ".part."};
  return std::ranges::any_of(marks, [&](const char* mark) { return name.find(mark) != name.npos; });
}

namespace {

bool is_named(const Atom& atom) {
  return atom.symbol != nullptr && (atom.kind == AtomKind::Function || atom.kind == AtomKind::Data);
}

bool is_numbered(const Atom& atom) { return plain_name(atom.name) != atom.name; }

// Data may move between sections of one access class; anything else makes it another thing. What
// was start code is freed: where it is to stay with the patch, that is another function.
bool may_be_same(const Atom& pre, const Atom& post) {
  if (pre.is_function() && is_init_section(pre.section->name) &&
      !is_init_section(post.section->name))
    return false;
  return pre.kind == post.kind;
}

// Constants that the compiler and macros make anew with every compilation: with another content it
// is another thing. An author's constant of such a name is not numbered.
bool is_remade(const Atom& atom) {
  if (atom.kind != AtomKind::Data || keeps_state(atom)) return false;
  const std::string name = plain_name(atom.name);
  if (name.starts_with("switch.table.") || name == "__unnamed") return true;
  const size_t dot = name.rfind('.');  // clang: "function.__msg"
  if (dot == std::string::npos && name == atom.name) return false;
  const std::string last = dot == std::string::npos ? name : name.substr(dot + 1);
  for (const char* known : {"__func__", "__FUNCTION__", "__PRETTY_FUNCTION__", "_entry", "CSWTCH",
                            "__msg", "__key", "_alloc_tag", "___tp_str"})
    if (last == known) return true;
  return false;
}

class Correlator {
 public:
  Correlator(const Atoms& pre, const Atoms& post, const SpecialTables& pre_tables,
             const SpecialTables& post_tables, const DebugInfo& pre_debug,
             const DebugInfo& post_debug)
      : pre_(pre),
        post_(post),
        pre_uses_(pre, pre_tables),
        post_uses_(post, post_tables),
        pre_debug_(pre_debug),
        post_debug_(post_debug),
        alike_(find_alike(pre, post, pre_debug, post_debug)) {}

  Correlation run() {
    by_unique_name();
    group_rest();
    identical_functions();
    by_declaring_function();
    // Two rounds: what the first learns about functions tells more about what they refer to.
    for (int round = 0; round < 2; ++round) {
      pair_references();
      by_users();
      by_order_of_use();
    }
    by_position();
    leftovers();
    part_remade();
    list_ambiguous();
    return std::move(result_);
  }

 private:
  struct Group {
    std::vector<const Atom*> pre, post;
  };

  bool open_pre(const Atom* atom) const { return !result_.to_post.contains(atom); }
  bool open_post(const Atom* atom) const { return !result_.to_pre.contains(atom); }

  bool join(const Atom* pre, const Atom* post) {
    if (!open_pre(pre) || !open_post(post) || !may_be_same(*pre, *post)) return false;
    if (keeps_state(*pre) && declared_elsewhere(*pre, *post)) return false;
    result_.add(pre, post);
    return true;
  }

  // Two functions have each a static variable of one name.
  bool declared_elsewhere(const Atom& pre, const Atom& post) const {
    const std::string was = pre_debug_.function_of_variable(pre.section, pre.offset);
    const std::string is = post_debug_.function_of_variable(post.section, post.offset);
    return !was.empty() && !is.empty() && was != is;
  }

  std::map<std::string, std::vector<const Atom*>> names(const Atoms& atoms) const {
    std::map<std::string, std::vector<const Atom*>> result;
    for (const Atom& atom : atoms.all())
      if (is_grouped(atom)) result[atom.name].push_back(&atom);
    return result;
  }

  void by_unique_name() {
    const auto pre = names(pre_), post = names(post_);
    for (const auto& [name, atoms] : post) {
      auto found = pre.find(name);
      if (atoms.size() != 1 || found == pre.end() || found->second.size() != 1) continue;
      if (!is_numbered(*atoms.front())) join(found->second.front(), atoms.front());
    }
    // An alias that became the primary name, or the other way round.
    for (const Atom& atom : post_.all()) {
      if (!is_named(atom) || is_numbered(atom)) continue;
      std::vector<const Symbol*> all = {atom.symbol};
      all.insert(all.end(), atom.aliases.begin(), atom.aliases.end());
      for (const Symbol* name : all) {
        const Symbol* symbol = pre_.object().find_symbol(name->name);
        if (symbol == nullptr || symbol->bind == STB_LOCAL) continue;
        const Atom* other = pre_.of(symbol);
        if (other != nullptr && is_named(*other)) join(other, &atom);
      }
    }
  }

  // Everything still open, by plain name and kind.
  void group_rest() {
    for (const Atom& atom : pre_.all())
      if (is_grouped(atom) && open_pre(&atom)) groups_[key(atom)].pre.push_back(&atom);
    for (const Atom& atom : post_.all())
      if (is_grouped(atom) && open_post(&atom)) groups_[key(atom)].post.push_back(&atom);
    for (auto& [name, group] : groups_)
      if (group.pre.size() == 1 && group.post.size() == 1)
        join(group.pre.front(), group.post.front());
  }

  bool is_grouped(const Atom& atom) const {
    return is_named(atom) && !is_macro_state(atom) && !alike_.contains(&atom);
  }

  static std::string key(const Atom& atom) {
    std::string key = plain_name(atom.name);
    key += atom.is_function() ? '(' : '=';
    return key;
  }

  static bool same_bytes(const Atom& a, const Atom& b) {
    const uint64_t size = a.end() - a.entry;
    if (size != b.end() - b.entry) return false;
    if (a.section->data.size() < a.end() || b.section->data.size() < b.end())
      return a.section->data.empty() && b.section->data.empty();
    return std::equal(a.section->data.begin() + a.entry, a.section->data.begin() + a.end(),
                      b.section->data.begin() + b.entry);
  }

  // Equal content as far as can be said before the correlation is known: bytes, strings by text,
  // everything else by plain name.
  bool similar(const Atom& pre, const Atom& post) const {
    const std::vector<uint8_t>&a = pre.section->data, &b = post.section->data;
    if (pre.size != post.size || pre.is_function())
      return pre.is_function() && same_bytes(pre, post);
    const std::vector<Use> x = pre_uses_.of(pre), y = post_uses_.of(post);
    if (x.size() != y.size()) return false;
    if (a.size() < pre.end() || b.size() < post.end()) return a.empty() && b.empty();
    if (!std::equal(a.begin() + pre.offset, a.begin() + pre.end(), b.begin() + post.offset))
      return false;
    for (size_t i = 0; i < x.size(); ++i) {
      const Reference &l = x[i].reference, &r = y[i].reference;
      if (x[i].offset != y[i].offset || (l.atom == nullptr) != (r.atom == nullptr)) return false;
      if (l.atom == nullptr) {
        if (l.symbol != nullptr && r.symbol != nullptr && l.symbol->name != r.symbol->name)
          return false;
      } else if (l.atom->kind == AtomKind::String && r.atom->kind == AtomKind::String) {
        if (!same_bytes(*l.atom, *r.atom)) return false;
      } else if (plain_name(l.atom->name) != plain_name(r.atom->name)) {
        return false;
      }
    }
    return true;
  }

  // Clones that changed places (foo.constprop.0 and .1) are told apart by their code.
  void identical_functions() {
    for (auto& [name, group] : groups_) {
      if (!name.ends_with('(')) continue;
      for (const Atom* post : group.post) {
        if (!open_post(post)) continue;
        const Atom* best = nullptr;
        for (const Atom* pre : group.pre)
          if (open_pre(pre) && same_bytes(*pre, *post) &&
              (best == nullptr || pre->name == post->name))
            best = pre;
        if (best != nullptr) join(best, post);
      }
      for (const Atom* post : group.post)
        for (const Atom* pre : group.pre)
          if (pre->name == post->name) join(pre, post);
    }
  }

  // Functions and data with the same shape name the same things at the same places.
  void pair_references() {
    if (!anything_open()) return;
    std::vector<std::pair<const Atom*, const Atom*>> pairs(result_.to_pre.begin(),
                                                           result_.to_pre.end());
    std::sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) {
      return std::tie(a.first->section->index, a.first->offset) <
             std::tie(b.first->section->index, b.first->offset);
    });
    for (const auto& [post, pre] : pairs) {
      const std::vector<Use> a = pre_uses_.of(*pre), b = post_uses_.of(*post);
      if (a.size() != b.size() || pre->size != post->size) continue;
      const bool shape = std::equal(a.begin(), a.end(), b.begin(), [](const Use& x, const Use& y) {
        return x.offset == y.offset && x.type == y.type;
      });
      if (!shape) continue;
      for (size_t i = 0; i < a.size(); ++i) {
        const Atom *x = a[i].reference.atom, *y = b[i].reference.atom;
        if (x == nullptr || y == nullptr || !is_grouped(*x) || !is_grouped(*y)) continue;
        if (key(*x) == key(*y) && a[i].reference.offset == b[i].reference.offset) join(x, y);
      }
    }
  }

  std::vector<const Atom*> open_state(const std::vector<const Atom*>& atoms, bool post) const {
    std::vector<const Atom*> result;
    for (const Atom* atom : atoms)
      if (keeps_state(*atom) && (post ? open_post(atom) : open_pre(atom))) result.push_back(atom);
    return result;
  }

  // Static variables of functions: the debug information knows whose each is, inlined or not.
  void by_declaring_function() {
    for (auto& [name, group] : groups_) {
      const std::vector<const Atom*> pre = open_state(group.pre, false);
      const std::vector<const Atom*> post = open_state(group.post, true);
      if (pre.empty() || post.empty()) continue;
      std::map<std::string, Group> by_function;
      for (const Atom* atom : pre)
        by_function[pre_debug_.function_of_variable(atom->section, atom->offset)].pre.push_back(
            atom);
      for (const Atom* atom : post)
        by_function[post_debug_.function_of_variable(atom->section, atom->offset)].post.push_back(
            atom);
      for (const auto& [function, pair] : by_function)
        if (!function.empty() && pair.pre.size() == 1 && pair.post.size() == 1)
          join(pair.pre.front(), pair.post.front());
    }
  }

  // As many in post as in pre, and one function uses them by the same instructions in the same
  // order.
  void by_order_of_use() {
    for (auto& [name, group] : groups_) {
      const std::vector<const Atom*> pre = open_state(group.pre, false);
      const std::vector<const Atom*> post = open_state(group.post, true);
      if (pre.size() < 2 || pre.size() != post.size()) continue;
      for (const auto& [function, old] : pairs_of_functions()) {
        std::vector<const Atom*> old_order, order;
        if (pattern(pre_, *old, pre, old_order) != pattern(post_, *function, post, order)) continue;
        for (size_t i = 0; i < order.size(); ++i) join(old_order[i], order[i]);
      }
    }
  }

  std::vector<std::pair<const Atom*, const Atom*>> pairs_of_functions() const {
    std::vector<std::pair<const Atom*, const Atom*>> result;
    for (const Atom& atom : post_.all())
      if (const Atom* pre = atom.is_function() ? result_.pre(&atom) : nullptr; pre != nullptr)
        result.emplace_back(&atom, pre);
    return result;
  }

  // Every use of one of wanted in function: which of them, by first use, and the instruction's
  // opcode.
  static std::vector<std::pair<size_t, int>> pattern(const Atoms& atoms, const Atom& function,
                                                     const std::vector<const Atom*>& wanted,
                                                     std::vector<const Atom*>& order) {
    std::vector<std::pair<size_t, int>> result;
    for (const Relocation* relocation : atoms.relocations(function)) {
      const Atom* target = atoms.resolve(*function.section, *relocation).atom;
      if (std::find(wanted.begin(), wanted.end(), target) == wanted.end()) continue;
      auto place = std::find(order.begin(), order.end(), target);
      const size_t rank = static_cast<size_t>(place - order.begin());
      if (place == order.end()) order.push_back(target);
      const Instruction* instruction = atoms.code(*function.section)->at(relocation->offset);
      result.emplace_back(
          rank, instruction == nullptr
                    ? -1
                    : function.section->data[instruction->offset + instruction->opcode_offset]);
    }
    return result;
  }

  void by_position() {
    const StateContext context{
        pre_uses_,  post_uses_,
        pre_debug_, post_debug_,
        alike_,     [this](const Atom& pre, const Atom& post) { return similar(pre, post); }};
    result_.ambiguous = correlate_macro_state(context, result_);
    std::sort(result_.ambiguous.begin(), result_.ambiguous.end(), [](const Atom* a, const Atom* b) {
      return std::tie(a->section->index, a->offset) < std::tie(b->section->index, b->offset);
    });
  }

  void list_ambiguous() {
    for (const auto& [name, group] : groups_) {
      const std::vector<const Atom*> post = open_state(group.post, true);
      if (!open_state(group.pre, false).empty())
        result_.ambiguous.insert(result_.ambiguous.end(), post.begin(), post.end());
    }
  }

  bool anything_open() const {
    for (const auto& [name, group] : groups_)
      for (const Atom* atom : group.post)
        if (open_post(atom) && !group.pre.empty()) return true;
    return false;
  }

  static std::string base_function(const std::string& name) {
    return name.substr(0, name.find('.'));
  }

  // Who refers to each open atom, as base function names in order, with the rank among its group.
  std::map<const Atom*, std::vector<std::string>> users(const Atoms& atoms, bool post) const {
    std::set<const Atom*> wanted;
    for (const auto& [name, group] : groups_)
      for (const Atom* atom : post ? group.post : group.pre)
        if (post ? open_post(atom) : open_pre(atom)) wanted.insert(atom);
    std::map<const Atom*, std::vector<std::string>> result;
    if (wanted.empty()) return result;
    for (const Atom& atom : atoms.all()) {
      if (!is_named(atom)) continue;
      const std::string base =
          atom.is_function() ? base_function(atom.name) : plain_name(atom.name);
      std::map<std::string, std::vector<const Atom*>> seen;  // by key, in order
      for (const Use& use : (post ? post_uses_ : pre_uses_).of(atom)) {
        const Atom* target = use.reference.atom;
        if (target == nullptr || !wanted.contains(target)) continue;
        std::vector<const Atom*>& order = seen[key(*target)];
        if (std::find(order.begin(), order.end(), target) != order.end()) continue;
        order.push_back(target);
        result[target].push_back(base);
      }
    }
    for (auto& [atom, names] : result) {
      std::sort(names.begin(), names.end());
      names.erase(std::unique(names.begin(), names.end()), names.end());
    }
    return result;
  }

  void by_users() {
    const auto pre_users = users(pre_, false), post_users = users(post_, true);
    auto users_of = [](const auto& all, const Atom* atom) {
      auto found = all.find(atom);
      return found == all.end() ? std::vector<std::string>() : found->second;
    };
    auto overlap = [](const std::vector<std::string>& a, const std::vector<std::string>& b) {
      return std::any_of(a.begin(), a.end(), [&](const std::string& name) {
        return std::binary_search(b.begin(), b.end(), name);
      });
    };
    auto fits = [&](int level, const Atom& pre, const Atom& post) {
      const std::vector<std::string> ours = users_of(pre_users, &pre);
      const std::vector<std::string> theirs = users_of(post_users, &post);
      if (theirs.empty()) return false;
      const bool same = ours == theirs;
      if (level == 0) return same && similar(pre, post);
      if (level == 1) return overlap(ours, theirs) && similar(pre, post);
      return level == 2 ? same && pre.size == post.size : overlap(ours, theirs);
    };
    for (auto& [name, group] : groups_) {
      // Strict first: all users and the content; then users and size; then any common user.
      for (int level = 0; level < 4; ++level) {
        for (const Atom* post : group.post) {
          if (!open_post(post)) continue;
          for (const Atom* pre : group.pre) {
            if (!open_pre(pre) || !fits(level, *pre, *post)) continue;
            auto other_post = [&](const Atom* other) {
              return other != post && open_post(other) && fits(level, *pre, *other);
            };
            auto other_pre = [&](const Atom* other) {
              return other != pre && open_pre(other) && fits(level, *other, *post);
            };
            if (keeps_state(*post) &&
                (std::any_of(group.post.begin(), group.post.end(), other_post) ||
                 std::any_of(group.pre.begin(), group.pre.end(), other_pre)))
              break;
            if (join(pre, post)) break;
          }
        }
      }
    }
  }

  // Moved between functions: one of each left, or the same content.
  void leftovers() {
    for (auto& [name, group] : groups_) {
      for (const Atom* post : group.post)
        for (const Atom* pre : group.pre)
          if (open_post(post) && open_pre(pre) && similar(*pre, *post) && !keeps_state(*pre))
            join(pre, post);
      std::vector<const Atom*> pre, post;
      for (const Atom* atom : group.pre)
        if (open_pre(atom)) pre.push_back(atom);
      for (const Atom* atom : group.post)
        if (open_post(atom)) post.push_back(atom);
      if (pre.size() == 1 && post.size() == 1) join(pre.front(), post.front());
    }
  }

  void part_remade() {
    std::vector<std::pair<const Atom*, const Atom*>> parted;
    for (const auto& [post, pre] : result_.to_pre)
      if (is_remade(*post) && is_remade(*pre) && !similar(*pre, *post) && !is_in_data(pre_, *pre) &&
          !is_in_data(post_, *post))
        parted.emplace_back(pre, post);
    for (const auto& [pre, post] : parted) {
      result_.to_pre.erase(post);
      result_.to_post.erase(pre);
    }
  }

  // Whether other data holds its address.
  static bool is_in_data(const Atoms& atoms, const Atom& atom) {
    for (const Atom& holder : atoms.all())
      if (holder.kind == AtomKind::Data)
        for (const Relocation* relocation : atoms.relocations(holder))
          if (atoms.resolve(*holder.section, *relocation).atom == &atom) return true;
    return false;
  }

  const Atoms& pre_;
  const Atoms& post_;
  const Uses pre_uses_;
  const Uses post_uses_;
  const DebugInfo& pre_debug_;
  const DebugInfo& post_debug_;
  const std::set<const Atom*> alike_;
  Correlation result_;
  std::map<std::string, Group> groups_;
};

}  // namespace

Correlation correlate(const Atoms& pre, const Atoms& post, const SpecialTables& pre_tables,
                      const SpecialTables& post_tables, const DebugInfo& pre_debug,
                      const DebugInfo& post_debug) {
  return Correlator(pre, post, pre_tables, post_tables, pre_debug, post_debug).run();
}

}  // namespace ksplice
