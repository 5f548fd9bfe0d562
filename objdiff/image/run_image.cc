#include "objdiff/image/run_image.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "objdiff/arch/arch.h"
#include "objdiff/base/bytes.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/image/decompress.h"
#include "objdiff/image/image_cache.h"
#include "objdiff/image/kallsyms.h"
#include "objdiff/image/run_image_parts.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {
namespace {

// Where a module's parts are placed: in the top 2 GiB, as in the kernel, so that signed 32-bit
// fields hold any address.
constexpr uint64_t SectionGap = uint64_t{1} << 20;

bool is_percpu_section(const RunSection& section) { return section.name == ".data..percpu"; }

RunSection to_run_section(const Section& section, uint64_t addr) {
  return {.name = section.name,
          .addr = addr,
          .size = section.size,
          .exec = section.is_exec(),
          .write = section.is_write(),
          .data = section.data};
}

char type_letter(const Symbol& symbol) {
  char letter = 'a';
  if (symbol.section == nullptr) {
    letter = symbol.is_undefined() ? 'u' : 'a';
  } else if (symbol.section->is_exec()) {
    letter = 't';
  } else if (symbol.section->type == SHT_NOBITS) {
    letter = 'b';
  } else {
    letter = symbol.section->is_write() ? 'd' : 'r';
  }
  if (symbol.bind == STB_WEAK) letter = 'w';
  return symbol.bind == STB_LOCAL ? letter : static_cast<char>(letter - 'a' + 'A');
}

// Symbols of an ELF symbol table; sections gives each section's run address.
std::vector<RunSymbol> elf_symbols(const Object& object,
                                   const std::map<const Section*, uint64_t>& addrs) {
  std::vector<RunSymbol> symbols;
  for (const std::unique_ptr<Symbol>& symbol : object.symbols) {
    if (symbol->name.empty() || symbol->is_section() || symbol->type == STT_FILE) continue;
    if (symbol->is_undefined()) continue;
    uint64_t addr = symbol->value;
    if (symbol->section != nullptr && object.elf_type == ET_REL) {
      auto found = addrs.find(symbol->section);
      if (found == addrs.end()) continue;  // not loaded
      addr += found->second;
    }
    symbols.push_back({symbol->name, addr, symbol->size, type_letter(*symbol)});
  }
  return symbols;
}

// Gives symbols without a size the distance to the next one, at most to the end of the section.
void fill_sizes(RunImage& image) {
  for (size_t i = image.symbols.size(); i-- > 0;) {
    RunSymbol& symbol = image.symbols[i];
    if (symbol.size != 0) continue;
    const RunSection* section = image.section_at(symbol.addr);
    uint64_t end = section != nullptr ? section->addr + section->size : symbol.addr;
    size_t next = i + 1;
    while (next < image.symbols.size() && image.symbols[next].addr == symbol.addr) next++;
    if (next < image.symbols.size()) end = std::min(end, image.symbols[next].addr);
    symbol.size = end - symbol.addr;
  }
}

}  // namespace

void sort_sections(RunImage& image) {
  std::sort(image.sections.begin(), image.sections.end(),
            [](const RunSection& a, const RunSection& b) { return a.addr < b.addr; });
}

void index_symbols(RunImage& image) {
  std::stable_sort(image.symbols.begin(), image.symbols.end(),
                   [](const RunSymbol& a, const RunSymbol& b) {
                     return a.addr != b.addr ? a.addr < b.addr : a.name < b.name;
                   });
  fill_sizes(image);
  image.by_name.clear();
  for (size_t i = 0; i < image.symbols.size(); i++) image.by_name.emplace(image.symbols[i].name, i);
}

namespace {

// lower-case hex of the GNU build id in a section of ELF notes, or "".
std::string build_id_of(const std::vector<uint8_t>& notes, const std::string& name) {
  Bytes bytes(notes, name);
  for (uint64_t at = 0; at + 12 <= notes.size();) {
    uint64_t name_size = bytes.read<uint32_t>(at), size = bytes.read<uint32_t>(at + 4);
    uint32_t type = bytes.read<uint32_t>(at + 8);
    uint64_t desc = at + 12 + ((name_size + 3) & ~uint64_t{3});
    if (name_size == 4 && type == NT_GNU_BUILD_ID && bytes.c_string(at + 12) == "GNU") {
      Bytes id = bytes.slice(desc, size);
      std::string hex;
      for (uint8_t byte : id.span()) hex += fmt::format("{:02x}", byte);
      return hex;
    }
    at = desc + ((size + 3) & ~uint64_t{3});
  }
  return "";
}

}  // namespace

