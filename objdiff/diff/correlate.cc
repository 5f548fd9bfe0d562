#include "objdiff/diff/correlate.h"

#include <elf.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <tuple>

#include "objdiff/diff/line_numbers.h"

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

bool is_interchangeable(const Atom& atom) {
  if (atom.kind != AtomKind::Data) return false;
  const std::string name = plain_name(atom.name);
  const size_t dot = name.rfind('.');  // clang: "function.__key"
  const std::string last = dot == std::string::npos ? name : name.substr(dot + 1);
  for (const char* known : {"__key", "__already_done", "__warned", "__func__", "__FUNCTION__",
                            "__PRETTY_FUNCTION__", "_rs", "_entry", "_entry_ptr", "descriptor",
                            "_alloc_tag", "__print_once", "CSWTCH", "__msg", "__unnamed"})
    if (last == known) return true;
  return atom.section->name == "__dyndbg" || atom.section->name == "alloc_tags" ||
         atom.section->name == ".data..once" || atom.section->name == ".data.once" ||
         name.starts_with("__UNIQUE_ID_ddebug") || name.starts_with("switch.table.");
}

namespace {

bool is_named(const Atom& atom) {
  return atom.symbol != nullptr && (atom.kind == AtomKind::Function || atom.kind == AtomKind::Data);
}

bool is_numbered(const Atom& atom) { return plain_name(atom.name) != atom.name; }

// Data may move between sections of one access class; anything else makes it another thing.
bool may_be_same(const Atom& pre, const Atom& post) { return pre.kind == post.kind; }

// References of one atom in order, as the correlation sees them.
struct Use {
  uint64_t offset;  // in the atom
  uint32_t type;
  Reference reference;
};

class Correlator {
 public:
  Correlator(const Atoms& pre, const Atoms& post, const SpecialTables& pre_tables,
             const SpecialTables& post_tables, const DebugInfo& pre_debug,
             const DebugInfo& post_debug)
      : pre_(pre),
        post_(post),
        pre_tables_(pre_tables),
        post_tables_(post_tables),
        pre_debug_(pre_debug),
        post_debug_(post_debug) {}

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
    leftovers();
    by_name_without_line();
    part_interchangeable();
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
    result_.add(pre, post);
    return true;
  }

