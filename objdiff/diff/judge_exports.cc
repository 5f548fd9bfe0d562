// Refuses changes of what a unit exports to modules.
#include <elf.h>
#include <fmt/core.h>

#include <cstring>
#include <map>
#include <string_view>

#include "objdiff/diff/judge.h"

namespace ksplice {

namespace {

std::map<std::string, std::string> exports(const Object& object) {
  std::map<std::string, std::string> result;  // name -> kind
  for (const auto& section : object.sections)
    for (std::string_view head : {"___ksymtab+", "___ksymtab_gpl+"})
      if (section->name.starts_with(head))
        result[section->name.substr(head.size())] = head == "___ksymtab+" ? "any" : "gpl";
  for (const auto& symbol : object.symbols) {
    if (symbol->section == nullptr) continue;
    const std::string_view name = symbol->name;
    if (name.starts_with("__export_symbol_")) {
      // { .asciz license; .asciz namespace; .balign 8; .quad symbol }, linux/export.h since 6.4
      const auto& data = symbol->section->data;
      const bool gpl = symbol->value + 3 <= data.size() &&
                       std::memcmp(data.data() + symbol->value, "GPL", 3) == 0;
      result[std::string(name.substr(16))] = gpl ? "gpl" : "any";
    } else if (name.starts_with("__ksymtab_") &&
               symbol->section->name.find("ksymtab") != std::string::npos) {
      const bool gpl = symbol->section->name.find("_gpl") != std::string::npos;
      result[std::string(name.substr(10))] = gpl ? "gpl" : "any";
    }
  }
  return result;
}

std::map<std::string, uint64_t> checksums(const Object& object) {
  std::map<std::string, uint64_t> result;
  for (const auto& symbol : object.symbols) {
    if (!symbol->name.starts_with("__crc_")) continue;
    const std::string name = symbol->name.substr(6);
    if (symbol->section != nullptr && symbol->value + 4 <= symbol->section->data.size()) {
      uint32_t value = 0;
      std::memcpy(&value, symbol->section->data.data() + symbol->value, 4);
      result[name] = value;
    } else if (symbol->shndx == SHN_ABS) {
      result[name] = symbol->value;
    }
  }
  return result;
}

}  // namespace

void judge_exports(Judgement& j) {
  const auto pre = exports(j.context.pre.object()), post = exports(j.context.post.object());
  const std::string advice =
      "leave exports as they are; new code of the update may call the function without one";
  for (const auto& [name, kind] : post) {
    auto old = pre.find(name);
    if (old == pre.end())
      j.refuse("export_added", "", name,
               fmt::format("{} is exported now; running modules cannot know it", name), advice);
    else if (old->second != kind)
      j.refuse("export_changed", "", name,
               fmt::format("{} was exported to {} modules, now to {}", name, old->second, kind),
               advice);
  }
  for (const auto& [name, kind] : pre)
    if (!post.contains(name))
      j.refuse("export_changed", "", name, fmt::format("{} is no longer exported", name), advice);
  const auto pre_sums = checksums(j.context.pre.object()),
             post_sums = checksums(j.context.post.object());
  for (const auto& [name, sum] : post_sums) {
    auto old = pre_sums.find(name);
    if (old == pre_sums.end() || old->second == sum) continue;
    Refusal& refusal = j.refuse(
        "export_changed", "", name,
        fmt::format("the CRC of export {} changed from {:#010x} to {:#010x}: its type, or one "
                    "that it uses, is another",
                    name, old->second, sum),
        "keep the types of exported functions and data as they are");
    refusal.expected = fmt::format("{:#010x}", old->second);
    refusal.found = fmt::format("{:#010x}", sum);
  }
}

}  // namespace ksplice