std::string find_build_id(const Object& object) {
  for (const std::unique_ptr<Section>& section : object.sections) {
    if (section->type != SHT_NOTE) continue;
    std::string id = build_id_of(section->data, object.path);
    if (!id.empty()) return id;
  }
  return "";
}

namespace {

std::string read_string(const RunImage& image, uint64_t addr) {
  const RunSection* section = image.section_at(addr);
  if (section == nullptr) return "";
  return std::string(Bytes(section->data, image.path).c_string(addr - section->addr));
}

// struct kernel_symbol with CONFIG_HAVE_ARCH_PREL32_RELOCATIONS (include/linux/export-internal.h):
// three place-relative ints, of the value, the name and the namespace.
void read_exports(RunImage& image) {
  for (const RunSection& section : image.sections) {
    if (section.name != "__ksymtab" && section.name != "__ksymtab_gpl") continue;
    Bytes bytes(section.data, image.path);
    for (uint64_t at = 0; at + 12 <= section.data.size(); at += 12) {
      uint64_t name = section.addr + at + 4 +
                      static_cast<uint64_t>(static_cast<int64_t>(bytes.read<int32_t>(at + 4)));
      image.exports.insert(read_string(image, name));
    }
  }
}

// kallsyms that is not the table of this image would go through unnoticed otherwise.
void check_kallsyms(const RunImage& image) {
  const RunSymbol* text = image.unique_symbol("_text");
  if (text == nullptr || image.section_at(text->addr) == nullptr)
    throw Error("bad_image", image.path + ": kallsyms has no _text inside the image");
  for (const RunSymbol& symbol : image.symbols) {
    if (symbol.type != 'T' && symbol.type != 't') continue;
    bool inside = false;
    for (const RunSection& section : image.sections)  // the end of a section is a label, too
      inside |=
          section.exec && symbol.addr >= section.addr && symbol.addr <= section.addr + section.size;
    // The linker script puts labels (_etext, __end_rodata_aligned ...) on page borders after
    // sections.
    inside |= (symbol.addr & 0xfff) == 0;
    if (!inside)
      throw Error("bad_image",
                  fmt::format("{}: kallsyms places the function {} at {:#x}, outside all code",
                              image.path, symbol.name, symbol.addr));
  }
}

RunImage load_vmlinux(const Object& object) {
  RunImage image;
  image.path = object.path;
  image.target = "vmlinux";
  for (const std::unique_ptr<Section>& section : object.sections)
    if (section->is_alloc() && section->size != 0)
      image.sections.push_back(to_run_section(*section, section->addr));
  sort_sections(image);
  image.symbols = elf_symbols(object, {});
  bool from_kallsyms = image.symbols.empty();
  if (from_kallsyms) {
    const Section* rodata = object.find_section(".rodata");
    if (rodata == nullptr)
      throw Error("bad_image", object.path + ": neither a symbol table nor .rodata with kallsyms");
    image.symbols = decode_kallsyms(to_run_section(*rodata, rodata->addr), object.path);
  }
  index_symbols(image);
  if (from_kallsyms) check_kallsyms(image);
  image.build_id = find_build_id(object);
  const RunSymbol* banner = image.unique_symbol("linux_banner");
  if (banner != nullptr) image.banner = read_string(image, banner->addr);
  static const std::string prefix = "Linux version ";
  if (image.banner.rfind(prefix, 0) != 0)
    throw Error("bad_image", object.path + ": has no linux_banner, so it is no Linux kernel");
  while (!image.banner.empty() && image.banner.back() == '\n') image.banner.pop_back();
  image.release = image.banner.substr(prefix.size());
  image.release = image.release.substr(0, image.release.find(' '));
  read_exports(image);
  if (const Section* btf = object.find_section(".BTF")) image.btf = btf->data;
  return image;
}

std::string modinfo(const Object& object, const std::string& key) {
  const Section* section = object.find_section(".modinfo");
  if (section == nullptr) return "";
  Bytes bytes(section->data, object.path);
  for (uint64_t at = 0; at < section->data.size();) {
    std::string_view entry = bytes.c_string(at);
    if (entry.substr(0, key.size() + 1) == key + "=")
      return std::string(entry.substr(key.size() + 1));
    at += entry.size() + 1;
  }
  return "";
}

}  // namespace

