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

namespace ksplice {

namespace {

constexpr std::string_view Mark = "__BTF_ID__";

struct Ids {
  bool is_set = false;
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
      result[current];
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
    result[current].is_set |= is_set;
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

}  // namespace

void judge_btf_ids(Judgement& j) {
  const std::map<std::string, Ids> pre = read_ids(j.context.pre.object()),
                                   post = read_ids(j.context.post.object());
  auto refuse = [&](const std::string& name, const Ids& old, const Ids& now) {
    Refusal& refusal = j.refuse(
        "data_changed", ".BTF_ids", name,
        fmt::format("the BTF ids in {} changed: the kernel was given their numbers when it was "
                    "linked, and registers sets of functions for BPF when it starts",
                    name.empty() ? ".BTF_ids" : name),
        "leave sets and lists of BTF ids as they are; which function BPF may call cannot be "
        "changed in a running kernel, but what the function does can");
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
