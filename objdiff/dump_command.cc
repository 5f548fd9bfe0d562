// ksplice-objdiff dump: an object as the toolkit sees it: its functions and data, and what their
// relocations really refer to; or the symbols of a kernel or module.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/commands.h"
#include "objdiff/image/run_image.h"
#include "objdiff/match/pre_index.h"
#include "objdiff/object/code.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {
namespace {

const char* kind_word(Entity::Kind kind) {
  switch (kind) {
    case Entity::Kind::Undefined:
      return "undefined";
    case Entity::Kind::Absolute:
      return "absolute";
    case Entity::Kind::Function:
      return "function";
    case Entity::Kind::Code:
      return "code";
    case Entity::Kind::Data:
      return "data";
  }
  return "?";
}

// As System.map; what a module imports has type U.
int dump_image(const RunImage& image) {
  for (const RunSymbol& symbol : image.symbols)
    std::cout << fmt::format("{:016x} {} {}\n", symbol.addr, symbol.type, symbol.name);
  for (const auto& [addr, name] : image.imports)
    std::cout << fmt::format("{:016x} U {}\n", addr, name);
  return ExitDone;
}

bool is_image(const std::string& path) {
  std::vector<uint8_t> file = read_file(path);
  bool is_elf = file.size() > 4 && file[0] == 0x7f && file[1] == 'E';
  if (!is_elf) return true;  // a boot image, or a compressed module
  Object object = read_object(file, path);
  // Only linked modules have a struct module.
  return object.elf_type != 1 /* ET_REL */ ||
         object.find_section(".gnu.linkonce.this_module") != nullptr;
}

int run_dump(const std::string& path, const std::string& function) {
  if (function.empty() && is_image(path)) return dump_image(read_run_image(path));
  Object object = read_object(path);
  PreIndex index(object);
  bool found = function.empty();
  for (const Entity& entity : index.entities()) {
    if (!function.empty() && entity.name() != function) continue;
    found = true;
    std::string place = entity.section == nullptr
                            ? ""
                            : fmt::format(" {}+{:#x} size {:#x}", entity.section->name,
                                          entity.begin, entity.end - entity.begin);
    std::cout << fmt::format("{:<9} {}{}\n", kind_word(entity.kind), entity.name(), place);
    if (function.empty() || entity.section == nullptr) continue;
    if (entity.section->is_exec()) {
      std::cout << disassemble_around(object, *entity.section, entity.begin, entity.end,
                                      entity.begin, UINT32_MAX / 2);
      continue;
    }
    for (const Relocation& relocation : entity.section->relocations)
      if (relocation.offset >= entity.begin && relocation.offset < entity.end)
        std::cout << fmt::format("   {:>6x}: {} {}\n", relocation.offset - entity.begin,
                                 reloc_name(relocation.type),
                                 reloc_target_text(object, relocation, nullptr));
  }
  if (!found) throw Error("failed_to_find", path + ": has no " + function);
  return ExitDone;
}

}  // namespace

void add_dump_command(CLI::App& app, Command* command) {
  auto path = std::make_shared<std::string>();
  auto function = std::make_shared<std::string>();
  CLI::App* dump = app.add_subcommand(
      "dump", "print the functions and data of an object, or the symbols of a kernel");
  dump->add_option("--symbol", *function, "only this one, with its code or relocations");
  dump->add_option("OBJECT", *path, "a relocatable object")->required();
  dump->callback(
      [path, function, command] { command->body = [=] { return run_dump(*path, *function); }; });
}

}  // namespace ksplice