void apply_relocations(const Section& section, uint64_t addr, std::vector<uint8_t>& data,
                       const std::map<const Section*, uint64_t>& addrs,
                       const std::map<const Symbol*, uint64_t>& imports, const std::string& path) {
  for (const Relocation& relocation : section.relocations) {
    unsigned size = reloc_size(relocation.type);
    if (size == 0 || relocation.symbol == nullptr) continue;
    const Symbol& symbol = *relocation.symbol;
    uint64_t value = symbol.value + static_cast<uint64_t>(relocation.addend);
    if (symbol.section != nullptr) {
      auto found = addrs.find(symbol.section);
      if (found == addrs.end())
        throw Error("bad_file", fmt::format("{}: {}+{:#x} refers to {}, which is not loaded", path,
                                            section.name, relocation.offset, symbol.section->name));
      value += found->second;
    } else if (symbol.is_undefined()) {
      auto found = imports.find(&symbol);
      if (found == imports.end())
        throw Error("bad_file", fmt::format("{}: {}+{:#x} refers to a symbol without a name", path,
                                            section.name, relocation.offset));
      value += found->second;
    }
    if (reloc_is_pc_relative(relocation.type)) value -= addr + relocation.offset;
    if (relocation.offset > data.size() || size > data.size() - relocation.offset)
      throw Error("bad_file", fmt::format("{}: relocation at {}+{:#x} is outside the section", path,
                                          section.name, relocation.offset));
    std::memcpy(data.data() + relocation.offset, &value, size);
  }
}

namespace {

// Sections that the loader puts one behind the other, in the order of their headers: writable, kept
// after the start, and not set apart (layout_sections() in kernel/module/main.c, 6.1 to 6.12).
bool is_plain_data(const Section& section) {
  return section.is_alloc() && section.is_write() && !section.is_exec() &&
         !section.name.starts_with(".init") && section.name != ".data..percpu" &&
         section.name != ".data..ro_after_init" && section.name != "__jump_table";
}

// The kernel does not tell where a section without a byte is (a .bss with an empty lock_class_key,
// as macvlan's): its place is told by the section before it, unless its alignment hides that.
void place_empty_sections(const Object& object, const std::map<const Section*, uint64_t>& addrs,
                          RunImage& image) {
  const Section* before = nullptr;
  for (const std::unique_ptr<Section>& section : object.sections) {
    if (!is_plain_data(*section)) continue;
    uint64_t align = std::max<uint64_t>(1, section->align);
    if (section->size != 0) {
      before = section.get();
    } else if (before != nullptr && align <= std::max<uint64_t>(1, before->align)) {
      uint64_t offset = (before->size + align - 1) / align * align;
      image.places[addrs.at(section.get())] = {.target = image.target,
                                               .section = before->name,
                                               .import = "",
                                               .offset = static_cast<int64_t>(offset),
                                               .percpu = false};
    }
  }
}

RunImage load_module(const Object& object) {
  RunImage image;
  image.path = object.path;
  image.target = modinfo(object, "name");
  if (image.target.empty()) {
    image.target = std::filesystem::path(object.path).filename().string();
    image.target.resize(std::min(image.target.find(".ko"), image.target.size()));
  }
  std::replace(image.target.begin(), image.target.end(), '-', '_');
  std::string vermagic = modinfo(object, "vermagic");
  image.release = vermagic.substr(0, vermagic.find(' '));
  image.build_id = find_build_id(object);

  std::map<const Section*, uint64_t> addrs;
  uint64_t next = ModuleBase;
  for (const std::unique_ptr<Section>& section : object.sections) {
    if (!section->is_alloc()) continue;
    addrs[section.get()] = next;
    next += (section->size / SectionGap + 2) * SectionGap;
    if (next >= ImportBase) throw Error("bad_file", object.path + ": too large for a module");
  }
  std::map<const Symbol*, uint64_t> imports;
  next = ImportBase;
  for (const std::unique_ptr<Symbol>& symbol : object.symbols) {
    if (!symbol->is_undefined() || symbol->name.empty()) continue;
    imports[symbol.get()] = next + ImportGap / 2;
    image.imports[next + ImportGap / 2] = symbol->name;
    next += ImportGap;
    if (next >= ImportEnd) throw Error("bad_file", object.path + ": imports too many symbols");
  }
  for (const auto& [section, addr] : addrs) {
    RunSection run = to_run_section(*section, addr);
    apply_relocations(*section, addr, run.data, addrs, imports, object.path);
    image.sections.push_back(std::move(run));
  }
  sort_sections(image);
  place_empty_sections(object, addrs, image);
  image.symbols = elf_symbols(object, addrs);
  index_symbols(image);
  read_exports(image);
  if (const Section* btf = object.find_section(".BTF")) image.btf = btf->data;
  if (const Section* btf = object.find_section(".BTF.base")) image.btf_base = btf->data;
  return image;
}

}  // namespace

