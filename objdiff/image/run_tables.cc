#include "objdiff/image/run_tables.h"

#include <algorithm>
#include <string>

#include "objdiff/arch/arch.h"
#include "objdiff/base/bytes.h"

namespace ksplice {
namespace {

struct Table {
  uint64_t addr = 0;
  Bytes bytes;
  bool found = false;
};

// A table of the image itself is a section of its own, or lies between two symbols of the linker
// script.
Table find_own_table(const RunImage& image, const std::string& section, const std::string& start,
                     const std::string& stop) {
  const RunSymbol* first = image.is_module() ? nullptr : image.unique_symbol(start);
  const RunSymbol* last = image.is_module() ? nullptr : image.unique_symbol(stop);
  if (first != nullptr && last != nullptr && last->addr >= first->addr) {
    auto bytes = image.read(first->addr, last->addr - first->addr);
    if (bytes) return {first->addr, Bytes(*bytes, image.path), true};
  }
  for (const RunSection& run : image.sections)
    if (run.name == section && run.owner.empty())
      return {run.addr, Bytes(run.data, image.path), true};
  return {0, Bytes(), image.is_module()};  // a module without the section has an empty table
}

// The image's table first, then those of applied updates.
std::vector<Table> find_tables(const RunImage& image, const std::string& section,
                               const std::string& start, const std::string& stop) {
  std::vector<Table> tables = {find_own_table(image, section, start, stop)};
  for (const RunSection& run : image.sections)
    if (run.name == section && !run.owner.empty())
      tables.push_back({run.addr, Bytes(run.data, run.owner), true});
  return tables;
}

// The value of a place-relative 32-bit field.
uint64_t relative(const Table& table, uint64_t at) {
  return table.addr + at +
         static_cast<uint64_t>(static_cast<int64_t>(table.bytes.read<int32_t>(at)));
}

// Whether the entries lead into code sections, and their replacements are no longer than the code.
bool is_alternatives(const RunImage& image, const Table& table, uint64_t size) {
  if (table.bytes.size() % size != 0) return false;
  uint64_t count = std::min<uint64_t>(table.bytes.size() / size, 64);
  for (uint64_t at = 0; at < count * size; at += size) {
    const RunSection* site = image.section_at(relative(table, at));
    const RunSection* replacement = image.section_at(relative(table, at + 4));
    uint8_t length = table.bytes.read<uint8_t>(at + size - 2);
    uint8_t replaced = table.bytes.read<uint8_t>(at + size - 1);
    if (site == nullptr || !site->exec || replaced > length) return false;
    if (replaced != 0 && (replacement == nullptr || !replacement->exec)) return false;
  }
  return true;
}

// In the right layout every entry leads to code, and that code is a trap. Null if in none.
const BugLayout* find_bug_layout(const RunImage& image, const Table& table) {
  for (const BugLayout& layout : bug_layouts()) {
    if (table.bytes.size() % layout.size != 0) continue;
    bool good = true;
    uint64_t count = std::min<uint64_t>(table.bytes.size() / layout.size, 64);
    for (uint64_t i = 0; i < count && good; i++) {
      auto code = image.read(relative(table, i * layout.size), BugTrapSize);
      good = code && is_bug_trap(*code);
    }
    if (good) return &layout;
  }
  return nullptr;
}

void read_jump_labels(const RunImage& image, RunTables& result) {
  auto tables = find_tables(image, "__jump_table", "__start___jump_table", "__stop___jump_table");
  result.found_jump_labels = tables.front().found;
  for (const Table& jump : tables)
    for (uint64_t at = 0; at + 16 <= jump.bytes.size(); at += 16) {
      uint64_t key = jump.addr + at + 8 + jump.bytes.read<uint64_t>(at + 8);
      result.jump_labels[relative(jump, at)] = {relative(jump, at + 4), key & ~uint64_t{3},
                                                (key & 1) != 0};
    }
}

void read_alternatives(const RunImage& image, RunTables& result) {
  auto tables =
      find_tables(image, ".altinstructions", "__alt_instructions", "__alt_instructions_end");
  for (const Table& table : tables) {
    const auto [size, feature_size] = result.series->alternatives;
    bool good = is_alternatives(image, table, size);
    if (&table == &tables.front()) result.found_alternatives = table.found && good;
    for (uint64_t at = 0; good && at + size <= table.bytes.size(); at += size) {
      RunAlternative entry;
      entry.replacement = relative(table, at + 4);
      entry.feature = feature_size == 2 ? table.bytes.read<uint16_t>(at + 8)
                                        : table.bytes.read<uint32_t>(at + 8);
      entry.length = table.bytes.read<uint8_t>(at + size - 2);
      entry.replacement_length = table.bytes.read<uint8_t>(at + size - 1);
      result.alternatives[relative(table, at)].push_back(entry);
    }
  }
}

void read_exceptions(const RunImage& image, RunTables& result) {
  auto tables = find_tables(image, "__ex_table", "__start___ex_table", "__stop___ex_table");
  result.found_exceptions = tables.front().found;
  for (const Table& table : tables)
    for (uint64_t at = 0; at + 12 <= table.bytes.size(); at += 12)
      result.exceptions[relative(table, at)] = {relative(table, at + 4),
                                                table.bytes.read<uint32_t>(at + 8)};
}

void read_static_calls(const RunImage& image, RunTables& result) {
  auto tables = find_tables(image, ".static_call_sites", "__start_static_call_sites",
                            "__stop_static_call_sites");
  result.found_static_calls = tables.front().found;
  for (const Table& table : tables)
    for (uint64_t at = 0; at + 8 <= table.bytes.size(); at += 8) {
      uint64_t key = relative(table, at + 4);
      result.static_calls[relative(table, at)] = {key & ~uint64_t{3},
                                                  static_cast<uint8_t>(key & 3)};
    }
}

void read_bugs(const RunImage& image, RunTables& result) {
  auto tables = find_tables(image, "__bug_table", "__start___bug_table", "__stop___bug_table");
  for (const Table& table : tables) {
    const BugLayout* layout = find_bug_layout(image, table);
    if (&table == &tables.front()) result.found_bugs = table.found && layout != nullptr;
    if (layout == nullptr) continue;
    for (uint64_t at = 0; at + layout->size <= table.bytes.size(); at += layout->size)
      result.bugs[relative(table, at)] = {table.bytes.read<uint16_t>(at + layout->flags_at)};
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
  return result;
}

const RunTables& tables_of(const RunImage& image) {
  if (image.tables == nullptr)
    image.tables = std::make_shared<const RunTables>(read_run_tables(image));
  return *image.tables;
}

}  // namespace ksplice
