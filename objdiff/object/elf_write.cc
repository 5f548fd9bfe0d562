#include "objdiff/object/elf_write.h"

#include <elf.h>
#include <fmt/core.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "objdiff/arch/arch.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace {

// A string table with each string once.
class Strings {
 public:
  uint32_t add(const std::string& text) {
    auto [place, is_new] = offsets_.emplace(text, static_cast<uint32_t>(bytes_.size()));
    if (is_new) bytes_.append(text.c_str(), text.size() + 1);
    return place->second;
  }
  std::string& bytes() { return bytes_; }

 private:
  std::string bytes_ = std::string(1, '\0');
  std::map<std::string, uint32_t> offsets_ = {{"", 0}};
};

[[noreturn]] void fail(const std::string& what) { throw Error("internal", "elf_write: " + what); }

struct Writer {
  const Object& object;
  Elf* elf;
  Strings names, symbol_names;
  std::map<const Section*, uint32_t> section_index;
  std::map<const Symbol*, uint32_t> symbol_index;
  std::vector<Elf64_Sym> symbol_table;
  uint32_t first_global = 0;
  // Buffers that libelf refers to until elf_update.
  std::vector<std::vector<Elf64_Rela>> rela_tables;

  // Section numbers as layout() will give them out: each section, then its relocations.
  void number_sections() {
    uint32_t next = 1;
    for (const auto& section : object.sections) {
      section_index[section.get()] = next++;
      if (!section->relocations.empty()) ++next;
    }
  }
  uint32_t symtab_index() const {
    uint32_t next = 1;
    for (const auto& section : object.sections) next += section->relocations.empty() ? 1 : 2;
    return next;
  }

  void add_symbols(bool local) {
    for (const auto& symbol : object.symbols) {
      if ((symbol->bind == STB_LOCAL) != local) continue;
      Elf64_Sym sym = {};
      sym.st_name = symbol_names.add(symbol->is_section() ? "" : symbol->name);
      sym.st_info = ELF64_ST_INFO(symbol->bind, symbol->type);
      sym.st_other = symbol->other;
      sym.st_value = symbol->value;
      sym.st_size = symbol->size;
      sym.st_shndx = symbol->shndx;
      if (symbol->section != nullptr) {
        auto found = section_index.find(symbol->section);
        if (found == section_index.end())
          fail(fmt::format("symbol {} is in section {}, which is not in the object", symbol->name,
                           symbol->section->name));
        if (found->second >= SHN_LORESERVE) fail("more than 65279 sections");
        sym.st_shndx = static_cast<Elf64_Section>(found->second);
      }
      symbol_index[symbol.get()] = static_cast<uint32_t>(symbol_table.size());
      symbol_table.push_back(sym);
    }
  }

  Elf_Scn* new_section(const std::string& name, const GElf_Shdr& wanted, void* buffer, size_t size,
                       Elf_Type type) {
    Elf_Scn* scn = elf_newscn(elf);
    if (scn == nullptr) fail(elf_errmsg(-1));
    Elf_Data* data = elf_newdata(scn);
    if (data == nullptr) fail(elf_errmsg(-1));
    data->d_buf = buffer;
    data->d_size = size;
    data->d_align = wanted.sh_addralign;
    data->d_type = type;
    data->d_version = EV_CURRENT;
    GElf_Shdr shdr = wanted;
    shdr.sh_name = names.add(name);
    if (gelf_update_shdr(scn, &shdr) == 0) fail(elf_errmsg(-1));
    return scn;
  }

  void add_section(const Section& section) {
    GElf_Shdr shdr = {};
    shdr.sh_type = section.type;
    shdr.sh_flags = section.flags;
    shdr.sh_addralign = section.align;
    shdr.sh_entsize = section.entsize;
    if (section.link != nullptr) {
      auto found = section_index.find(section.link);
      if (found == section_index.end())
        fail(fmt::format("section {} is linked to a section that is not in the object",
                         section.name));
      shdr.sh_link = found->second;
    }
    bool has_bytes = section.type != SHT_NOBITS;
    if (has_bytes && section.data.size() != section.size)
      fail(fmt::format("section {} has {} bytes and says {}", section.name, section.data.size(),
                       section.size));
    new_section(section.name, shdr, has_bytes ? const_cast<uint8_t*>(section.data.data()) : nullptr,
                section.size, ELF_T_BYTE);
    if (!section.relocations.empty()) add_relocations(section);
  }