std::vector<const RunSymbol*> RunImage::find_symbols(const std::string& name) const {
  std::vector<const RunSymbol*> result;
  auto [first, last] = by_name.equal_range(name);
  for (auto it = first; it != last; ++it) result.push_back(&symbols[it->second]);
  return result;
}

const RunSymbol* RunImage::unique_symbol(const std::string& name) const {
  auto [first, last] = by_name.equal_range(name);
  if (first == last || std::next(first) != last) return nullptr;
  return &symbols[first->second];
}

const RunSymbol* RunImage::symbol_at(uint64_t addr) const {
  auto after = std::upper_bound(symbols.begin(), symbols.end(), addr,
                                [](uint64_t value, const RunSymbol& s) { return value < s.addr; });
  const RunSymbol* best = nullptr;
  auto better = [](const RunSymbol& a, const RunSymbol& b) {
    if (a.addr != b.addr) return a.addr > b.addr;
    if (a.is_global() != b.is_global()) return a.is_global();
    if ((a.size != 0) != (b.size != 0)) return a.size != 0;
    return a.name.size() < b.name.size();
  };
  // An outer symbol may begin some symbols before (labels inside assembly functions).
  for (int steps = 0; after != symbols.begin() && steps < 32; steps++) {
    --after;
    if (addr - after->addr < after->size || addr == after->addr)
      if (best == nullptr || better(*after, *best)) best = &*after;
    if (best != nullptr && after->addr < best->addr) break;
  }
  return best;
}

const RunSection* RunImage::section_at(uint64_t addr) const {
  auto after = std::upper_bound(sections.begin(), sections.end(), addr,
                                [](uint64_t value, const RunSection& s) { return value < s.addr; });
  while (after != sections.begin()) {  // sections without size share addresses with others
    --after;
    if (addr - after->addr < after->size) return &*after;
    if (after->size != 0) break;
  }
  return nullptr;
}

std::optional<std::span<const uint8_t>> RunImage::read(uint64_t addr, uint64_t length) const {
  const RunSection* section = section_at(addr);
  if (section == nullptr) return std::nullopt;
  uint64_t offset = addr - section->addr;
  if (offset > section->data.size() || length > section->data.size() - offset) return std::nullopt;
  return std::span<const uint8_t>(section->data).subspan(offset, length);
}

namespace {

// A place in the per-cpu section of a module or of an update's module: by a name there that stands
// once in the module, best the one at that place. Without any no host can answer.
RunLocation locate_percpu(const RunImage& image, const RunSection& section, uint64_t addr,
                          RunLocation location) {
  auto stands_once = [&](const std::string& name) {
    const std::vector<const RunSymbol*> all = image.find_symbols(name);
    return std::count_if(all.begin(), all.end(), [&](const RunSymbol* symbol) {
             return image.owner_of(symbol->addr) == section.owner && symbol->type != 'U';
           }) == 1;
  };
  const RunSymbol* best = nullptr;
  for (const RunSymbol& symbol : image.symbols)
    if (symbol.addr >= section.addr && symbol.addr < section.addr + section.size &&
        (best == nullptr || symbol.addr <= addr) && symbol.size != 0 && stands_once(symbol.name))
      best = &symbol;
  location.percpu = true;
  if (best == nullptr) return location;
  location.symbol = best->name;
  location.offset = static_cast<int64_t>(addr) - static_cast<int64_t>(best->addr);
  return location;
}

}  // namespace

