// An update module of which only the table of functions is there.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "kmod-core/ksplice_abi.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

// Of each function the plain name, and the absolute symbol that stands for its entry.
using TableSource = std::vector<std::pair<std::string, std::string>>;

inline std::vector<uint8_t> table_module(const std::filesystem::path& folder,
                                         const TableSource& functions) {
  std::string symbols;
  std::string strings = ".section .ksplice.strings, \"a\"\n.byte 0\n";
  std::string runs = ".section .ksplice.runs, \"aw\"\n";
  std::string table = ".section .ksplice.functions, \"aw\"\n";
  for (size_t i = 0; i < functions.size(); ++i) {
    const auto& [name, symbol] = functions[i];
    symbols += fmt::format(".globl {0}\n.set {0}, 0\n", symbol);
    strings += fmt::format("1{}: .asciz \"{}\"\n", i, name);
    runs += fmt::format("2{0}: .quad 1{0}b, {1}\n.zero {2}\n", i, symbol, sizeof(ksplice_run) - 16);
    table += fmt::format(".quad 1{0}b, 2{0}b\n.zero {1}\n", i, sizeof(ksplice_function) - 16);
  }
  // Apart, as the assembler would put the 0 in place of the symbol.
  write_file(folder / "symbols.s", symbols);
  write_file(folder / "table.s", strings + runs + table);
  for (const char* name : {"symbols", "table"})
    EXPECT_EQ(run_command({KSPLICE_TEST_CC, "-c", "-o", folder / (std::string(name) + ".o"),
                           folder / (std::string(name) + ".s")})
                  .status,
              0);
  const std::filesystem::path ko = folder / "table.ko";
  EXPECT_EQ(run_command({"ld", "-r", "-o", ko, folder / "table.o", folder / "symbols.o"}).status,
            0);
  return read_file(ko);
}

}  // namespace ksplice
