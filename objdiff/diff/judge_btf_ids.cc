// Refuses changes of sets and lists of BTF ids. Numbers stand in them only after the kernel's link
// (resolve_btfids); in an object there are zeros, flags, and symbols that say what each number is
// of. For BTF_KFUNCS_START(set) BTF_ID_FLAGS(func, bpf_iter_num_new, KF_ITER_NEW), these are
//
//   set: __BTF_ID__set8__set: .long 0, 0   __BTF_ID__func__bpf_iter_num_new__17: .long 0, 0x100
//
// A set is sorted by the number, so the order of its members says nothing; that of a list does.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "objdiff/diff/judge.h"
#include "objdiff/object/code.h"

namespace ksplice {

namespace {

constexpr std::string_view Mark = "__BTF_ID__";

struct Ids {
  bool is_set = false;
  bool has_flags = false;            // of functions that BPF programs may call (a set8)
  uint64_t begin = 0, end = 0;       // in the section
  std::vector<std::string> members;  // "func bpf_iter_num_new", with " flags 0x100" if it has some
};

// "func bpf_iter_num_new" of "__BTF_ID__func__bpf_iter_num_new__17".
std::string meaning(std::string_view symbol) {
  symbol.remove_prefix(Mark.size());
  const size_t digits = symbol.find_last_not_of("0123456789");
  if (digits != std::string_view::npos && symbol.substr(0, digits + 1).ends_with("__"))
    symbol = symbol.substr(0, digits - 1);
  const size_t kind = symbol.find("__");
  if (kind == std::string_view::npos) return std::string(symbol);
  return fmt::format("{} {}", symbol.substr(0, kind), symbol.substr(kind + 2));
}

// Sets and lists by name; ids without one are of "".
std::map<std::string, Ids> read_ids(const Object& object) {
  std::map<std::string, Ids> result;
  const Section* section = object.find_section(".BTF_ids");
  if (section == nullptr) return result;
  std::vector<const Symbol*> symbols;
  for (const auto& symbol : object.symbols)
    if (symbol->section == section && !symbol->is_section()) symbols.push_back(symbol.get());
  // The name of a set or list stands before what is at the same place.
  std::stable_sort(symbols.begin(), symbols.end(), [](const Symbol* a, const Symbol* b) {
    if (a->value != b->value) return a->value < b->value;
    return !a->name.starts_with(Mark) && b->name.starts_with(Mark);
  });
  std::string current;
  for (size_t i = 0; i < symbols.size(); ++i) {
    const std::string& name = symbols[i]->name;
    if (!name.starts_with(Mark)) {
      current = plain_name(name);
      result[current].begin = symbols[i]->value;
      continue;
    }
    const bool is_set = name.starts_with("__BTF_ID__set");
    if (is_set) current = meaning(name).substr(meaning(name).find(' ') + 1);
    std::string member = is_set ? "header" : meaning(name);
    size_t next = i + 1;
    while (next < symbols.size() && symbols[next]->value == symbols[i]->value) ++next;
    const uint64_t end = next < symbols.size() ? symbols[next]->value : section->size;
    for (uint64_t at = symbols[i]->value; at < std::min<uint64_t>(end, section->data.size()); ++at)
      member += section->data[at] != 0
                    ? fmt::format(" {:#x} at +{}", section->data[at], at - symbols[i]->value)
                    : "";
    if (result[current].members.empty()) result[current].begin = symbols[i]->value;
    result[current].end = end;
    result[current].is_set |= is_set;
    result[current].has_flags |= name.starts_with("__BTF_ID__set8");
    result[current].members.push_back(
        fmt::format("{} of {} bytes", member, end - symbols[i]->value));
  }
  for (auto& [name, ids] : result)
    if (ids.is_set) std::sort(ids.members.begin(), ids.members.end());
  return result;
}

std::vector<std::string> without(std::vector<std::string> all, const Ids& other) {
  for (const std::string& member : other.members)
    if (auto found = std::find(all.begin(), all.end(), member); found != all.end())
      all.erase(found);
  return all;
}

// "func bpf_iter_num_new" of "func bpf_iter_num_new 0x1 at +5 of 8 bytes".
std::string what_of(const std::string& member) {
  const size_t space = member.find(' ', member.find(' ') + 1);
  return member.substr(0, space);
}

// "func a, func b"
std::string listed(const std::vector<std::string>& members) {
  std::vector<std::string> names;
  for (const std::string& member : members)
    if (!member.starts_with("header")) names.push_back(what_of(member));
  return fmt::format("{}", fmt::join(names, ", "));
}

struct IdChange {
  std::vector<std::string> gained, lost;
  std::vector<std::string> reflagged;  // what has other flags
};

IdChange change_of(const Ids& old, const Ids& now) {
  IdChange change{without(now.members, old), without(old.members, now), {}};
  std::erase_if(change.gained, [&](const std::string& member) {
    auto before = std::ranges::find(change.lost, what_of(member), what_of);
    if (before == change.lost.end() || member.starts_with("header")) return false;
    change.reflagged.push_back(what_of(member));
    change.lost.erase(before);
    return true;
  });
  return change;
}

// Whose code refers to a set or list of post: "f(), g()".
std::string askers(const Judgement& j, const Ids& ids) {
  std::vector<std::string> names;
  for (const Atom& function : j.context.post.all()) {
    if (!function.is_function()) continue;
    for (const Relocation* relocation : j.context.post.relocations(function)) {
      const Symbol* symbol = relocation->symbol;
      if (symbol == nullptr || symbol->section == nullptr || symbol->section->name != ".BTF_ids")
        continue;
      const CodeMap* code = j.context.post.code(*function.section);
      const uint64_t place =
          symbol->value + static_cast<uint64_t>(reloc_target_offset(*relocation, code));
      if (place < ids.begin || place >= ids.end) continue;
      names.push_back(fmt::format("{}()", function.name));
      break;
    }
  }
  return names.empty() ? "whoever asks for it" : fmt::format("{}", fmt::join(names, ", "));
}

// What a patch can do instead: code asks for the numbers, and code can be replaced.
std::string advise_on_ids(const Judgement& j, const Ids& ids, const IdChange& change) {
  std::vector<std::string> ways = {"leave the set or list as it is"};
  if (!ids.is_set) {
    ways.push_back(
        fmt::format("let {} look for another number with btf_find_by_name_kind()", askers(j, ids)));
  } else if (ids.has_flags) {
    if (!listed(change.gained).empty())
      ways.emplace_back(
          "a function that is new to BPF programs needs a reboot: the verifier was "
          "given the set when it was registered");
    if (const std::string lost = listed(change.lost); !lost.empty())
      ways.push_back(
          fmt::format("programs can go on calling what the set loses: let the function "
                      "return an error ({})",
                      lost));
    if (const std::string other = listed(change.reflagged); !other.empty())
      ways.push_back(
          fmt::format("the verifier goes on with the old flags of {}: let the function "
                      "itself check what they would promise, a null pointer or a "
                      "context that may not sleep",
                      other));
  } else {
    std::vector<std::string> both = change.gained;
    both.insert(both.end(), change.lost.begin(), change.lost.end());
    ways.push_back(
        fmt::format("let {} accept or refuse {} itself, beside btf_id_set_contains(), by "
                    "the number from btf_find_by_name_kind()",
                    askers(j, ids), listed(both)));
  }
  return fmt::format("{}", fmt::join(ways, "; "));
}

}  // namespace

void judge_btf_ids(Judgement& j) {
  const std::map<std::string, Ids> pre = read_ids(j.context.pre.object()),
                                   post = read_ids(j.context.post.object());
  auto refuse = [&](const std::string& name, const Ids& old, const Ids& now) {
    const IdChange change = change_of(old, now);
    std::vector<std::string> parts;
    for (const auto& [verb, members] : {std::pair("gains", &change.gained),
                                        {"loses", &change.lost},
                                        {"has other flags for", &change.reflagged}})
      if (const std::string names = listed(*members); !names.empty())
        parts.push_back(fmt::format("{} {}", verb, names));
    if (parts.empty()) parts.emplace_back("has another order or other flags");
    Refusal& refusal = j.refuse(
        "data_changed", ".BTF_ids", name,
        fmt::format("the BTF ids in {} changed, it {}: the kernel was given their numbers when it "
                    "was linked, and registers sets of functions for BPF when it starts",
                    name.empty() ? ".BTF_ids" : name, fmt::join(parts, ", ")),
        advise_on_ids(j, now.members.empty() ? old : now, change));
    refusal.expected = fmt::format("{}", fmt::join(without(old.members, now), "\n"));
    refusal.found = fmt::format("{}", fmt::join(without(now.members, old), "\n"));
  };
  const Ids none;
  for (const auto& [name, ids] : post) {
    auto old = pre.find(name);
    if (old == pre.end())
      refuse(name, none, ids);
    else if (old->second.members != ids.members)
      refuse(name, old->second, ids);
  }
  for (const auto& [name, ids] : pre)
    if (!post.contains(name)) refuse(name, ids, none);
}

}  // namespace ksplice