  static std::map<std::string, std::vector<const Atom*>> names(const Atoms& atoms) {
    std::map<std::string, std::vector<const Atom*>> result;
    for (const Atom& atom : atoms.all())
      if (is_named(atom)) result[atom.name].push_back(&atom);
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
      if (!is_named(atom) || !open_post(&atom) || is_numbered(atom)) continue;
      const Symbol* symbol = pre_.object().find_symbol(atom.name);
      if (symbol == nullptr || symbol->bind == STB_LOCAL) continue;
      const Atom* other = pre_.of(symbol);
      if (other != nullptr && is_named(*other)) join(other, &atom);
    }
  }

  // Everything still open, by plain name and kind.
  void group_rest() {
    for (const Atom& atom : pre_.all())
      if (is_named(atom) && open_pre(&atom)) groups_[key(atom)].pre.push_back(&atom);
    for (const Atom& atom : post_.all())
      if (is_named(atom) && open_post(&atom)) groups_[key(atom)].post.push_back(&atom);
    for (auto& [name, group] : groups_)
      if (group.pre.size() == 1 && group.post.size() == 1)
        join(group.pre.front(), group.post.front());
  }

  static std::string key(const Atom& atom) {
    std::string key = plain_name(atom.name);
    key += atom.is_function() ? '(' : '=';
    return key;
  }

  std::vector<Use> uses(const Atoms& atoms, const Atom& atom) const {
    std::vector<Use> result;
    for (const Relocation* relocation : atoms.relocations(atom))
      if (relocation->offset >= atom.entry)
        result.push_back({relocation->offset - atom.entry, relocation->type,
                          atoms.resolve(*atom.section, *relocation)});
    if (!atom.is_function()) return result;
    // Keys that only the function's jump table entries name (pr_debug without descriptor argument).
    uint64_t place = uint64_t{1} << 32;
    for (const TableEntry& entry : (&atoms == &pre_ ? pre_tables_ : post_tables_).of(&atom)) {
      if (entry.section->name != "__jump_table") continue;
      for (const Relocation& relocation : entry.relocations())
        result.push_back({place + relocation.offset - entry.offset, relocation.type,
                          atoms.resolve(*entry.section, relocation)});
      place += entry.size;
    }
    return result;
  }

  static bool same_bytes(const Atom& a, const Atom& b) {
    const uint64_t size = a.end() - a.entry;
    if (size != b.end() - b.entry) return false;
    if (a.section->data.size() < a.end() || b.section->data.size() < b.end())
      return a.section->data.empty() && b.section->data.empty();
    return std::equal(a.section->data.begin() + a.entry, a.section->data.begin() + a.end(),
                      b.section->data.begin() + b.entry);
  }

  // Equal content as far as can be said before the correlation is known: bytes without line
  // numbers, strings by text, everything else by plain name.
  bool similar(const Atom& pre, const Atom& post) const {
    const std::vector<uint8_t>&a = pre.section->data, &b = post.section->data;
    if (pre.size != post.size || pre.is_function())
      return pre.is_function() && same_bytes(pre, post);
    const std::vector<Use> x = uses(pre_, pre), y = uses(post_, post);
    if (x.size() != y.size()) return false;
    if (a.size() < pre.end() || b.size() < post.end()) return a.empty() && b.empty();
    std::vector<uint8_t> left(a.begin() + pre.offset, a.begin() + pre.end());
    std::vector<uint8_t> right(b.begin() + post.offset, b.begin() + post.end());
    for (const auto& [begin, end] : line_fields(post_, post))
      for (uint64_t at = begin; at < std::min<uint64_t>(end, left.size()); ++at)
        left[at] = right[at] = 0;
    if (left != right) return false;
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
      const std::vector<Use> a = uses(pre_, *pre), b = uses(post_, *post);
      if (a.size() != b.size() || pre->size != post->size) continue;
      const bool shape = std::equal(a.begin(), a.end(), b.begin(), [](const Use& x, const Use& y) {
        return x.offset == y.offset && x.type == y.type;
      });
      if (!shape) continue;
      for (size_t i = 0; i < a.size(); ++i) {
        const Atom *x = a[i].reference.atom, *y = b[i].reference.atom;
        if (x == nullptr || y == nullptr || !is_named(*x) || !is_named(*y)) continue;
        if (key(*x) == key(*y) && a[i].reference.offset == b[i].reference.offset) join(x, y);
      }
    }
  }

  // Where one state must not become another's.
  static bool holds_state(const Atom& atom) {
    return atom.kind == AtomKind::Data && atom.section->is_write() && !is_interchangeable(atom);
  }

  std::vector<const Atom*> open_state(const std::vector<const Atom*>& atoms, bool post) const {
    std::vector<const Atom*> result;
    for (const Atom* atom : atoms)
      if (holds_state(*atom) && (post ? open_post(atom) : open_pre(atom))) result.push_back(atom);
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
      for (const auto& [function, old] :
           std::vector<std::pair<const Atom*, const Atom*>>(pairs_of_functions())) {
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
      for (const Use& use : uses(atoms, atom)) {
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
            if (holds_state(*post) &&
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
          if (open_post(post) && open_pre(pre) && similar(*pre, *post) &&
              (!pre->section->is_write() || is_interchangeable(*pre)))
            join(pre, post);
      std::vector<const Atom*> pre, post;
      for (const Atom* atom : group.pre)
        if (open_pre(atom)) pre.push_back(atom);
      for (const Atom* atom : group.post)
        if (open_post(atom)) post.push_back(atom);
      if (pre.size() == 1 && post.size() == 1) join(pre.front(), post.front());
    }
  }

  // Macros that put __LINE__ into a name: _object_methods_UVERBS_OBJECT_WQ183.
  void by_name_without_line() {
    std::map<std::string, Group> by_stem;
    auto add = [&](const Atom& atom, std::vector<const Atom*> Group::*side) {
      if (!is_named(atom) || atom.is_function() || atom.symbol->bind != STB_LOCAL) return;
      const size_t end = atom.name.find_last_not_of("0123456789");
      if (end != std::string::npos && end + 1 < atom.name.size())
        (by_stem[atom.name.substr(0, end + 1)].*side).push_back(&atom);
    };
    for (const Atom& atom : pre_.all())
      if (open_pre(&atom)) add(atom, &Group::pre);
    for (const Atom& atom : post_.all())
      if (open_post(&atom)) add(atom, &Group::post);
    for (const auto& [stem, group] : by_stem)
      if (group.pre.size() == 1 && group.post.size() == 1 &&
          similar(*group.pre.front(), *group.post.front()))
        join(group.pre.front(), group.post.front());
  }

  // Of these a new one is as good as the old one, so another content means another thing.
  void part_interchangeable() {
    std::vector<std::pair<const Atom*, const Atom*>> parted;
    for (const auto& [post, pre] : result_.to_pre)
      if (is_interchangeable(*post) && is_interchangeable(*pre) && !similar(*pre, *post))
        parted.emplace_back(pre, post);
    for (const auto& [pre, post] : parted) {
      result_.to_pre.erase(post);
      result_.to_post.erase(pre);
    }
  }

  const Atoms& pre_;
  const Atoms& post_;
  const SpecialTables& pre_tables_;
  const SpecialTables& post_tables_;
  const DebugInfo& pre_debug_;
  const DebugInfo& post_debug_;
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
