#include "create/release/split.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace ksplice {

namespace {

constexpr size_t LongestId = 40;

// Sets of parts that are joined step by step.
class Sets {
 public:
  explicit Sets(size_t size) : parent_(size) { std::iota(parent_.begin(), parent_.end(), 0); }
  size_t of(size_t part) {
    while (parent_[part] != part) part = parent_[part] = parent_[parent_[part]];
    return part;
  }
  // The one with the first part counts.
  void join(size_t a, size_t b) {
    const std::pair<size_t, size_t> roots = std::minmax({of(a), of(b)});
    parent_[roots.second] = roots.first;
  }

 private:
  std::vector<size_t> parent_;
};

// What must not be in two updates, one name for each.
std::vector<std::string> bonds_of(const PartReport& part) {
  std::vector<std::string> bonds = {"subsystem " + subsystem_of(part.path)};
  for (const std::string& file : part.files()) bonds.push_back("file " + file);
  for (const std::string& unit : part.changed) bonds.push_back("unit " + unit);
  return bonds;
}

std::string as_word(std::string text) {
  for (char& c : text) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return text;
}

}  // namespace

std::string subsystem_of(const std::string& path) {
  const size_t first = path.find('/');
  if (first == path.npos) return "top";
  return path.substr(0, std::min(path.find('/', first + 1), path.rfind('/')));
}

std::vector<PartGroup> split_parts(const std::vector<PartReport>& parts) {
  Sets sets(parts.size());
  std::map<std::string, size_t> firsts;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].verdict != Verdict::Live) continue;
    for (const std::string& bond : bonds_of(parts[i]))
      sets.join(i, firsts.try_emplace(bond, i).first->second);
  }
  std::map<size_t, PartGroup> groups;  // by their first part
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].verdict != Verdict::Live) continue;
    PartGroup& group = groups[sets.of(i)];
    if (group.parts.empty()) group.subsystem = subsystem_of(parts[i].path);
    group.parts.push_back(i);
  }
  std::vector<PartGroup> result;
  for (auto& [first, group] : groups) result.push_back(std::move(group));
  return result;
}

std::string split_id(const std::string& base, const std::string& subsystem, size_t place) {
  const std::string id = base + "_" + as_word(subsystem);
  if (id.size() <= LongestId) return id;
  const std::string number = fmt::format("_{}", place + 1);
  return id.substr(0, LongestId - number.size()) + number;
}

}  // namespace ksplice
