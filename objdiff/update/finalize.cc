#include "objdiff/update/finalize.h"

#include <elf.h>
#include <fmt/core.h>

#include <cstddef>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "kmod-core/ksplice_abi.h"
#include "objdiff/arch/arch.h"
#include "objdiff/base/bytes.h"

namespace ksplice {

namespace {

constexpr std::string_view FieldSection = ".ksplice.bytes";
constexpr std::string_view FunctionSection = ".ksplice.functions";
constexpr std::string_view ObjectSymbol = "ksplice_update_object";

[[noreturn]] void fail(const std::string& message) {
  throw Error("bad_file", "update module: " + message,
              "the tarball does not fit together; create it again");
}

// The tables of a .ko, checked; everything is read through Bytes.
struct Module {
  explicit Module(std::span<const uint8_t> ko);

  const Elf64_Shdr* find_section(std::string_view name) const;
  // File offset of entry index of the symbol table.
  uint64_t symbol_offset(size_t index) const {
    return symtab.sh_offset + index * sizeof(Elf64_Sym);
  }
  std::string_view symbol_name(const Elf64_Sym& symbol) const {
    return symbol_names.c_string(symbol.st_name);
  }

  Bytes file, section_names, symbol_names;
  std::vector<Elf64_Shdr> sections;
  Elf64_Shdr symtab = {};
  std::vector<Elf64_Sym> symbols;
};

Module::Module(std::span<const uint8_t> ko) : file(ko, "update module") {
  Elf64_Ehdr ehdr = file.read<Elf64_Ehdr>(0);
  if (std::memcmp(ehdr.e_ident, ELFMAG, SELFMAG) != 0 || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
      ehdr.e_ident[EI_DATA] != ELFDATA2LSB || ehdr.e_machine != ElfMachine ||
      ehdr.e_type != ET_REL || ehdr.e_shentsize != sizeof(Elf64_Shdr))
    fail(fmt::format("not a relocatable ELF object for {}", ArchText));
  Bytes table = file.slice(ehdr.e_shoff, uint64_t{ehdr.e_shnum} * sizeof(Elf64_Shdr));
  for (uint64_t index = 0; index < ehdr.e_shnum; ++index)
    sections.push_back(table.read<Elf64_Shdr>(index * sizeof(Elf64_Shdr)));
  if (ehdr.e_shstrndx >= sections.size()) fail("no section names");
  const Elf64_Shdr& names = sections[ehdr.e_shstrndx];
  section_names = file.slice(names.sh_offset, names.sh_size);
  size_t tables = 0;
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB) continue;
    symtab = section;
    ++tables;
  }
  if (tables != 1) fail(fmt::format("{} symbol tables, expected one", tables));
  if (symtab.sh_link >= sections.size()) fail("no symbol names");
  const Elf64_Shdr& strings = sections[symtab.sh_link];
  symbol_names = file.slice(strings.sh_offset, strings.sh_size);
  Bytes entries = file.slice(symtab.sh_offset, symtab.sh_size);
  for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= entries.size(); at += sizeof(Elf64_Sym))
    symbols.push_back(entries.read<Elf64_Sym>(at));
}

const Elf64_Shdr* Module::find_section(std::string_view name) const {
  const Elf64_Shdr* found = nullptr;
  for (const Elf64_Shdr& section : sections) {
    if (section_names.c_string(section.sh_name) != name) continue;
    if (found != nullptr) fail(fmt::format("section {} is there more than once", name));
    found = &section;
  }
  return found;
}

void put(std::vector<uint8_t>& result, uint64_t offset, const void* value, size_t size) {
  std::memcpy(result.data() + offset, value, size);
}

// objcopy and strip lose the symbol of a relocation against an absolute symbol of value 0; such
// code would run into address 0.
void check_relocations(const Module& module) {
  for (const Elf64_Shdr& section : module.sections) {
    if (section.sh_type != SHT_RELA) continue;
    Bytes table = module.file.slice(section.sh_offset, section.sh_size);
    for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= table.size(); at += sizeof(Elf64_Rela)) {
      Elf64_Rela rela = table.read<Elf64_Rela>(at);
      if (ELF64_R_TYPE(rela.r_info) != RelocNone && ELF64_R_SYM(rela.r_info) == STN_UNDEF)
        fail(fmt::format("a relocation in {} has lost its symbol",
                         module.section_names.c_string(section.sh_name)));
    }
  }
}