  void add_relocations(const Section& section) {
    std::vector<Elf64_Rela>& table = rela_tables.emplace_back();
    for (const Relocation& relocation : section.relocations) {
      auto found = symbol_index.find(relocation.symbol);
      if (found == symbol_index.end())
        fail(fmt::format("relocation at {}+{:#x} names symbol {}, which is not in the object",
                         section.name, relocation.offset,
                         relocation.symbol == nullptr ? "(null)" : relocation.symbol->name));
      table.push_back(
          {relocation.offset, ELF64_R_INFO(found->second, relocation.type), relocation.addend});
    }
    GElf_Shdr shdr = {};
    shdr.sh_type = SHT_RELA;
    shdr.sh_flags = SHF_INFO_LINK;
    shdr.sh_addralign = 8;
    shdr.sh_entsize = sizeof(Elf64_Rela);
    shdr.sh_link = symtab_index();
    shdr.sh_info = section_index.at(&section);
    new_section(".rela" + section.name, shdr, table.data(), table.size() * sizeof(Elf64_Rela),
                ELF_T_RELA);
  }

  void write() {
    if (gelf_newehdr(elf, ELFCLASS64) == nullptr) fail(elf_errmsg(-1));
    number_sections();
    symbol_table.push_back({});
    add_symbols(true);
    first_global = static_cast<uint32_t>(symbol_table.size());
    add_symbols(false);
    rela_tables.reserve(object.sections.size());
    for (const auto& section : object.sections) add_section(*section);
    GElf_Shdr shdr = {};
    shdr.sh_type = SHT_SYMTAB;
    shdr.sh_addralign = 8;
    shdr.sh_entsize = sizeof(Elf64_Sym);
    shdr.sh_link = symtab_index() + 1;
    shdr.sh_info = first_global;
    new_section(".symtab", shdr, symbol_table.data(), symbol_table.size() * sizeof(Elf64_Sym),
                ELF_T_SYM);
    shdr = {};
    shdr.sh_type = SHT_STRTAB;
    shdr.sh_addralign = 1;
    new_section(".strtab", shdr, symbol_names.bytes().data(), symbol_names.bytes().size(),
                ELF_T_BYTE);
    names.add(".shstrtab");
    new_section(".shstrtab", shdr, names.bytes().data(), names.bytes().size(), ELF_T_BYTE);
    GElf_Ehdr ehdr;
    if (gelf_getehdr(elf, &ehdr) == nullptr) fail(elf_errmsg(-1));
    ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
    ehdr.e_type = ET_REL;
    ehdr.e_machine = ElfMachine;
    ehdr.e_version = EV_CURRENT;
    ehdr.e_shstrndx = static_cast<Elf64_Section>(symtab_index() + 2);
    if (gelf_update_ehdr(elf, &ehdr) == 0) fail(elf_errmsg(-1));
    if (elf_update(elf, ELF_C_WRITE) < 0) fail(elf_errmsg(-1));
  }
};

}  // namespace

std::vector<uint8_t> write_object(const Object& object) {
  if (elf_version(EV_CURRENT) == EV_NONE) fail(elf_errmsg(-1));
  // libelf writes to a descriptor only.
  Fd fd(::memfd_create("ksplice-object", MFD_CLOEXEC));
  if (fd.get() < 0) fail(std::strerror(errno));
  Elf* elf = elf_begin(fd.get(), ELF_C_WRITE, nullptr);
  if (elf == nullptr) fail(elf_errmsg(-1));
  struct End {
    Elf* elf;
    ~End() { elf_end(elf); }
  } end{elf};
  Writer writer{object, elf, {}, {}, {}, {}, {}, 0, {}};
  writer.write();
  return read_file(fmt::format("/proc/self/fd/{}", fd.get()));
}

}  // namespace ksplice
