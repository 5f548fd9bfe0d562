// ksplice-objdiff sections: the sections of kernel files, and what becomes of a change in each.
#include <elf.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <string_view>

#include "objdiff/base/bytes.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/commands.h"
#include "objdiff/image/decompress.h"
#include "objdiff/object/section_rules.h"

namespace ksplice {
namespace {

// Of thousands of modules only the tables of sections are of interest.
std::vector<std::string> section_names(const std::vector<uint8_t>& file, const std::string& path) {
  const Bytes bytes(file, path);
  const auto header = bytes.read<Elf64_Ehdr>(0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_shentsize != sizeof(Elf64_Shdr))
    throw Error("bad_file", fmt::format("{} is no ELF file of 64 bits", path));
  std::vector<std::string> names;
  auto section = [&](uint64_t i) {
    return bytes.read<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr));
  };
  const uint64_t strings = header.e_shnum == 0 ? 0 : section(header.e_shstrndx).sh_offset;
  for (uint64_t i = 1; i < header.e_shnum; ++i)
    names.emplace_back(bytes.c_string(strings + section(i).sh_name));
  return names;
}

int run_sections(const std::vector<std::string>& paths) {
  std::map<std::string, std::string> found;  // with the first file that has it
  for (const std::string& path : paths) {
    std::vector<uint8_t> file = read_file(path);
    if (is_bzimage(file))
      file = decompress_payload(bzimage_payload(file, path), path);
    else if (path.ends_with(".xz") || path.ends_with(".zst") || path.ends_with(".gz"))
      file = decompress(file, path);
    for (const std::string& name : section_names(file, path)) found.emplace(name, path);
  }
  bool known = true;
  for (const auto& [name, path] : found) {
    const SectionRule* rule = section_rule(name);
    known &= rule != nullptr;
    std::cout << fmt::format(
        "{:<32} {}\n", name,
        rule != nullptr ? std::string(describe(rule->use)) : fmt::format("not known, in {}", path));
  }
  return known ? ExitDone : ExitRefused;
}

}  // namespace

void add_sections_command(CLI::App& app, Command* command) {
  CLI::App* sections = app.add_subcommand(
      "sections", "print the sections of FILEs and what becomes of a change in each");
  auto paths = std::make_shared<std::vector<std::string>>();
  sections->add_option("FILE", *paths, "objects, modules, or a kernel's image")->required();
  sections->callback([=] { command->body = [=] { return run_sections(*paths); }; });
}

}  // namespace ksplice
