#include "objdiff/object/elf_read.h"

#include <elf.h>
#include <fmt/core.h>
#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <set>
#include <utility>
#include <vector>

#include "objdiff/arch/arch.h"
#include "objdiff/base/bytes.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace {

constexpr uint64_t MaximumAlign = 1 << 24;  // the kernel's largest is a huge page, 2 MiB

struct ElfDeleter {
  void operator()(Elf* elf) const { elf_end(elf); }
};

// The tables that connect ELF indices with the model while one file is read.
struct Reader {
  Elf* elf = nullptr;
  std::string name;
  uint64_t file_size = 0;
  Object object;
  std::vector<Section*> sections;  // by ELF section index; null for those the model does not keep
  std::vector<Symbol*> symbols;    // by ELF symbol index; entry 0 is null
  std::vector<std::pair<Section*, Relocation>> ftrace_nops;  // that were calls

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(
        "bad_file", fmt::format("{}: {}", name, what),
        fmt::format("the file is damaged or not an ELF object for {}; make it again", ArchText));
  }
  [[noreturn]] void fail_libelf(const std::string& what) const {
    fail(fmt::format("{}: {}", what, elf_errmsg(-1)));
  }

  GElf_Shdr header(Elf_Scn* scn) const {
    GElf_Shdr shdr;
    if (gelf_getshdr(scn, &shdr) == nullptr) fail_libelf("unreadable section header");
    return shdr;
  }

  // The raw bytes of a section, checked against the file's size.
  std::span<const uint8_t> raw(Elf_Scn* scn, const GElf_Shdr& shdr) const {
    if (shdr.sh_type == SHT_NOBITS || shdr.sh_size == 0) return {};
    if (shdr.sh_offset > file_size || shdr.sh_size > file_size - shdr.sh_offset)
      fail(fmt::format(
          "section {} at offset {:#x}, size {:#x}, does not fit in a file of {:#x} bytes",
          elf_ndxscn(scn), shdr.sh_offset, shdr.sh_size, file_size));
    Elf_Data* data = elf_rawdata(scn, nullptr);
    if (data == nullptr || data->d_buf == nullptr || data->d_size != shdr.sh_size)
      fail_libelf(fmt::format("unreadable section {}", elf_ndxscn(scn)));
    return {static_cast<const uint8_t*>(data->d_buf), data->d_size};
  }

  void read_header();
  void read_sections();
  void read_symbols();
  void read_relocations();
  void restore_ftrace_calls();
};

void Reader::read_header() {
  GElf_Ehdr ehdr;
  if (elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &ehdr) == nullptr) fail("not an ELF file");
  if (ehdr.e_ident[EI_CLASS] != ELFCLASS64 || ehdr.e_ident[EI_DATA] != ELFDATA2LSB ||
      ehdr.e_machine != ElfMachine)
    fail(fmt::format("ELF class {}, data {}, machine {}; expected a 64-bit little-endian {} file",
                     ehdr.e_ident[EI_CLASS], ehdr.e_ident[EI_DATA], ehdr.e_machine, ArchText));
  if (ehdr.e_type != ET_REL && ehdr.e_type != ET_EXEC && ehdr.e_type != ET_DYN)
    fail(fmt::format("ELF type {}; expected a relocatable or executable file", ehdr.e_type));
  // libelf takes a table that is cut off for an empty one.
  uint64_t table = uint64_t{ehdr.e_shnum} * ehdr.e_shentsize;
  if (ehdr.e_shoff > file_size || table > file_size - ehdr.e_shoff)
    fail(fmt::format("section table at {:#x}, size {:#x}, does not fit in a file of {:#x} bytes",
                     ehdr.e_shoff, table, file_size));
  object.elf_type = ehdr.e_type;
}

