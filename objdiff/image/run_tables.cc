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

// struct alt_instr has 12 or 14 bytes. The offsets of the right layout lead into code sections.
uint64_t alternative_size(const RunImage& image, const Table& table) {
  for (uint64_t size : {14, 12}) {
    if (table.bytes.size() % size != 0) continue;
    bool good = true;
    uint64_t count = std::min<uint64_t>(table.bytes.size() / size, 64);
    for (uint64_t i = 0; i < count && good; i++) {
      const RunSection* site = image.section_at(relative(table, i * size));
      uint8_t length = table.bytes.read<uint8_t>(i * size + size - 2);
      uint8_t replaced = table.bytes.read<uint8_t>(i * size + size - 1);
      good = site != nullptr && site->exec && replaced <= length;
      if (good && replaced != 0)
        good = image.section_at(relative(table, i * size + 4)) != nullptr &&
               image.section_at(relative(table, i * size + 4))->exec;
    }
    if (good) return size;
  }
  return 0;
}

// struct bug_entry (include/asm-generic/bug.h) has 12 bytes: s32 code, s32 file, u16 line, u16
// flags; or 8 without CONFIG_DEBUG_BUGVERBOSE: s32 code, u16 flags. In the right layout every entry
// leads to code, and that code is a trap.
uint64_t bug_size(const RunImage& image, const Table& table) {
  for (uint64_t size : {12, 8}) {
    if (table.bytes.size() % size != 0) continue;
    bool good = true;
    uint64_t count = std::min<uint64_t>(table.bytes.size() / size, 64);
    for (uint64_t i = 0; i < count && good; i++) {
      auto code = image.read(relative(table, i * size), BugTrapSize);
      good = code && is_bug_trap(*code);
    }
    if (good) return size;
  }
  return 0;
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
    uint64_t size = alternative_size(image, table);
    if (&table == &tables.front())
      result.found_alternatives = table.found && (size != 0 || table.bytes.size() == 0);
    for (uint64_t at = 0; size != 0 && at + size <= table.bytes.size(); at += size) {
      RunAlternative entry;
      entry.replacement = relative(table, at + 4);
      entry.feature =
          size == 12 ? table.bytes.read<uint16_t>(at + 8) : table.bytes.read<uint32_t>(at + 8);
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
    uint64_t size = bug_size(image, table);
    if (&table == &tables.front())
      result.found_bugs = table.found && (size != 0 || table.bytes.size() == 0);
    for (uint64_t at = 0; size != 0 && at + size <= table.bytes.size(); at += size)
      result.bugs[relative(table, at)] = {table.bytes.read<uint16_t>(at + (size == 12 ? 10 : 4))};
  }
}

}  // namespace

RunTables read_run_tables(const RunImage& image) {
  RunTables result;
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