RunLocation RunImage::locate(uint64_t addr) const {
  RunLocation location;
  location.target = target;
  const RunSection* section = section_at(addr);
  // One past the end of a section is a place, too.
  if (section == nullptr && addr != 0) section = section_at(addr - 1);
  auto in_section = [&] {
    location.section = section->name;
    location.offset = static_cast<int64_t>(addr - section->addr);
    return is_percpu_section(*section) ? locate_percpu(*this, *section, addr, location) : location;
  };
  if (section != nullptr && !section->owner.empty()) {
    location.target = section->owner;
    return in_section();
  }
  auto place = places.upper_bound(addr + ImportGap / 2);
  if (place != places.begin() && addr - std::prev(place)->first + ImportGap / 2 < ImportGap) {
    location = std::prev(place)->second;
    location.offset += static_cast<int64_t>(addr - std::prev(place)->first);
    return location;
  }
  if (!is_module()) {
    if (section != nullptr && is_percpu_section(*section) && section->addr < KernelMap) {
      location.percpu = true;
      location.offset = static_cast<int64_t>(addr);
      return location;
    }
    const RunSymbol* text = unique_symbol("_text");
    uint64_t end = sections.empty() ? 0 : sections.back().addr + sections.back().size;
    if (text != nullptr && addr >= text->addr && addr <= end) {
      location.offset = static_cast<int64_t>(addr - text->addr);
      return location;
    }
  } else if (section != nullptr) {
    return in_section();
  }
  if (addr >= ImportBase && !imports.empty()) {
    auto found = imports.upper_bound(addr + ImportGap / 2);
    if (found != imports.begin()) {
      --found;
      location.import = found->second;
      location.offset = static_cast<int64_t>(addr - found->first);
      return location;
    }
  }
  throw Error("internal", fmt::format("{}: address {:#x} is outside everything", path, addr));
}

bool RunImage::is_freed(uint64_t addr) const {
  const RunSection* section = section_at(addr);
  if (section == nullptr || !section->owner.empty()) return false;
  if (is_module()) return section->name.starts_with(".init");
  // The first copy is freed; the name stands for those of the processors.
  if (is_percpu_section(*section)) return false;
  const RunSymbol *begin = unique_symbol("__init_begin"), *end = unique_symbol("__init_end");
  return begin != nullptr && end != nullptr && addr >= begin->addr && addr < end->addr;
}

std::optional<uint64_t> RunImage::import_address(const std::string& name) const {
  for (const auto& [addr, text] : imports)
    if (text == name) return addr;
  return std::nullopt;
}

uint64_t RunImage::body_of(uint64_t entry) const {
  auto body = bodies.find(entry);
  while (body != bodies.end()) {
    entry = body->second;
    body = bodies.find(entry);
  }
  return entry;
}

const std::string& RunImage::owner_of(uint64_t addr) const {
  static const std::string none;
  const RunSection* section = section_at(addr);
  return section != nullptr ? section->owner : none;
}

RunImage read_run_image(const std::string& path, const std::string& cache_dir) {
  std::vector<uint8_t> file = read_file(path);
  if (is_bzimage(file)) {
    std::vector<uint8_t> elf = cached(
        cache_dir, file, [&] { return decompress_payload(bzimage_payload(file, path), path); });
    return load_vmlinux(read_object(elf, path));
  }
  bool is_elf = file.size() > 4 && std::memcmp(file.data(), "\177ELF", 4) == 0;
  if (!is_elf) file = decompress(file, path);  // modules may be stored as .ko.xz, .ko.zst or .ko.gz
  Object object = read_object(file, path);
  return object.elf_type == ET_REL ? load_module(object) : load_vmlinux(object);
}

}  // namespace ksplice
