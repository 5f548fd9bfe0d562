// Where in a program an address is: by /proc/PID/maps and the symbol tables of ELF files.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apply/host.h"

namespace ksplice {

// The functions of an ELF file, of .symtab and .dynsym.
class ElfFunctions {
 public:
  // One that is no ELF file of 64 bits, or is malformed, has none.
  explicit ElfFunctions(std::span<const uint8_t> file);
  // "read+0x1a" of the byte at that offset in the file; empty if no function is known there.
  std::string text(uint64_t offset) const;

 private:
  struct Function {
    uint64_t addr = 0, size = 0;
    std::string name;
  };
  struct Segment {
    uint64_t offset = 0, size = 0, addr = 0;
  };
  void read(std::span<const uint8_t> file);
  std::vector<Function> functions_;  // by address
  std::vector<Segment> segments_;
};

struct Mapping {
  uint64_t begin = 0, end = 0, offset = 0, inode = 0;
  std::string path;  // "[vdso]", empty for memory without a file
};
// The lines of /proc/PID/maps that can run.
std::vector<Mapping> parse_maps(std::string_view text);

// The processes that were seen.
class UserSymbols {
 public:
  explicit UserSymbols(const Host& host) : host_(host) {}
  UserSymbols(const UserSymbols&) = delete;
  UserSymbols& operator=(const UserSymbols&) = delete;

  // Reads where the process has what, while it is there. It may do so again: what it has loaded
  // since counts, and what was read before stays; and whether it is gone is what it was then.
  void note(uint32_t pid);
  bool is_gone(uint32_t pid) const;
  // The program that it runs; empty if that is not known.
  std::string program(uint32_t pid) const;
  // Whether the process had code there, as far as is known.
  bool is_code(uint32_t pid, uint64_t addr) const;
  // "read+0x1a [/usr/lib/libc.so.6]", "0x2a10 [/usr/bin/x]" (in the file), or the address.
  std::string text(uint32_t pid, uint64_t addr);

 private:
  struct Process {
    std::string program;
    std::vector<Mapping> mappings;  // the latest first
    bool is_gone = false;
  };
  const Mapping* find(uint32_t pid, uint64_t addr) const;
  const ElfFunctions& functions(uint32_t pid, const Mapping& mapping);

  const Host& host_;
  std::map<uint32_t, Process> processes_;
  std::map<std::pair<std::string, uint64_t>, ElfFunctions> files_;  // by path and inode
};

}  // namespace ksplice
