// The line tables of an object (DWARF 5, section 6.2) with their rows as the compiler wrote them,
// and rows as a program again. libdw reads line tables, but writes none.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "objdiff/object/object.h"

namespace ksplice {

struct LineRow {
  const Section* section = nullptr;
  uint64_t offset = 0;  // in section
  uint64_t file = 1, line = 1, column = 0, discriminator = 0;
  bool is_stmt = false, basic_block = false, prologue_end = false, epilogue_begin = false;
  bool end = false;  // the first byte behind a sequence of rows
};

// A folder or a file.
struct LineName {
  uint64_t folder = 0;  // of a file: its index
  std::string name;
  uint64_t field = 0;  // in .debug_line: the offset of the name among the strings
};

struct LineTable {
  uint64_t begin = 0, program = 0, end = 0;  // in .debug_line; program: behind the header
  bool default_is_stmt = true;
  uint8_t min_instruction = 1;
  std::vector<LineName> folders;  // the first is the one that the compiler ran in
  std::vector<LineName> files;
  std::vector<LineRow> rows;  // in the order of the program
};

// All tables of the object's .debug_line. Throws Error("no_debug_info") if one is not of DWARF 5,
// or malformed.
std::vector<LineTable> read_line_tables(const Object& object);

// A line program, with where in it addresses belong: the first rows of its sequences.
struct LineProgram {
  std::vector<uint8_t> bytes;
  std::vector<std::pair<uint64_t, LineRow>> addresses;  // offset in bytes, of 8 zeros
};

// rows: sequences, each with an end.
LineProgram write_line_program(const LineTable& table, const std::vector<LineRow>& rows);

// A number as LEB128, of size bytes if that is given (the size must be enough).
void put_uleb(std::vector<uint8_t>& bytes, uint64_t value, size_t size = 0);

}  // namespace ksplice
