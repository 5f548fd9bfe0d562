#include "apply/trace/user_symbols.h"

#include <elf.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <iterator>

#include "objdiff/base/bytes.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace {

constexpr uint64_t LargestFile = 1 << 29;  // that is read for its symbols

// Takes the next word off the line.
std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

bool parse_number(std::string_view text, int base, uint64_t& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

// The line: BEGIN-END PERMISSIONS OFFSET DEVICE INODE PATH (Documentation/filesystems/proc.rst).
std::optional<Mapping> parse_mapping(std::string_view line) {
  Mapping mapping;
  const std::string_view range = next_word(line);
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos || !parse_number(range.substr(0, dash), 16, mapping.begin) ||
      !parse_number(range.substr(dash + 1), 16, mapping.end))
    return std::nullopt;
  if (next_word(line).find('x') == std::string_view::npos) return std::nullopt;
  if (!parse_number(next_word(line), 16, mapping.offset)) return std::nullopt;
  next_word(line);  // the device, of which file systems show another number than stat()
  if (!parse_number(next_word(line), 10, mapping.inode)) return std::nullopt;
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  mapping.path = line;
  return mapping;
}

}  // namespace

ElfFunctions::ElfFunctions(std::span<const uint8_t> file) {
  try {
    read(file);
  } catch (const Error&) {  // what it has is not shown
    functions_.clear();
  }
  std::stable_sort(functions_.begin(), functions_.end(), [](const Function& a, const Function& b) {
    return std::pair(a.addr, a.name) < std::pair(b.addr, b.name);
  });
}

void ElfFunctions::read(std::span<const uint8_t> content) {
  const Bytes file(content, "program");
  const Elf64_Ehdr head = file.read<Elf64_Ehdr>(0);
  if (std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
      head.e_ident[EI_DATA] != ELFDATA2LSB)
    return;
  for (uint64_t i = 0; i < head.e_phnum; ++i) {
    const auto segment = file.read<Elf64_Phdr>(head.e_phoff + i * sizeof(Elf64_Phdr));
    if (segment.p_type == PT_LOAD)
      segments_.push_back({segment.p_offset, segment.p_filesz, segment.p_vaddr});
  }
  for (uint64_t i = 0; i < head.e_shnum; ++i) {
    const auto table = file.read<Elf64_Shdr>(head.e_shoff + i * sizeof(Elf64_Shdr));
    if (table.sh_type != SHT_SYMTAB && table.sh_type != SHT_DYNSYM) continue;
    const Bytes rows = file.slice(table.sh_offset, table.sh_size);
    const auto strings =
        file.read<Elf64_Shdr>(head.e_shoff + uint64_t{table.sh_link} * sizeof(Elf64_Shdr));
    const Bytes names = file.slice(strings.sh_offset, strings.sh_size);
    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= rows.size(); at += sizeof(Elf64_Sym)) {
      const auto symbol = rows.read<Elf64_Sym>(at);
      const unsigned type = ELF64_ST_TYPE(symbol.st_info);
      if ((type == STT_FUNC || type == STT_GNU_IFUNC) && symbol.st_shndx != SHN_UNDEF)
        functions_.push_back(
            {symbol.st_value, symbol.st_size, std::string(names.c_string(symbol.st_name))});
    }
  }
}

std::string ElfFunctions::text(uint64_t offset) const {
  for (const Segment& segment : segments_) {
    if (offset < segment.offset || offset - segment.offset >= segment.size) continue;
    const uint64_t addr = segment.addr + (offset - segment.offset);
    auto after =
        std::upper_bound(functions_.begin(), functions_.end(), addr,
                         [](uint64_t value, const Function& each) { return value < each.addr; });
    if (after == functions_.begin()) return "";
    const uint64_t begin = std::prev(after)->addr;
    // Of several names of one place, the first that reaches so far; those of no size are labels.
    for (auto at = std::lower_bound(
             functions_.begin(), functions_.end(), begin,
             [](const Function&each, uint64_t value) { return each.addr < value; });
         at != after; ++at)
      if (addr - begin < std::max<uint64_t>(at->size, 1))
        return fmt::format("{}+{:#x}", at->name, addr - begin);
    return "";
  }
  return "";
}

std::vector<Mapping> parse_maps(std::string_view text) {
  std::vector<Mapping> mappings;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (std::optional<Mapping> mapping = parse_mapping(text.substr(0, end)))
      mappings.push_back(std::move(*mapping));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return mappings;
}

void UserSymbols::note(uint32_t pid) {
  Process& process = processes_[pid];
  const std::filesystem::path folder = host_.path(fmt::format("/proc/{}", pid));
  std::vector<Mapping> mappings;
  try {
    mappings = parse_maps(read_text(folder / "maps"));
  } catch (const Error&) {  // it went away
  }
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink(folder / "exe", error);
  process.is_gone = !std::filesystem::exists(folder, error);
  if (process.is_gone || mappings.empty()) return;  // one that ends has no memory any more
  process.program = program;
  std::copy_if(process.mappings.begin(), process.mappings.end(), std::back_inserter(mappings),
               [&](const Mapping& old) {
                 return std::none_of(mappings.begin(), mappings.end(), [&](const Mapping& now) {
                   return now.begin == old.begin && now.end == old.end && now.path == old.path;
                 });
               });
  process.mappings = std::move(mappings);
}

bool UserSymbols::is_gone(uint32_t pid) const {
  auto found = processes_.find(pid);
  return found == processes_.end() || found->second.is_gone;
}

std::string UserSymbols::program(uint32_t pid) const {
  auto found = processes_.find(pid);
  return found == processes_.end() ? "" : found->second.program;
}

// Its own root directory may be another one than ours; the file may be another one than was mapped.
const ElfFunctions& UserSymbols::functions(uint32_t pid, const Mapping& mapping) {
  const auto key = std::pair(mapping.path, mapping.inode);
  if (auto found = files_.find(key); found != files_.end()) return found->second;
  for (const std::string& place :
       {fmt::format("/proc/{}/root{}", pid, mapping.path), mapping.path}) {
    const std::filesystem::path path = host_.path(place);
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_ino != mapping.inode || static_cast<uint64_t>(status.st_size) > LargestFile)
      continue;
    try {
      return files_.emplace(key, ElfFunctions(read_file(path))).first->second;
    } catch (const Error&) {  // perhaps the other one
    }
  }
  return files_.emplace(key, ElfFunctions({})).first->second;
}

const Mapping* UserSymbols::find(uint32_t pid, uint64_t addr) const {
  auto process = processes_.find(pid);
  if (process == processes_.end()) return nullptr;
  for (const Mapping& mapping : process->second.mappings)
    if (addr >= mapping.begin && addr < mapping.end) return &mapping;
  return nullptr;
}

bool UserSymbols::is_code(uint32_t pid, uint64_t addr) const { return find(pid, addr) != nullptr; }

std::string UserSymbols::text(uint32_t pid, uint64_t addr) {
  const Mapping* mapping = find(pid, addr);
  if (mapping == nullptr || mapping->path.empty()) return fmt::format("{:#x}", addr);
  const uint64_t offset = addr - mapping->begin + mapping->offset;
  if (mapping->path[0] != '/') return fmt::format("{:#x} {}", offset, mapping->path);  // [vdso]
  const std::string name = functions(pid, *mapping).text(offset);
  return fmt::format("{} [{}]", name.empty() ? fmt::format("{:#x}", offset) : name, mapping->path);
}

}  // namespace ksplice
