// A host where update A is applied runs A's code in place of the functions that A replaced. An
// update B that replaces one of them again must be proven against A's body, and what A brought
// along (a new static variable, a new function) must be shared with it, never copied. So for B the
// run image is the kernel's image and A's update module together:
//
//   sections    of A's module are laid out behind the image's own, at made-up addresses;
//   addresses   A's absolute symbols and the fields of its expected bytes are filled in by the
//               finalizer that ksplice-apply uses, with the image standing for a boot; what A
//               imports is where the image has it. A's relocations are then applied. From there on
//               A's code refers to the image like any other code in it;
//   bodies      A's own tables (ksplice_abi.h), read as the core reads them, say which code it
//               replaced by which;
//   symbols     new functions and data are added under their names. A replaced function is still
//               called at its old entry, also by A, so its name stays there: RunImage::body_of()
//               leads from the entry to the code. The .cold parts of replaced functions lose their
//               symbol, for nothing runs there any more; A's take their place.
//
// Example: A changes cmdline_proc_show() and adds "static int reads". In B's pre object, made from
// a source with A's patch, cmdline_proc_show is compared with the body in ksplice_a_vmlinux, which
// shows that reads is at ksplice_a_vmlinux .bss+0. B's code gets that address: RunLocation{target
// ksplice_a_vmlinux, section .bss}, which is filled in on the host from /sys/module/*/sections,
// like any address in a module. The update object lists the modules of which it has such addresses;
// the manifest adds their build ids, ksplice-apply compares these, and the core pins the modules.
//
// A source without A's patch is found out by that comparison. In a function that A did not replace,
// line numbers that A's patch moved and that are numbers in the code (ASSERT_RTNL()) are a
// mismatch.
#include "objdiff/update/lower_update.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "kmod-core/ksplice_abi.h"
#include "objdiff/base/bytes.h"
#include "objdiff/base/error.h"
#include "objdiff/image/run_image_parts.h"
#include "objdiff/object/elf_read.h"
#include "objdiff/update/finalize.h"
#include "objdiff/update/update_builder.h"

namespace ksplice {
namespace {

constexpr uint64_t Gap = uint64_t{1} << 16;

class Adder {
 public:
  Adder(RunImage& image, const LowerUpdate& lower) : image_(image), lower_(lower) {}

  void add() {
    // The addresses that the module's own sections get do not depend on the finalized values.
    place_sections(read_object(lower_.ko, lower_.module));
    Object object =
        read_object(finalize_module(lower_.ko, lower_.finalization,
                                    [this](const RunLocation& where) { return address_of(where); }),
                    lower_.module);
    add_sections(object);
    read_bodies(object);
    add_symbols(object);
    image_.tables.reset();
    image_.lowers.push_back({lower_.id, lower_.module, find_build_id(object), units_});
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error("bad_file", fmt::format("update module {}: {}", lower_.module, message));
  }

  void place_sections(const Object& object) {
    uint64_t next = ModuleBase;
    for (const RunSection& section : image_.sections)
      next = std::max(next, (section.addr + section.size + Gap) & ~(Gap - 1));
    std::set<std::string> names;  // the host tells a section's address by its name
    for (const std::unique_ptr<Section>& section : object.sections) {
      if (!section->is_alloc()) continue;
      if (!names.insert(section->name).second)
        fail(fmt::format("it has two sections {}", section->name));
      places_[section->index] = next;
      next += (section->size / Gap + 2) * Gap;
      if (next >= ImportBase) fail("too many updates, there is no room for it");
    }
  }

  // A free made-up address in the area of imports.
  uint64_t new_place() const {
    uint64_t last = ImportBase + ImportGap / 2;
    if (!image_.imports.empty()) last = std::max(last, image_.imports.rbegin()->first);
    if (!image_.places.empty()) last = std::max(last, image_.places.rbegin()->first);
    if (last + ImportGap >= ImportEnd) fail("imports too many symbols");
    return last + ImportGap;
  }

