#include "create/renumber.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <span>
#include <string>

#include "objdiff/arch/arch.h"
#include "objdiff/object/special_tables.h"

namespace ksplice {

namespace {

// struct _ddebug (include/linux/dynamic_debug.h, with jump labels; the same in 6.1, 6.12 and 7.3):
// pointers to module, function, file and format, then the line in 18 bits, class and flags above
// it.
constexpr uint64_t DebugSize = 56, DebugFileAt = 16, DebugLineAt = 32;
constexpr uint32_t DebugLineMask = (uint32_t{1} << 18) - 1;

// The string that a relocation leads to, "" if none.
std::string string_at(const Relocation& relocation) {
  const Section* section = relocation.symbol->section;
  if (section == nullptr || !section->is_strings()) return "";
  const uint64_t begin = relocation.symbol->value + relocation.addend;
  const auto end = std::find(section->data.begin() + std::min(begin, section->size),
                             section->data.end(), uint8_t{0});
  if (begin >= section->size || end == section->data.end()) return "";
  return {section->data.begin() + begin, end};
}

// The relocation of section at place, or null.
const Relocation* relocation_at(const Section& section, uint64_t place) {
  auto found = std::lower_bound(
      section.relocations.begin(), section.relocations.end(), place,
      [](const Relocation& relocation, uint64_t value) { return relocation.offset < value; });
  return found != section.relocations.end() && found->offset == place ? &*found : nullptr;
}

// The numbers of the files by what the compiler calls these.
class Numbers {
 public:
  explicit Numbers(const std::vector<MovedFile>& files) {
    for (const MovedFile& file : files)
      for (const char* root : {"", "../"}) files_[root + file.path] = &file.numbers;
  }

  // What line of the file that section names at place is now; 0: any, or not known.
  size_t of(const Section& section, uint64_t place, size_t line) const {
    const Relocation* relocation = relocation_at(section, place);
    if (relocation == nullptr) return 0;
    auto file = files_.find(string_at(*relocation));
    if (file == files_.end() || line == 0 || line > file->second->size()) return 0;
    return (*file->second)[line - 1];
  }

 private:
  std::map<std::string, const std::vector<size_t>*> files_;
};

template <typename T>
T read(const Section& section, uint64_t at) {
  T value;
  std::memcpy(&value, section.data.data() + at, sizeof(value));
  return value;
}

template <typename T>
void write(Section& section, uint64_t at, T value) {
  std::memcpy(section.data.data() + at, &value, sizeof(value));
}

// s32 file, u16 line, u16 flags, in this order.
size_t renumber_bugs(Section& section, const Numbers& numbers, const BugLayout& layout) {
  if (table_entry_size(section) != layout.size) return 0;
  size_t changed = 0;
  for (uint64_t at = 0; at + layout.size <= section.data.size(); at += layout.size) {
    const uint64_t line_at = at + layout.flags_at - 2;
    const auto line = read<uint16_t>(section, line_at);
    const size_t now = numbers.of(section, line_at - 4, line);
    if (now == 0 || now == line || now > UINT16_MAX) continue;
    write(section, line_at, static_cast<uint16_t>(now));
    ++changed;
  }
  return changed;
}

size_t renumber_debugs(Section& section, const Numbers& numbers) {
  if (section.data.size() % DebugSize != 0) return 0;
  size_t changed = 0;
  for (uint64_t at = 0; at < section.data.size(); at += DebugSize) {
    const auto word = read<uint32_t>(section, at + DebugLineAt);
    const size_t now = numbers.of(section, at + DebugFileAt, word & DebugLineMask);
    if (now == 0 || now == (word & DebugLineMask) || now > DebugLineMask) continue;
    write(section, at + DebugLineAt, (word & ~DebugLineMask) | static_cast<uint32_t>(now));
    ++changed;
  }
  return changed;
}

// What an instruction does and with whom, without its numbers.
struct Deed {
  InstructionKind kind;
  std::string symbol;  // a function's or variable's name

  bool operator==(const Deed&) const = default;
};

// Of all instructions of a function but its filling.
std::vector<Deed> deeds_of(const Symbol& function) {
  std::vector<Deed> deeds;
  const Section& section = *function.section;
  for (const Instruction& instruction :
       decode_range(section.data, function.value,
                    std::min<uint64_t>(function.value + function.size, section.data.size()))) {
    if (instruction.is_padding()) continue;
    Deed& deed = deeds.emplace_back(Deed{instruction.kind, ""});
    for (uint64_t at = instruction.offset; at < instruction.end(); ++at)
      if (const Relocation* relocation = relocation_at(section, at);
          relocation != nullptr && relocation->symbol->is_undefined())
        deed.symbol = relocation->symbol->name;
  }
  return deeds;
}

std::string without_digits(std::string name) {
  std::erase_if(name, [](char c) { return c >= '0' && c <= '9'; });
  return name;
}

// Whether it is itself no difference of numbers: a function whose instructions are others, one that
// comes or goes, or one that is here because of such.
bool is_certain(const FunctionDiff& function, const ObjectDiff& diff) {
  if (function.status == DiffStatus::Same) return true;
  if (function.status == DiffStatus::New || function.status == DiffStatus::Removed)
    // A name that a macro makes of the line comes and goes at the same time.
    return std::none_of(
        diff.functions.begin(), diff.functions.end(), [&](const FunctionDiff& other) {
          return other.status != DiffStatus::Same && other.status != function.status &&
                 other.status != DiffStatus::Changed &&
                 without_digits(other.name) == without_digits(function.name);
        });
  const bool follows =
      std::all_of(function.reasons.begin(), function.reasons.end(), [](const Reason& reason) {
        return reason.kind == "callee" || reason.kind == "fragment" || reason.kind == "carried";
      });
  if (follows) return true;
  return function.pre != nullptr && function.post != nullptr && function.pre->section != nullptr &&
         function.post->section != nullptr && deeds_of(*function.pre) != deeds_of(*function.post);
}

}  // namespace

size_t renumber_tables(Object& object, const std::vector<MovedFile>& files,
                       const KernelSeries& series) {
  const Numbers numbers(files);
  size_t changed = 0;
  for (const auto& section : object.sections) {
    if (section->name == "__bug_table")
      changed += renumber_bugs(*section, numbers, series.bugs[0]);
    else if (section->name == "__dyndbg")
      changed += renumber_debugs(*section, numbers);
  }
  return changed;
}

bool is_certain(const ObjectDiff& diff) {
  const bool only_functions =
      diff.refusals.empty() && diff.new_globals.empty() && diff.gone_globals.empty() &&
      std::all_of(diff.data.begin(), diff.data.end(),
                  [](const DataDiff& data) { return data.status == DiffStatus::Same; });
  return only_functions &&
         std::all_of(diff.functions.begin(), diff.functions.end(),
                     [&](const FunctionDiff& function) { return is_certain(function, diff); });
}

}  // namespace ksplice
