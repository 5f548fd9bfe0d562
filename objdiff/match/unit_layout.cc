#include "objdiff/match/unit_layout.h"

#include <fmt/format.h>

#include <algorithm>

namespace ksplice {
namespace {

constexpr uint64_t Filling = 64;  // at most, before a function

// The section that this one was before -ffunction-sections and -fdata-sections: ".text" of
// ".text.foo", ".text.unlikely" of ".text.unlikely.foo"; but ".data..read_mostly" is what the
// source says.
std::string group_name(const std::string& section) {
  for (const char* part : {".text.unlikely", ".text.hot", ".text.startup", ".text.exit"})
    if (section.rfind(std::string(part) + ".", 0) == 0) return part;
  if (section == ".data.once" || section == ".data.unlikely") return section;  // source's, too
  for (const char* part : {".text", ".rodata", ".data", ".bss"}) {
    std::string prefix = std::string(part) + ".";
    if (section.rfind(prefix, 0) != 0) continue;
    // ".data..Lubsan_data3" is the compiler's.
    const std::string rest = section.substr(prefix.size());
    if (!rest.starts_with('.') || rest.starts_with(".L")) return part;
  }
  return section;
}

}  // namespace

UnitLayout::UnitLayout(const PreIndex& pre) {
  for (const std::unique_ptr<Section>& section : pre.object().sections) {
    if (!section->is_alloc() || is_merged(*section)) continue;
    Group& group = groups_[group_name(section->name)];
    by_section_[section.get()] = &group;
    uint64_t align = std::max<uint64_t>(section->align, 1);
    // Filling inside a function may grow where a branch before it got shorter.
    group.limit +=
        (section->size + align - 1) / align * align + align + (section->is_exec() ? Filling : 0);
  }
  for (const Entity& entity : pre.entities()) {
    if (entity.kind != Entity::Kind::Function) continue;
    Group& group = *by_section_.at(entity.section);
    order_[&entity] = group.functions.size();
    group.functions.push_back(&entity);
  }
}

const UnitLayout::Group* UnitLayout::group_of(const Entity& entity) const {
  auto found = by_section_.find(entity.section);
  return found == by_section_.end() ? nullptr : found->second;
}

uint64_t UnitLayout::end_of(const Entity& entity, uint64_t addr) const {
  auto measured = sizes_.find(&entity);
  return addr + (measured != sizes_.end() ? measured->second : entity.end - entity.begin);
}

void UnitLayout::measure(const Entity& function, uint64_t run_size) {
  const uint64_t size = function.end - function.begin;
  if (sizes_.emplace(&function, run_size).second && run_size > size)
    by_section_.at(function.section)->grown += run_size - size;
}

void UnitLayout::place(const Entity& entity, uint64_t addr) {
  auto found = by_section_.find(entity.section);
  if (found == by_section_.end() || !addrs_.emplace(&entity, addr).second) return;
  found->second->placed.emplace(addr, &entity);
}

void UnitLayout::allow(const Entity& entity, uint64_t bytes) {
  by_section_.at(entity.section)->limit += bytes;
}

void UnitLayout::clear() {
  addrs_.clear();
  sizes_.clear();
  for (auto& [name, group] : groups_) {
    group.placed.clear();
    group.grown = 0;
  }
}

bool UnitLayout::fits(const Entity& entity, uint64_t addr) const {
  const Group* group = group_of(entity);
  if (group == nullptr || group->placed.empty()) return true;
  uint64_t low = std::min(addr, group->placed.begin()->first);
  auto last = std::prev(group->placed.end());
  uint64_t high = std::max(end_of(entity, addr), end_of(*last->second, last->first));
  return high - low <= group->limit + group->grown;
}

bool UnitLayout::has_neighbours(const Entity& entity) const {
  const Group* group = group_of(entity);
  return group == nullptr || !group->placed.empty();
}

bool UnitLayout::is_between(const Entity& function, uint64_t addr) const {
  const std::vector<const Entity*>& list = group_of(function)->functions;
  uint64_t low = 0, high = 0;
  for (size_t i = order_.at(&function); i-- > 0 && low == 0;)
    if (auto known = addrs_.find(list[i]); known != addrs_.end()) low = known->second;
  for (size_t i = order_.at(&function) + 1; i < list.size() && high == 0; i++)
    if (auto known = addrs_.find(list[i]); known != addrs_.end()) high = known->second;
  return low != 0 && high != 0 && low < addr && addr < high;
}

bool UnitLayout::is_beside(const Entity& function, uint64_t addr, uint64_t run_size) const {
  const std::vector<const Entity*>& list = group_of(function)->functions;
  size_t at = order_.at(&function);
  if (at + 1 < list.size()) {
    auto next = addrs_.find(list[at + 1]);
    if (next != addrs_.end() && next->second >= addr + run_size &&
        next->second - (addr + run_size) < Filling)
      return true;
  }
  if (at == 0) return false;
  auto last = addrs_.find(list[at - 1]);
  if (last == addrs_.end() || last->second >= addr) return false;
  return addr < end_of(*list[at - 1], last->second) + Filling;
}

std::vector<UnitLayout::Complaint> UnitLayout::complaints() const {
  std::vector<Complaint> result;
  for (const auto& [name, group] : groups_) {
    if (group.placed.empty()) continue;
    auto first = group.placed.begin(), last = std::prev(group.placed.end());
    uint64_t span = end_of(*last->second, last->first) - first->first;
    if (span > group.limit + group.grown)
      result.push_back(
          {last->second,
           fmt::format("{} at {:#x} and {} at {:#x} lie {} bytes apart, but all of the unit's {} "
                       "has {} bytes",
                       first->second->name(), first->first, last->second->name(), last->first, span,
                       name, group.limit + group.grown)});
  }
  std::map<uint64_t, const Entity*> data;  // functions may be shorter in run than in pre
  for (const auto& [entity, addr] : addrs_)
    if (entity->kind == Entity::Kind::Data && entity->end != entity->begin)
      if (auto [other, inserted] = data.emplace(addr, entity); !inserted)
        result.push_back({entity, fmt::format("{} and {} are both at {:#x}", entity->name(),
                                              other->second->name(), addr)});
  for (auto it = data.begin(); it != data.end() && std::next(it) != data.end(); ++it)
    if (auto next = std::next(it); end_of(*it->second, it->first) > next->first)
      result.push_back(
          {it->second, fmt::format("{} at {:#x} and {} at {:#x} overlap", it->second->name(),
                                   it->first, next->second->name(), next->first)});
  return result;
}

}  // namespace ksplice
