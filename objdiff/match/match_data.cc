// Compares read-only data: named objects with all that they point to, and merged strings and
// constants by content.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "objdiff/match/match_code.h"

namespace ksplice {
namespace {

// Where each of UBSAN's records has its line and column, of four bytes each: behind the pointer to
// the file's name (struct source_location in lib/ubsan.h).
constexpr uint64_t UbsanLine = 8;

// The text at data[offset], without the folders before it: whoever builds a kernel chooses where
// its source lies.
std::string file_name_at(std::span<const uint8_t> data, uint64_t offset) {
  if (offset >= data.size()) return "";
  auto begin = data.begin() + static_cast<long>(offset);
  const std::string path(begin, std::find(begin, data.end(), 0));
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

int64_t read_field(std::span<const uint8_t> bytes, unsigned size, bool is_signed) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), size);
  if (is_signed && size == 4) return static_cast<int32_t>(value);
  return static_cast<int64_t>(value);
}

std::string Matcher::compare_merged(const Section& section, int64_t offset, uint64_t addr) const {
  if (offset < 0 || static_cast<uint64_t>(offset) >= section.data.size())
    return "a reference leads out of " + section.name;
  std::span<const uint8_t> pre = std::span(section.data).subspan(static_cast<uint64_t>(offset));
  uint64_t align = std::max<uint64_t>(section.align, 1);
  if (static_cast<uint64_t>(offset) % align == 0 && addr % align != 0)
    return fmt::format("a constant is not aligned to {} bytes", align);
  uint64_t length;
  if (section.is_strings() && section.entsize <= 1) {
    auto zero = std::find(pre.begin(), pre.end(), 0);
    length = static_cast<uint64_t>(zero - pre.begin()) + 1;
  } else {
    uint64_t entry = std::max<uint64_t>(1, section.entsize);
    length = entry - static_cast<uint64_t>(offset) % entry;
    // Strings of wide characters end with a zero one.
    while (section.is_strings() && length <= pre.size() &&
           !std::all_of(pre.begin() + static_cast<long>(length - entry),
                        pre.begin() + static_cast<long>(length), [](uint8_t b) { return b == 0; }))
      length += entry;
  }
  length = std::min<uint64_t>(length, pre.size());
  auto run = image_.read(addr, length);
  if (run && std::equal(run->begin(), run->end(), pre.begin())) return "";
  if (!section.is_strings()) return fmt::format("a constant of {} bytes has another value", length);
  std::string text(reinterpret_cast<const char*>(pre.data()), length - 1);
  return fmt::format("the string \"{}\" has another content", text);
}

// Pre's field refers to target, run's to target_addr: notes in result what follows, or compares
// content. "" or what differs.
std::string Matcher::refer_from_data(const PreTarget& target, uint64_t target_addr, uint64_t field,
                                     Comparison& result) const {
  if (target.merged != nullptr) {
    target_addr -= static_cast<uint64_t>(target.beyond);
    result.merged.push_back({{target.merged, static_cast<uint64_t>(target.offset)}, target_addr});
    return compare_merged(*target.merged, target.offset, target_addr);
  }
  if (target.entity == nullptr) return "a reference leads nowhere";
  const Entity& entity = *target.entity;
  if (entity.kind == Entity::Kind::Absolute) {
    bool same = target_addr == entity.symbols.front()->value + static_cast<uint64_t>(target.offset);
    return same ? "" : fmt::format("the constant {} has another value", entity.name());
  }
  bool is_code = entity.kind == Entity::Kind::Function || entity.kind == Entity::Kind::Code;
  if (is_code && target.offset != 0)
    result.inner.push_back({&entity, target.offset, target_addr, field});
  else
    result.sightings.push_back(
        {&entity, target_addr - static_cast<uint64_t>(target.offset), field});
  return "";
}

std::string Matcher::compare_file_name(const PreTarget& target, uint64_t addr) const {
  const RunSection* section = image_.section_at(addr);
  if (target.merged == nullptr || target.offset < 0 || section == nullptr)
    return "the name of the file is no text";
  const std::string name = file_name_at(target.merged->data, static_cast<uint64_t>(target.offset));
  if (!name.empty() && file_name_at(section->data, addr - section->addr) == name) return "";
  return fmt::format("it is about another file than {}", name);
}

Comparison Matcher::compare_data(const Entity& entity, uint64_t addr) const {
  Comparison result;
  result.addr = addr;
  result.run_size = entity.end - entity.begin;
  auto fail = [&](uint64_t offset, const std::string& what) {
    result.difference = {offset, offset, what, entity.name()};
    return result;
  };
  const Section& section = *entity.section;
  auto run = image_.read(addr, result.run_size);
  if (!run) return fail(0, "the place has no data");
  std::span<const uint8_t> pre = std::span(section.data).subspan(entity.begin, result.run_size);
  uint64_t checked = 0;
  const bool has_line = section.name.starts_with(".data..Lubsan_data");
  auto equal_until = [&](uint64_t end) {
    for (; checked < end; checked++) {
      const bool is_free = has_line && checked >= UbsanLine && checked < UbsanLine + 8;
      if (!is_free && pre[checked] != (*run)[checked]) return false;
    }
    return true;
  };
  auto relocation =
      std::lower_bound(section.relocations.begin(), section.relocations.end(), entity.begin,
                       [](const Relocation& item, uint64_t value) { return item.offset < value; });
  for (; relocation != section.relocations.end() && relocation->offset < entity.end; ++relocation) {
    uint64_t field = relocation->offset - entity.begin;
    unsigned size = reloc_size(relocation->type);
    if (size == 0) continue;
    if (!reloc_is_understood(relocation->type))
      return fail(field, "a relocation " + reloc_name(relocation->type) + " is not understood");
    if (field < checked || !equal_until(field)) return fail(checked, "read-only data differs");
    if (field + size > pre.size()) return fail(field, "a field is cut off");
    checked = field + size;
    int64_t value = read_field(run->subspan(field, size), size, reloc_is_signed(relocation->type));
    uint64_t target_addr = static_cast<uint64_t>(value);
    if (reloc_is_pc_relative(relocation->type)) target_addr += addr + field;
    PreTarget target = pre_.resolve(*relocation, nullptr);
    target_addr += static_cast<uint64_t>(target.bias);
    std::string what = has_line && field == 0 ? compare_file_name(target, target_addr)
                                              : refer_from_data(target, target_addr, field, result);
    if (!what.empty()) return fail(field, what);
  }
  if (!equal_until(pre.size())) return fail(checked, "read-only data differs");
  result.same = true;
  return result;
}

}  // namespace ksplice