void Reader::read_sections() {
  size_t count = 0;
  size_t names = 0;
  if (elf_getshdrnum(elf, &count) != 0 || elf_getshdrstrndx(elf, &names) != 0)
    fail_libelf("unreadable section table");
  if (count == 0) fail("no sections");
  sections.assign(count, nullptr);
  for (size_t index = 1; index < count; ++index) {
    Elf_Scn* scn = elf_getscn(elf, index);
    if (scn == nullptr) fail_libelf(fmt::format("unreadable section {}", index));
    GElf_Shdr shdr = header(scn);
    if (shdr.sh_type == SHT_SYMTAB || shdr.sh_type == SHT_RELA || shdr.sh_type == SHT_REL ||
        shdr.sh_type == SHT_SYMTAB_SHNDX || shdr.sh_type == SHT_NULL)
      continue;
    const char* section_name = elf_strptr(elf, names, shdr.sh_name);
    if (section_name == nullptr) fail_libelf(fmt::format("section {} has no readable name", index));
    if (shdr.sh_type == SHT_STRTAB && (shdr.sh_flags & SHF_ALLOC) == 0) continue;
    auto section = std::make_unique<Section>();
    section->name = section_name;
    section->type = shdr.sh_type;
    section->flags = shdr.sh_flags;
    section->addr = shdr.sh_addr;
    section->align = std::max<uint64_t>(shdr.sh_addralign, 1);
    if (object.elf_type == ET_REL &&
        (!std::has_single_bit(section->align) || section->align > MaximumAlign))
      fail(fmt::format("section {} has the alignment {:#x}", section->name, section->align));
    section->entsize = shdr.sh_entsize;
    section->size = shdr.sh_size;
    section->index = static_cast<uint32_t>(index);
    std::span<const uint8_t> bytes = raw(scn, shdr);
    section->data.assign(bytes.begin(), bytes.end());
    sections[index] = section.get();
    object.sections.push_back(std::move(section));
  }
  for (size_t index = 1; index < count; ++index) {
    if (sections[index] == nullptr) continue;
    GElf_Shdr shdr = header(elf_getscn(elf, index));
    if ((shdr.sh_flags & SHF_LINK_ORDER) != 0 && shdr.sh_link < count)
      sections[index]->link = sections[shdr.sh_link];
  }
}

void Reader::read_symbols() {
  Elf_Scn* table = nullptr;
  Elf_Data* wide = nullptr;  // section indices above SHN_LORESERVE
  GElf_Shdr table_header = {};
  for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf, scn)) != nullptr;) {
    GElf_Shdr shdr = header(scn);
    if (shdr.sh_type == SHT_SYMTAB_SHNDX) wide = elf_getdata(scn, nullptr);
    if (shdr.sh_type != SHT_SYMTAB) continue;
    if (table != nullptr) fail("two symbol tables");
    table = scn;
    table_header = shdr;
  }
  symbols.assign(1, nullptr);
  if (table == nullptr) return;
  raw(table, table_header);
  if (table_header.sh_entsize != sizeof(Elf64_Sym))
    fail(fmt::format("symbol table has entries of {} bytes; expected {}", table_header.sh_entsize,
                     sizeof(Elf64_Sym)));
  Elf_Data* data = elf_getdata(table, nullptr);
  if (data == nullptr) fail_libelf("unreadable symbol table");
  size_t count = table_header.sh_size / sizeof(Elf64_Sym);
  for (size_t index = 1; index < count; ++index) {
    GElf_Sym sym;
    Elf32_Word shndx = 0;
    if (gelf_getsymshndx(data, wide, static_cast<int>(index), &sym, &shndx) == nullptr)
      fail_libelf(fmt::format("unreadable symbol {}", index));
    if (sym.st_shndx != SHN_XINDEX) shndx = sym.st_shndx;
    auto symbol = std::make_unique<Symbol>();
    const char* symbol_name = elf_strptr(elf, table_header.sh_link, sym.st_name);
    if (symbol_name == nullptr) fail_libelf(fmt::format("symbol {} has no readable name", index));
    symbol->name = symbol_name;
    symbol->bind = GELF_ST_BIND(sym.st_info);
    symbol->type = GELF_ST_TYPE(sym.st_info);
    symbol->other = sym.st_other;
    symbol->value = sym.st_value;
    symbol->size = sym.st_size;
    symbol->index = static_cast<uint32_t>(index);
    if (sym.st_shndx == SHN_UNDEF || sym.st_shndx == SHN_ABS || sym.st_shndx == SHN_COMMON) {
      symbol->shndx = sym.st_shndx;
    } else {
      if (shndx >= sections.size())
        fail(fmt::format("symbol {} '{}' is in section {} of {}", index, symbol->name, shndx,
                         sections.size()));
      symbol->section = sections[shndx];
      if (symbol->section == nullptr) symbol->shndx = SHN_ABS;
      if (symbol->section != nullptr && object.elf_type == ET_REL &&
          (symbol->value > symbol->section->size ||
           (symbol->type != STT_SECTION && symbol->size > symbol->section->size - symbol->value)))
        fail(fmt::format("symbol {} '{}' at {:#x}, size {:#x}, is outside section {} of size {:#x}",
                         index, symbol->name, symbol->value, symbol->size, symbol->section->name,
                         symbol->section->size));
    }
    if (symbol->is_section() && symbol->name.empty() && symbol->section != nullptr)
      symbol->name = symbol->section->name;
    symbols.push_back(symbol.get());
    object.symbols.push_back(std::move(symbol));
  }
}

