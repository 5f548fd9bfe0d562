#include "create/neighbours.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "create/absent.h"
#include "objdiff/image/landing_pads.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {

namespace {

const Symbol* find_defined(const Object& object, const std::string& name) {
  for (const auto& symbol : object.symbols)
    if (symbol->name == name && symbol->section != nullptr && symbol->bind != STB_LOCAL)
      return symbol.get();
  return nullptr;
}

// Where the running target has what the unit exports now; why_not if that is not proven.
void find_existing(const ChangedUnit& unit, const Symbol& pre, const RunImage& image,
                   const RunImage& vmlinux, Neighbour& neighbour) {
  const FunctionMatch* match = unit.match.find(&pre);
  auto addr = unit.match.addresses.find(&pre);
  if (match != nullptr && match->status == MatchStatus::Mismatched)
    neighbour.why_not = match->refusal.message;
  else if (addr == unit.match.addresses.end())
    neighbour.why_not = "where it is in the running code is not known";
  else if (image.is_freed(addr->second))
    neighbour.why_not = "it was freed after boot";
  else if (const RunLocation place = image.locate(addr->second); place.target != unit.target)
    neighbour.why_not = fmt::format(
        "it came with the update module {}, which this update would "
        "not keep in memory",
        place.target);
  else {
    neighbour.existing = place;
    neighbour.call_only = lacks_landing_pad(image, vmlinux, addr->second);
  }
}

// The names of other targets that the units of target refer to.
std::set<std::string> used_targets(const std::string& target, const std::vector<Unit>& units,
                                   const std::map<std::string, Neighbour>& neighbours) {
  std::set<std::string> used;
  for (const Unit& unit : units)
    for (const auto& symbol : unit.post->symbols) {
      auto found = symbol->is_undefined() ? neighbours.find(symbol->name) : neighbours.end();
      if (found != neighbours.end() && found->second.target != target)
        used.insert(found->second.target);
    }
  return used;
}

// Where the built module has the name. A function may stand there with the update's id before it.
RunLocation place_in(const Object& module, const TargetUpdate& owner, const std::string& name) {
  const std::string prefix = owner.module.substr(0, owner.module.size() - owner.target.size());
  const Symbol* symbol = find_defined(module, prefix + name);
  if (symbol == nullptr) symbol = find_defined(module, name);
  if (symbol == nullptr)
    throw Error("internal",
                fmt::format("{} has no {}, which another module uses", owner.module, name));
  const bool is_percpu = symbol->section->name == ".data..percpu";
  return {.target = owner.module,
          .section = symbol->section->name,
          .import = "",
          .offset = is_percpu ? 0 : static_cast<int64_t>(symbol->value),
          .percpu = is_percpu,
          .symbol = is_percpu ? symbol->name : ""};
}

}  // namespace

std::map<std::string, Neighbour> find_neighbours(
    const std::deque<ChangedUnit>& units, Images& images,
    const std::map<std::string, std::string>& modules) {
  std::map<std::string, Neighbour> result;
  for (const ChangedUnit& unit : units)
    for (const Refusal& refusal : unit.diff.refusals) {
      if (refusal.code != "export_added") continue;
      const Symbol* post = find_defined(unit.post, refusal.symbol);
      if (post == nullptr) continue;
      Neighbour neighbour{
          .target = unit.target, .module = "", .existing = {}, .why_not = "", .call_only = false};
      if (auto module = modules.find(unit.target); module != modules.end())
        neighbour.module = module->second;
      auto pre = unit.diff.correlation.find(post);
      if (pre != unit.diff.correlation.end() && pre->second->section != nullptr)
        find_existing(unit, *pre->second, images.get(unit.target), images.vmlinux(), neighbour);
      else
        neighbour.call_only = post->type == STT_FUNC && has_branch_tracking(images.vmlinux());
      result.emplace(refusal.symbol, std::move(neighbour));
    }
  return result;
}

std::vector<std::string> users_first(const std::map<std::string, std::vector<Unit>>& by_target,
                                     const std::map<std::string, Neighbour>& neighbours) {
  std::map<std::string, std::set<std::string>> uses;
  for (const auto& [target, units] : by_target)
    uses[target] = used_targets(target, units, neighbours);
  std::vector<std::string> order;
  while (!uses.empty()) {
    // From the end, so that the order without such uses is that of the names, read backwards.
    auto next = std::find_if(uses.rbegin(), uses.rend(), [&](const auto& candidate) {
      return std::none_of(uses.begin(), uses.end(), [&](const auto& other) {
        return other.second.contains(candidate.first);
      });
    });
    if (next == uses.rend()) {
      Refusal refusal;
      refusal.code = "failed_to_find";
      refusal.message =
          "the new code of two targets uses each other's new exports, so neither of "
          "the update's modules can be loaded first";
      refusal.advice = "put what both use into one of them";
      throw Refused({refusal});
    }
    order.push_back(next->first);
    uses.erase(order.back());
  }
  return order;
}

void add_wanted(const TargetUpdate& other, const std::string& module, UpdateInfo& info) {
  for (const NeighbourUse& use : other.update.uses)
    if (use.module == module)
      info.wanted.push_back({.name = use.name,
                             .user = other.module,
                             .is_new = use.is_new,
                             .stays = !use.only_called || other.update.is_kept()});
}

std::vector<std::string> whole_targets(const std::vector<TargetUpdate>& updates,
                                       std::vector<std::string>& notes) {
  std::vector<std::string> targets;
  for (const TargetUpdate& update : updates) {
    if (update.target == "vmlinux") continue;
    if (update.update.uses.empty())
      targets.push_back(update.target);
    else
      notes.push_back(
          fmt::format("{} is not in the tarball as a whole module: it uses {}, which "
                      "the running kernel does not export",
                      update.target, update.update.uses[0].name));
  }
  std::sort(targets.begin(), targets.end());
  return targets;
}

void settle_neighbours(std::vector<TargetUpdate>& updates, const BuiltModules& modules) {
  std::map<std::string, Object> built;  // by module
  for (TargetUpdate& update : updates)
    for (FinalSymbol& symbol : update.update.finalization.symbols) {
      const RunLocation& wanted = symbol.location;
      auto owner = std::find_if(updates.begin(), updates.end(), [&](const TargetUpdate& each) {
        return each.module == wanted.target;
      });
      if (wanted.symbol.empty() || !wanted.section.empty() || owner == updates.end()) continue;
      if (!built.contains(owner->module))
        built.emplace(owner->module, read_object(modules.updates.at(owner->target).string()));
      symbol.location = place_in(built.at(owner->module), *owner, wanted.symbol);
    }
}

}  // namespace ksplice
