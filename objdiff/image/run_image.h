// A run image: the code and data that a kernel, or one of its modules, runs from, at link-time
// addresses, with its symbols. One interface for three kinds of file:
//
//   vmlinuz   bzImage; the payload is decompressed (lz4, zstd, xz, lzma, gzip, bzip2; the format of
//             the header is Documentation/arch/x86/boot.rst) and read like vmlinux. Debian's has no
//             symbol table: the symbols come from the kallsyms tables in .rodata.
//   vmlinux   ELF, with or without a symbol table.
//   *.ko      ELF relocatable. Its sections are laid out at made-up addresses
//             (from ModuleBase, sections SectionGap apart), its relocations are applied, and
//             symbols it imports get made-up addresses in an import area, ImportGap apart. So
//             matching sees bytes and addresses only, and locate() turns an address back into its
//             meaning.
//
// The room image/: what runs. In: such a file, and a System.map. Out: bytes by address, symbols,
// exports, the tables that describe code (run_tables.h), types (run_types.h). It never guesses: a
// table that is not found, or does not fit in every entry, is an error. It knows nothing of pre
// and post.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "objdiff/object/object.h"

namespace ksplice {

struct RunTables;

struct RunSection {
  std::string name;
  uint64_t addr = 0;
  uint64_t size = 0;
  bool exec = false, write = false;  // .data of 7.3 is both
  std::vector<uint8_t> data;         // shorter than size where the file has no bytes (bss)
  std::string owner = {};            // update module that it is a part of; empty: the image itself
  bool is_code() const { return exec && !write; }
};

struct RunSymbol {
  std::string name;
  uint64_t addr = 0;  // for per-cpu symbols of vmlinux: the offset in the per-cpu area
  uint64_t size = 0;  // to the next symbol where the source has no sizes
  char type = '?';    // letter as in nm and /proc/kallsyms; upper case is global
  bool is_global() const { return type >= 'A' && type <= 'Z'; }
};

// What a run address means, independent of where this boot placed things.
// vmlinux: section is empty and offset is the link-time address minus that of _text
// (or, with percpu set, the per-cpu offset: never slid by KASLR. 7.3 links per-cpu data at real
// addresses, which move like all others).
// module: section of the .ko and the offset in it. import: the name of a symbol that the module
// imports.
// update module of an applied update: like module.
struct RunLocation {
  std::string target;  // "vmlinux" or the module's name (with underscores)
  std::string section;
  std::string import;  // if not empty: an undefined symbol of the .ko; offset is relative to it
  int64_t offset = 0;
  bool percpu = false;
  // If not empty: a name that target has once; offset is relative to it. The kernel does not tell
  // where it has the per-cpu section of a module, but the addresses of the symbols in it.
  std::string symbol = {};
};

// The update module of an applied update that was added to an image (lower_update.h).
struct RunLower {
  std::string id, module;  // module: its name, and target of locations in it
  std::string build_id;
  std::set<std::string> units;  // from which it has code
};

class RunImage {
 public:
  std::string path;
  std::string
      target;  // "vmlinux" or module name, from .modinfo name= (else the file name), '-' as '_'
  std::string build_id;              // lower-case hex of NT_GNU_BUILD_ID; empty if none
  std::string release;               // "6.1.0-50-cloud-amd64", from the banner or vermagic
  std::string banner;                // linux_banner, vmlinux only
  std::vector<RunSection> sections;  // by address
  std::vector<RunSymbol> symbols;    // by address, then name
  std::set<std::string> exports;     // EXPORT_SYMBOL and EXPORT_SYMBOL_GPL, from __ksymtab*
  std::vector<uint8_t> btf;          // its types (run_types.h); empty if it was built without
  // The kernel's types that a module's name, where the module was built apart from the kernel
  // (pahole's distilled_base, since 6.12 and pahole 1.28): its own are then not counted on from the
  // kernel's, but from these.
  std::vector<uint8_t> btf_base;

  bool is_module() const { return target != "vmlinux"; }
  std::vector<const RunSymbol*> find_symbols(const std::string& name) const;
  // The only symbol of that name, or null if there is none or there are several.
  const RunSymbol* unique_symbol(const std::string& name) const;
  // The symbol that covers addr, or null. Prefers global, sized and shortest-named ones.
  const RunSymbol* symbol_at(uint64_t addr) const;
  // Bytes at [addr, addr+length) or nullopt if any of them is outside the file's bytes.
  std::optional<std::span<const uint8_t>> read(uint64_t addr, uint64_t length) const;
  const RunSection* section_at(uint64_t addr) const;
  // Throws Error("internal") for an address outside everything.
  RunLocation locate(uint64_t addr) const;
  // Whether addr is in memory that is freed after the start of the kernel or the module.
  bool is_freed(uint64_t addr) const;
  // Address of a symbol that a module imports (made up, stable in this image), or nullopt.
  std::optional<uint64_t> import_address(const std::string& name) const;

  // Applied updates. A replaced function has two addresses: where it is called, its entry, which is
  // the original's for ever; and where its code is, which is the newest update's body.
  std::vector<RunLower> lowers;  // in order of application
  uint64_t body_of(uint64_t entry) const;
  // Update module that addr lies in, or empty.
  const std::string& owner_of(uint64_t addr) const;

  // Implementation tables; use find_symbols.
  std::multimap<std::string, size_t> by_name;
  std::map<uint64_t, std::string> imports;  // made-up address -> name
  // Made-up addresses of what is elsewhere: in an update module, or in a section without a byte.
  std::map<uint64_t, RunLocation> places;
  std::map<uint64_t, uint64_t> bodies;  // code that an update replaced -> the code it put there
  mutable std::shared_ptr<const RunTables> tables;  // see tables_of()
};

// Reads any of the three kinds. cache_dir, if not empty, keeps what was decoded (vmlinuz only),
// keyed by content. Throws Error("bad_file") or Error("bad_image") naming file, what was expected
// and found.
RunImage read_run_image(const std::string& path, const std::string& cache_dir = "");

// A System.map given by the user. check_system_map compares it with the image: returns "" if it is
// the image's, otherwise a sentence that says that it is a stub or a foreign one, with evidence
// (a symbol with both addresses).
struct SystemMap {
  std::vector<RunSymbol> symbols;
  bool is_stub = false;  // Debian ships one line that points to the -dbg package
};
SystemMap read_system_map(const std::string& path);
std::string check_system_map(const SystemMap& map, const RunImage& image);

}  // namespace ksplice