  uint64_t import(const std::string& name) {
    if (std::optional<uint64_t> known = image_.import_address(name)) return *known;
    if (!image_.is_module() && image_.exports.contains(name)) {
      const RunSymbol* only = nullptr;
      for (const RunSymbol* symbol : image_.find_symbols(name)) {
        if (!symbol->is_global()) continue;
        if (only != nullptr && only->addr != symbol->addr)
          fail(fmt::format("{} has two symbols {}", image_.path, name));
        only = symbol;
      }
      if (only != nullptr) return only->addr;
    }
    uint64_t addr = new_place();
    image_.imports[addr] = name;
    return addr;
  }

  uint64_t address_of(const RunLocation& where) {
    uint64_t offset = static_cast<uint64_t>(where.offset);
    if (!where.import.empty()) return import(where.import) + offset;
    if (where.target == "vmlinux" && !image_.is_module()) {
      const RunSymbol* text = image_.unique_symbol("_text");
      if (text == nullptr) fail(image_.path + " has no _text");
      return where.percpu ? offset : text->addr + offset;
    }
    std::string owner = where.target == image_.target ? "" : where.target;
    if (!where.symbol.empty())
      for (const RunSymbol* symbol : image_.find_symbols(where.symbol))
        if (image_.owner_of(symbol->addr) == owner) return symbol->addr + offset;
    for (const RunSection& section : image_.sections)
      if (where.symbol.empty() && section.owner == owner && section.name == where.section)
        return section.addr + offset;
    const bool is_neighbour = std::count(lower_.uses.begin(), lower_.uses.end(), owner) != 0;
    if (owner.rfind("ksplice_", 0) == 0 && !is_neighbour)
      throw Error("needs_update",
                  fmt::format("update {} stands on an update whose module is {}", lower_.id, owner),
                  "name that update before it");
    if (owner.empty()) fail(fmt::format("{} has no section {}", image_.path, where.section));
    // A module's update may name places in vmlinux, and in the update's modules of other targets;
    // nothing in the module's image lies there.
    for (const auto& [addr, known] : image_.places)
      if (known.target == where.target && known.section == where.section &&
          known.offset == where.offset && known.percpu == where.percpu &&
          known.symbol == where.symbol)
        return addr;
    uint64_t addr = new_place();
    image_.places[addr] = where;
    return addr;
  }

  void add_sections(const Object& object) {
    std::map<const Section*, uint64_t> addrs;
    for (const std::unique_ptr<Section>& section : object.sections)
      if (auto place = places_.find(section->index); place != places_.end())
        addrs[section.get()] = place->second;
    std::map<const Symbol*, uint64_t> imports;
    for (const std::unique_ptr<Symbol>& symbol : object.symbols)
      if (symbol->is_undefined() && !symbol->name.empty())
        imports[symbol.get()] = import(symbol->name);
    for (const auto& [section, addr] : addrs) {
      RunSection run{.name = section->name,
                     .addr = addr,
                     .size = section->size,
                     .exec = section->is_exec(),
                     .write = section->is_write(),
                     .data = section->data,
                     .owner = lower_.module};
      apply_relocations(*section, addr, run.data, addrs, imports, lower_.module);
      image_.sections.push_back(std::move(run));
    }
    sort_sections(image_);
  }

  template <typename Record>
  Record read(uint64_t addr, const char* what) const {
    auto bytes = image_.read(addr, sizeof(Record));
    if (!bytes || image_.owner_of(addr) != lower_.module)
      fail(fmt::format("its table of {} is not whole", what));
    Record record;
    std::memcpy(&record, bytes->data(), sizeof record);
    return record;
  }

  std::string read_name(uint64_t addr) const {
    const RunSection* section = image_.section_at(addr);
    if (section == nullptr || section->owner != lower_.module) fail("a name is nowhere");
    return std::string(Bytes(section->data, lower_.module).c_string(addr - section->addr));
  }

