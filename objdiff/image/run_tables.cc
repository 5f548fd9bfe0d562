#include "objdiff/image/run_tables.h"

#include <fmt/format.h>

#include <string>

#include "objdiff/arch/arch.h"
#include "objdiff/base/bytes.h"
#include "objdiff/base/error.h"

namespace ksplice {
namespace {

struct Table {
  uint64_t addr = 0;
  Bytes bytes;
  std::string name;  // of its section
};

// A table of the image itself is a section of its own, or lies between two symbols of the linker
// script, which has them for an empty table, too. A module without the section has none.
Table find_own_table(const RunImage& image, const std::string& section, const std::string& start,
                     const std::string& stop) {
  for (const RunSection& run : image.sections)
    if (run.name == section && run.owner.empty())
      return {run.addr, Bytes(run.data, image.path), section};
  if (image.is_module()) return {0, Bytes(), section};
  const RunSymbol* first = image.unique_symbol(start);
  const RunSymbol* last = image.unique_symbol(stop);
  if (first != nullptr && last != nullptr && last->addr >= first->addr) {
    auto bytes = image.read(first->addr, last->addr - first->addr);
    if (bytes) return {first->addr, Bytes(*bytes, image.path), section};
  }
  throw Error(
      "bad_image",
      fmt::format("{}: the table {} is not found: the image has no section of that name, and its "
                  "symbols do not tell where {} and {} are",
                  image.path, section, start, stop),
      "what a table says of the code cannot be left out of the proof: the kernel needs "
      "CONFIG_KALLSYMS_ALL and CONFIG_BUG, as Debian's have, or name its vmlinux with symbols");
}

// The image's table first, then those of applied updates.
std::vector<Table> find_tables(const RunImage& image, const std::string& section,
                               const std::string& start, const std::string& stop) {
  std::vector<Table> tables = {find_own_table(image, section, start, stop)};
  for (const RunSection& run : image.sections)
    if (run.name == section && !run.owner.empty())
      tables.push_back({run.addr, Bytes(run.data, run.owner), section});
  return tables;
}

// The value of a place-relative 32-bit field.
uint64_t relative(const Table& table, uint64_t at) {
  return table.addr + at +
         static_cast<uint64_t>(static_cast<int64_t>(table.bytes.read<int32_t>(at)));
}

[[noreturn]] void fail(const RunImage& image, const Table& table, uint64_t at,
                       const std::string& what) {
  throw Error(
      "bad_image",
      fmt::format("{}: {}: the entry at {:#x} {}", image.path, table.name, table.addr + at, what),
      "what a table says of the code cannot be left out of the proof: report the kernel");
}

// Code by its flag alone: relocate_kernel() of 7.3 lies in .data, and has an alternative.
bool is_code(const RunImage& image, uint64_t addr) {
  const RunSection* section = image.section_at(addr);
  return section != nullptr && section->exec;
}

// Calls read(at, code) for each entry of that size; code is the place that its first field names.
template <typename Read>
void for_each_entry(const RunImage& image, const Table& table, uint64_t size, const Read& read) {
  for (uint64_t at = 0; at < table.bytes.size(); at += size) {
    if (table.bytes.size() - at < size) fail(image, table, at, "is cut off");
    const uint64_t code = relative(table, at);
    if (!is_code(image, code)) fail(image, table, at, "is about a place that is not code");
    read(at, code);
  }
}

// Whether the entry at at is about a trap, or about what hands the entry to __WARN_trap.
bool is_bug(const RunImage& image, const Table& table, uint64_t at, const BugLayout& layout,
            uint16_t args_flag) {
  const uint64_t code = relative(table, at);
  if ((table.bytes.read<uint16_t>(at + layout.flags_at) & args_flag) == 0) {
    auto bytes = image.read(code, BugTrapSize);
    return bytes && is_bug_trap(*bytes);
  }
  auto bytes = image.read(code - LoadAddressSize, LoadAddressSize);
  std::optional<int64_t> distance = bytes ? loaded_distance(*bytes) : std::nullopt;
  return distance && code + static_cast<uint64_t>(*distance) == table.addr + at;
}

// The layout of the series that every entry fits.
const BugLayout& find_bug_layout(const RunImage& image, const Table& table,
                                 const KernelSeries& series) {
  for (const BugLayout& layout : series.bugs) {
    uint64_t at = 0;
    while (at + layout.size <= table.bytes.size() &&
           is_bug(image, table, at, layout, series.bug_args_flag))
      at += layout.size;
    if (at == table.bytes.size()) return layout;
  }
  fail(image, table, 0, "and those behind it are of no known layout");
}

void read_jump_labels(const RunImage& image, RunTables& result) {
  for (const Table& jump :
       find_tables(image, "__jump_table", "__start___jump_table", "__stop___jump_table"))
    for_each_entry(image, jump, 16, [&](uint64_t at, uint64_t code) {
      uint64_t key = jump.addr + at + 8 + jump.bytes.read<uint64_t>(at + 8);
      result.jump_labels[code] = {relative(jump, at + 4), key & ~uint64_t{3}, (key & 1) != 0};
    });
}

void read_alternatives(const RunImage& image, RunTables& result) {
  const auto [size, feature_size] = result.series->alternatives;
  for (const Table& table :
       find_tables(image, ".altinstructions", "__alt_instructions", "__alt_instructions_end"))
    for_each_entry(
        image, table, size, [&, size = size, wide = feature_size == 4](uint64_t at, uint64_t code) {
          RunAlternative entry;
          entry.replacement = relative(table, at + 4);
          entry.feature =
              wide ? table.bytes.read<uint32_t>(at + 8) : table.bytes.read<uint16_t>(at + 8);
          entry.length = table.bytes.read<uint8_t>(at + size - 2);
          entry.replacement_length = table.bytes.read<uint8_t>(at + size - 1);
          if (entry.replacement_length > entry.length)
            fail(image, table, at, "has a replacement that is longer than the code");
          if (entry.replacement_length != 0 && !is_code(image, entry.replacement))
            fail(image, table, at, "has a replacement that is not code");
          result.alternatives[code].push_back(entry);
        });
}

void read_exceptions(const RunImage& image, RunTables& result) {
  for (const Table& table :
       find_tables(image, "__ex_table", "__start___ex_table", "__stop___ex_table"))
    for_each_entry(image, table, 12, [&](uint64_t at, uint64_t code) {
      result.exceptions[code] = {relative(table, at + 4), table.bytes.read<uint32_t>(at + 8)};
    });
}

void read_static_calls(const RunImage& image, RunTables& result) {
  for (const Table& table : find_tables(image, ".static_call_sites", "__start_static_call_sites",
                                        "__stop_static_call_sites"))
    for_each_entry(image, table, 8, [&](uint64_t at, uint64_t code) {
      uint64_t key = relative(table, at + 4);
      result.static_calls[code] = {key & ~uint64_t{3}, static_cast<uint8_t>(key & 3)};
    });
}

void read_bugs(const RunImage& image, RunTables& result) {
  for (const Table& table :
       find_tables(image, "__bug_table", "__start___bug_table", "__stop___bug_table")) {
    const BugLayout& layout = find_bug_layout(image, table, *result.series);
    for_each_entry(image, table, layout.size, [&](uint64_t at, uint64_t code) {
      const uint64_t format = layout.format_at == 0 ? 0 : relative(table, at + layout.format_at);
      result.bugs[code] = {table.bytes.read<uint16_t>(at + layout.flags_at), table.addr + at,
                           format};
    });
  }
}

// Each constant has a section.
void read_runtime_constants(const RunImage& image, RunTables& result) {
  constexpr std::string_view Prefix = "runtime_";
  for (const RunSection& section : image.sections) {
    if (!section.name.starts_with(Prefix) || !section.owner.empty()) continue;
    const std::string name = section.name.substr(Prefix.size());
    for (uint64_t place : runtime_constants(image, name)) result.runtime_constants[place] = name;
  }
}

}  // namespace

RunTables read_run_tables(const RunImage& image) {
  RunTables result;
  result.series = &get_series(image.release);
  read_jump_labels(image, result);
  read_alternatives(image, result);
  read_exceptions(image, result);
  read_static_calls(image, result);
  read_bugs(image, result);
  read_runtime_constants(image, result);
  return result;
}

std::vector<uint64_t> runtime_constants(const RunImage& image, const std::string& name) {
  std::vector<uint64_t> places;
  for (const RunSection& section : image.sections) {
    if (section.name != "runtime_" + name || !section.owner.empty()) continue;
    const Table table{section.addr, Bytes(section.data, image.path), section.name};
    for_each_entry(image, table, 4, [&](uint64_t, uint64_t place) { places.push_back(place); });
  }
  return places;
}

std::optional<uint64_t> find_constant(const RunImage& image, const std::string& name,
                                      uint64_t place) {
  const size_t kind = name.find('_');  // "ptr_", "shift_", "mask_"
  if (kind == std::string::npos) return std::nullopt;
  if (const RunSymbol* variable = image.unique_symbol(name.substr(kind + 1))) return variable->addr;
  for (uint64_t other : runtime_constants(image, name))
    if (other != place && !image.is_freed(other)) return other;
  return std::nullopt;
}

const RunTables& tables_of(const RunImage& image) {
  if (image.tables == nullptr)
    image.tables = std::make_shared<const RunTables>(read_run_tables(image));
  return *image.tables;
}

}  // namespace ksplice