void Reader::read_relocations() {
  for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf, scn)) != nullptr;) {
    GElf_Shdr shdr = header(scn);
    if (shdr.sh_type == SHT_REL) fail("SHT_REL relocations; kernel objects have SHT_RELA");
    if (shdr.sh_type != SHT_RELA) continue;
    if (shdr.sh_info >= sections.size() || sections[shdr.sh_info] == nullptr) {
      if (object.elf_type != ET_REL) continue;  // dynamic relocations of an executable
      fail(fmt::format("relocation section {} is for section {}, which does not exist",
                       elf_ndxscn(scn), shdr.sh_info));
    }
    Section* target = sections[shdr.sh_info];
    raw(scn, shdr);
    if (shdr.sh_entsize != sizeof(Elf64_Rela))
      fail(fmt::format("relocations of {} have {} bytes each; expected {}", target->name,
                       shdr.sh_entsize, sizeof(Elf64_Rela)));
    Elf_Data* data = elf_getdata(scn, nullptr);
    if (data == nullptr) fail_libelf(fmt::format("unreadable relocations of {}", target->name));
    size_t count = shdr.sh_size / sizeof(Elf64_Rela);
    target->relocations.reserve(target->relocations.size() + count);
    for (size_t index = 0; index < count; ++index) {
      GElf_Rela rela;
      if (gelf_getrela(data, static_cast<int>(index), &rela) == nullptr)
        fail_libelf(fmt::format("unreadable relocation {} of {}", index, target->name));
      uint64_t symbol = GELF_R_SYM(rela.r_info);
      if (symbol >= symbols.size())
        fail(fmt::format("relocation {} of {} names symbol {} of {}", index, target->name, symbol,
                         symbols.size()));
      if (object.elf_type == ET_REL && rela.r_offset >= target->size)
        fail(fmt::format("relocation {} of {} is at {:#x}, outside its {:#x} bytes", index,
                         target->name, rela.r_offset, target->size));
      if (GELF_R_TYPE(rela.r_info) == RelocNone) {
        if (symbols[symbol] != nullptr && symbols[symbol]->name == FtraceCall)
          ftrace_nops.push_back({target, {rela.r_offset, RelocCall, symbols[symbol], -4}});
        continue;
      }
      if (symbols[symbol] == nullptr)
        fail(fmt::format("relocation {} of {} names no symbol", index, target->name));
      if (symbols[symbol]->is_section() && symbols[symbol]->section == nullptr)
        fail(fmt::format("relocation {} of {} names a section that is not there", index,
                         target->name));
      if (std::abs(rela.r_addend / 2) >= int64_t{1} << 61)  // sums with offsets must fit, too
        fail(fmt::format("relocation {} of {} has the addend {:#x}", index, target->name,
                         rela.r_addend));
      target->relocations.push_back({rela.r_offset, static_cast<uint32_t>(GELF_R_TYPE(rela.r_info)),
                                     symbols[symbol], rela.r_addend});
    }
  }
  if (object.elf_type == ET_REL) restore_ftrace_calls();
  for (const std::unique_ptr<Section>& section : object.sections)
    std::stable_sort(section->relocations.begin(), section->relocations.end(),
                     [](const Relocation& a, const Relocation& b) { return a.offset < b.offset; });
}

// recordmcount, which kernels without -mrecord-mcount run over each object, makes nops of the
// tracer's calls in sections that it does not know (.text.FUNCTION), and leaves them out of
// __mcount_loc. In the kernel's own build these functions lie in .text and have their site: the
// calls are put back. objtool makes nops, too, but of sites that are in __mcount_loc; these stay.
void Reader::restore_ftrace_calls() {
  std::set<std::pair<const Section*, uint64_t>> recorded;
  for (const std::unique_ptr<Section>& section : object.sections)
    if (section->name == "__mcount_loc")
      for (const Relocation& site : section->relocations)
        recorded.emplace(site.symbol->section,
                         site.symbol->value + static_cast<uint64_t>(site.addend));
  for (const auto& [section, call] : ftrace_nops)
    if (section->is_exec() && !recorded.contains({section, call.offset - 1}) &&
        restore_ftrace_call(section->data, call.offset))
      section->relocations.push_back(call);
}

}  // namespace

Object read_object(std::span<const uint8_t> image, const std::string& name) {
  if (elf_version(EV_CURRENT) == EV_NONE)
    throw Error("internal", fmt::format("libelf: {}", elf_errmsg(-1)));
  Reader reader;
  reader.name = name;
  reader.file_size = image.size();
  if (image.size() < sizeof(Elf64_Ehdr)) reader.fail("too short for an ELF file");
  // elf_memory does not write with the commands used here, in spite of its signature.
  std::unique_ptr<Elf, ElfDeleter> elf(
      elf_memory(reinterpret_cast<char*>(const_cast<uint8_t*>(image.data())), image.size()));
  if (elf == nullptr) reader.fail_libelf("not an ELF file");
  reader.elf = elf.get();
  reader.object.path = name;
  reader.read_header();
  reader.read_sections();
  reader.read_symbols();
  reader.read_relocations();
  return std::move(reader.object);
}

Object read_object(const std::string& path) {
  std::vector<uint8_t> image = read_file(path);
  return read_object(image, path);
}

}  // namespace ksplice