  // What runs where, and what no longer runs.
  void read_bodies(const Object& object) {
    const Symbol* symbol = object.find_symbol("ksplice_update_object");
    if (symbol == nullptr || symbol->section == nullptr) fail("it has no ksplice_update_object");
    auto place = places_.find(symbol->section->index);
    if (place == places_.end()) fail("ksplice_update_object is not loaded");
    auto head = read<ksplice_object>(place->second + symbol->value, "tables");
    if (head.abi_version != KSPLICE_ABI_VERSION)
      fail(fmt::format("table format {}, this tool knows {}", head.abi_version,
                       KSPLICE_ABI_VERSION));
    for (uint64_t i = 0; i < head.nr_units; ++i)
      units_.insert(
          read_name(read<ksplice_unit>(head.units + i * sizeof(ksplice_unit), "units").name));
    std::set<uint64_t> replaced;
    for (uint64_t i = 0; i < head.nr_functions; ++i) {
      auto function =
          read<ksplice_function>(head.functions + i * sizeof(ksplice_function), "functions");
      uint64_t old = read<ksplice_run>(function.run, "run code").addr;
      if (image_.owner_of(function.new_addr) != lower_.module ||
          image_.owner_of(old) == lower_.module || image_.section_at(old) == nullptr)
        fail("a function is not where it should be");
      if (image_.bodies.contains(old))
        fail(
            fmt::format("it replaces {}, which an update before it replaces, and was not made on "
                        "top of that",
                        read_name(function.name)));
      image_.bodies[old] = function.new_addr;
      new_bodies_.insert(function.new_addr);
      replaced.insert(old);
    }
    for (uint64_t i = 0; i < head.nr_runs; ++i) {
      auto run = read<ksplice_run>(head.runs + i * sizeof(ksplice_run), "run code");
      if (!replaced.contains(run.addr) && is_fragment(read_name(run.name)))
        std::erase_if(image_.symbols, [&](const RunSymbol& each) {
          return each.addr == run.addr && is_fragment(each.name);
        });
    }
  }

  // What came with the update; the rest is the frame of every module.
  void add_symbols(const Object& object) {
    static const char* const frame[] = {".init",         ".exit",     ".modinfo",
                                        ".gnu.linkonce", ".ksplice.", "__versions"};
    const std::string prefix = update_prefix(lower_.id);
    for (const std::unique_ptr<Symbol>& symbol : object.symbols) {
      if (symbol->section == nullptr || symbol->name.empty() ||
          (symbol->type != STT_FUNC && symbol->type != STT_OBJECT))
        continue;
      const Section& section = *symbol->section;
      auto place = places_.find(section.index);
      bool is_frame = std::any_of(std::begin(frame), std::end(frame), [&](const char* prefix) {
        return section.name.rfind(prefix, 0) == 0;
      });
      if (place == places_.end() || is_frame) continue;
      uint64_t addr = place->second + symbol->value;
      if (new_bodies_.contains(addr)) continue;
      char type = section.is_exec() ? 't' : section.is_write() ? 'd' : 'r';
      if (symbol->bind == STB_GLOBAL) type = static_cast<char>(type - 'a' + 'A');
      std::string name = symbol->name;
      if (name.starts_with(prefix)) name = name.substr(prefix.size());
      image_.symbols.push_back({name, addr, symbol->size, type});
    }
    index_symbols(image_);
  }

  RunImage& image_;
  const LowerUpdate& lower_;
  std::map<uint32_t, uint64_t> places_;  // index of a section -> its made-up address
  std::set<uint64_t> new_bodies_;
  std::set<std::string> units_;
};

}  // namespace

void add_lower_update(RunImage& image, const LowerUpdate& lower) { Adder(image, lower).add(); }

}  // namespace ksplice