void fill_symbols(const Module& module, const Finalization& finalization,
                  const HostAddresses& addresses, std::vector<uint8_t>& result) {
  std::map<std::string_view, const FinalSymbol*> wanted;
  for (const FinalSymbol& symbol : finalization.symbols)
    if (!wanted.emplace(symbol.name, &symbol).second)
      fail(fmt::format("symbol {} is to be filled in twice", symbol.name));
  std::map<std::string_view, size_t> seen;
  for (size_t index = 1; index < module.symbols.size(); ++index) {
    const Elf64_Sym& symbol = module.symbols[index];
    if (symbol.st_shndx != SHN_ABS || ELF64_ST_TYPE(symbol.st_info) == STT_FILE) continue;
    std::string_view name = module.symbol_name(symbol);
    auto found = wanted.find(name);
    if (found == wanted.end()) {
      if (symbol.st_value == 0)
        fail(fmt::format("absolute symbol {} has no value and nothing says what it is", name));
      continue;
    }
    if (++seen[name] > 1) fail(fmt::format("absolute symbol {} is there more than once", name));
    uint64_t value = addresses(found->second->location);
    put(result, module.symbol_offset(index) + offsetof(Elf64_Sym, st_value), &value, sizeof value);
  }
  for (const auto& [name, symbol] : wanted)
    if (!seen.contains(name)) fail(fmt::format("absolute symbol {} is not there", name));
}

// Where a pointer in a table leads.
struct Pointer {
  const Elf64_Shdr* section = nullptr;  // nullptr: to an absolute symbol
  uint64_t offset = 0;
  std::string symbol;
};

// Pointers of a relocatable file are relocations: those of one section, by offset.
using Pointers = std::map<uint64_t, Pointer>;

Pointers read_pointers(const Module& module, const Elf64_Shdr& section) {
  Pointers pointers;
  const size_t index = static_cast<size_t>(&section - module.sections.data());
  for (const Elf64_Shdr& table : module.sections) {
    if (table.sh_type != SHT_RELA || table.sh_info != index) continue;
    const Bytes rows = module.file.slice(table.sh_offset, table.sh_size);
    for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= rows.size(); at += sizeof(Elf64_Rela)) {
      const Elf64_Rela rela = rows.read<Elf64_Rela>(at);
      if (ELF64_R_SYM(rela.r_info) >= module.symbols.size()) fail("a relocation without a symbol");
      const Elf64_Sym& symbol = module.symbols[ELF64_R_SYM(rela.r_info)];
      Pointer& pointer = pointers[rela.r_offset];
      pointer.symbol = module.symbol_name(symbol);
      pointer.offset = symbol.st_value + static_cast<uint64_t>(rela.r_addend);
      if (symbol.st_shndx != SHN_UNDEF && symbol.st_shndx < module.sections.size())
        pointer.section = &module.sections[symbol.st_shndx];
    }
  }
  return pointers;
}

const Pointer& get_pointer(const Pointers& pointers, uint64_t offset, bool is_absolute) {
  auto found = pointers.find(offset);
  if (found == pointers.end() || (found->second.section == nullptr) != is_absolute)
    fail(fmt::format("no pointer at {}+{:#x}, or to the wrong place", FunctionSection, offset));
  return found->second;
}

bool fits(uint64_t value, unsigned size, bool pc_relative) {
  if (size == 8) return true;
  int64_t number = static_cast<int64_t>(value);
  int64_t half = int64_t{1} << (8 * size - 1);
  // An absolute field may be either zero- or sign-extended by its instruction.
  return number >= -half && number < (pc_relative ? half : 2 * half);
}

void fill_fields(const Module& module, const Finalization& finalization,
                 const HostAddresses& addresses, std::vector<uint8_t>& result) {
  if (finalization.fields.empty()) return;
  const Elf64_Shdr* section = module.find_section(FieldSection);
  if (section == nullptr || section->sh_type == SHT_NOBITS)
    fail(fmt::format("section {} is not there", FieldSection));
  module.file.slice(section->sh_offset, section->sh_size);
  for (const FinalField& field : finalization.fields) {
    if (field.size != 1 && field.size != 4 && field.size != 8)
      fail(fmt::format("field of {} bytes at {:#x}", field.size, field.offset));
    if (field.offset > section->sh_size || field.size > section->sh_size - field.offset)
      fail(fmt::format("field at {:#x} is outside the {:#x} bytes of {}", field.offset,
                       section->sh_size, FieldSection));
    uint64_t value = addresses(field.target) + static_cast<uint64_t>(field.addend);
    if (field.pc_relative) value -= addresses(field.place);
    if (!fits(value, field.size, field.pc_relative))
      throw Error("unexpected", fmt::format("value {:#x} does not fit in the {} bytes at {}+{:#x}",
                                            value, field.size, FieldSection, field.offset));
    put(result, section->sh_offset + field.offset, &value, field.size);
  }
}

}  // namespace

std::vector<uint8_t> finalize_module(std::span<const uint8_t> ko, const Finalization& finalization,
                                     const HostAddresses& addresses) {
  Module module(ko);
  std::vector<uint8_t> result(ko.begin(), ko.end());
  check_relocations(module);
  fill_symbols(module, finalization, addresses, result);
  fill_fields(module, finalization, addresses, result);
  return result;
}

std::string module_build_id(std::span<const uint8_t> ko) {
  Module module(ko);
  const Elf64_Shdr* section = module.find_section(".note.gnu.build-id");
  if (section == nullptr) return "";
  Bytes note = module.file.slice(section->sh_offset, section->sh_size);
  const Elf64_Nhdr head = note.read<Elf64_Nhdr>(0);
  const Bytes content = note.slice(sizeof head + 4, head.n_descsz);
  std::string id;
  for (uint8_t byte : content.span()) id += fmt::format("{:02x}", byte);
  return id;
}

std::vector<ReplacedFunction> replaced_functions(std::span<const uint8_t> ko) {
  Module module(ko);
  const Elf64_Shdr* table = module.find_section(FunctionSection);
  if (table == nullptr) fail(fmt::format("section {} is not there", FunctionSection));
  const Pointers pointers = read_pointers(module, *table);
  std::map<const Elf64_Shdr*, Pointers> of_runs;
  std::vector<ReplacedFunction> functions;
  for (uint64_t at = 0; at + sizeof(ksplice_function) <= table->sh_size;
       at += sizeof(ksplice_function)) {
    const Pointer& name = get_pointer(pointers, at + offsetof(ksplice_function, name), false);
    const Pointer& run = get_pointer(pointers, at + offsetof(ksplice_function, run), false);
    auto [runs, is_new] = of_runs.try_emplace(run.section);
    if (is_new) runs->second = read_pointers(module, *run.section);
    const Pointer& entry =
        get_pointer(runs->second, run.offset + offsetof(ksplice_run, addr), true);
    const Bytes names = module.file.slice(name.section->sh_offset, name.section->sh_size);
    functions.push_back({std::string(names.c_string(name.offset)), entry.symbol});
  }
  return functions;
}

std::vector<uint8_t> set_object_count(std::span<const uint8_t> ko, uint32_t count) {
  Module module(ko);
  std::optional<uint64_t> place;
  for (const Elf64_Sym& symbol : module.symbols) {
    if (symbol.st_shndx == SHN_UNDEF || module.symbol_name(symbol) != ObjectSymbol) continue;
    if (place) fail(fmt::format("symbol {} is there more than once", ObjectSymbol));
    if (symbol.st_shndx >= module.sections.size())
      fail(fmt::format("symbol {} is not in a section", ObjectSymbol));
    const Elf64_Shdr& section = module.sections[symbol.st_shndx];
    if (section.sh_type != SHT_PROGBITS || symbol.st_value > section.sh_size ||
        section.sh_size - symbol.st_value < sizeof(ksplice_object))
      fail(fmt::format("symbol {} is not a whole table", ObjectSymbol));
    module.file.slice(section.sh_offset, section.sh_size);
    place = section.sh_offset + symbol.st_value;
  }
  if (!place) fail(fmt::format("symbol {} is not there", ObjectSymbol));
  uint32_t version = module.file.read<uint32_t>(*place + offsetof(ksplice_object, abi_version));
  if (version != KSPLICE_ABI_VERSION)
    fail(fmt::format("table format {}, this tool knows {}", version, KSPLICE_ABI_VERSION));
  std::vector<uint8_t> result(ko.begin(), ko.end());
  put(result, *place + offsetof(ksplice_object, nr_objects), &count, sizeof count);
  return result;
}

}  // namespace ksplice
