#include "objdiff/update/debug_file.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <unordered_map>

#include "objdiff/arch/arch.h"
#include "objdiff/object/debug_reader.h"
#include "objdiff/object/dwarf.h"
#include "objdiff/object/elf_write.h"
#include "objdiff/object/line_program.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

constexpr uint32_t CieMark = 0xffffffff;  // of .debug_frame
constexpr uint64_t AddressSize = 8;
constexpr uint8_t OpPiece = 0x93;  // DW_OP_piece

// DW_RLE_*: DWARF 5, section 7.25
enum : uint8_t { ListEnd = 0, OffsetPair = 4, BaseAddress = 5, StartEnd = 6, StartLength = 7 };

// "One piece, of 4 GiB, that is nowhere", as long as an address and nothing else.
std::vector<uint8_t> nowhere() {
  std::vector<uint8_t> expression = {OpPiece};
  put_uleb(expression, uint64_t{1} << 32, AddressSize);
  return expression;
}

bool is_debug(const Section* section) {
  return section != nullptr && section->name.starts_with(".debug_");
}

struct Place {
  Section* section = nullptr;
  uint64_t offset = 0;
};

class DebugBuilder {
 public:
  DebugBuilder(const Object& module, const UpdateObject& update, const PathNames& names)
      : update_(update), names_(names) {
    copy_sections(module);
  }

  void add_unit(const Object& post);
  DebugFile finish();

 private:
  void copy_sections(const Object& module);
  Symbol* section_symbol(Section* section);
  Section& out(const std::string& name);
  const PlacedRange* range_at(const Section* section, uint64_t offset, bool is_end = false) const;
  Place place_in(const PlacedRange& range, uint64_t offset) const;
  std::optional<Place> place(const Relocation& relocation, bool is_end = false) const;
  void add_address(Section& section, uint64_t offset, const Place& target);
  void put(Section& section, uint64_t offset, uint64_t value, unsigned size) {
    std::memcpy(section.data.data() + offset, &value, size);
  }
  uint64_t string(const std::string& section, const std::string& text);
  std::string full_path(const std::string& folder, const std::string& name) const {
    return (fs::path(folder) / name).lexically_normal().string();
  }
  std::string new_name(const std::string& path) const {
    return renamed_path(full_path(folder_, path), names_);
  }

  void add_lines(const Object& post);
  void add_line_names(const LineTable& table, const Section& from, uint64_t base);
  void note_sources(const LineTable& table, const std::vector<LineRow>& rows);
  std::vector<LineRow> rows_of_update(const LineTable& table) const;
  void add_info(const Object& post);
  void add_ranges(const Object& post);
  void empty_ranges(Section& ranges, uint64_t base,
                    const std::map<uint64_t, const Relocation*>& relocations);
  void add_aranges(const Object& post);
  void add_frames(const Object& post);
  void copy(const Object& post, const std::string& name);
  void relocate(const Section& from, Section& to, uint64_t base);
  uint64_t target_of(const Relocation& relocation);

  const UpdateObject& update_;
  const PathNames& names_;
  Object out_;
  std::map<std::string, Symbol*> symbols_;  // of the module, by name; null if there are several
  std::map<const Section*, Symbol*> section_symbols_;
  std::map<std::string, std::unordered_map<std::string, uint64_t>> strings_;
  std::set<std::pair<std::string, std::string>> sources_;
  // Of the unit that is being added.
  std::map<const Section*, std::vector<const PlacedRange*>> ranges_;
  std::map<std::string, uint64_t> bases_;  // where its sections begin
  std::map<uint64_t, uint64_t> tables_;    // where its line tables went
  std::string folder_;                     // that the compiler ran in
};

void DebugBuilder::copy_sections(const Object& module) {
  std::map<const Section*, Section*> copies;
  for (const auto& section : module.sections) {
    if (!section->is_alloc()) continue;
    auto& copy = out_.sections.emplace_back(std::make_unique<Section>());
    copy->name = section->name;
    copy->type = section->type == SHT_NOTE ? SHT_NOTE : SHT_NOBITS;
    copy->flags = section->flags & ~uint64_t{SHF_LINK_ORDER};
    copy->align = section->align;
    copy->entsize = section->entsize;
    copy->size = section->size;
    if (section->type == SHT_NOTE) copy->data = section->data;
    copies[section.get()] = copy.get();
  }
  for (const auto& symbol : module.symbols) {
    auto section = copies.find(symbol->section);
    if (symbol->section == nullptr || section == copies.end() || symbol->is_section()) continue;
    auto& copy = out_.symbols.emplace_back(std::make_unique<Symbol>(*symbol));
    copy->section = section->second;
    auto [known, is_new] = symbols_.emplace(copy->name, copy.get());
    if (!is_new) known->second = nullptr;
  }
}

Symbol* DebugBuilder::section_symbol(Section* section) {
  Symbol*& symbol = section_symbols_[section];
  if (symbol == nullptr) {
    auto& added = out_.symbols.emplace_back(std::make_unique<Symbol>());
    added->type = STT_SECTION;
    added->section = section;
    symbol = added.get();
  }
  return symbol;
}

Section& DebugBuilder::out(const std::string& name) {
  if (Section* known = out_.find_section(name)) return *known;
  auto& section = out_.sections.emplace_back(std::make_unique<Section>());
  section->name = name;
  section->type = SHT_PROGBITS;
  if (name.ends_with("str")) {
    section->flags = SHF_MERGE | SHF_STRINGS;
    section->entsize = 1;
  }
  return *section;
}

// The part of the update that a byte of the unit belongs to; is_end: or ends at it.
const PlacedRange* DebugBuilder::range_at(const Section* section, uint64_t offset,
                                          bool is_end) const {
  auto ranges = ranges_.find(section);
  if (ranges == ranges_.end()) return nullptr;
  const PlacedRange* ending = nullptr;
  for (const PlacedRange* range : ranges->second) {
    if (offset >= range->begin && offset < range->end) return range;
    if (is_end && offset == range->end) ending = range;
  }
  return ending;
}

Place DebugBuilder::place_in(const PlacedRange& range, uint64_t offset) const {
  const Symbol& symbol = *symbols_.at(range.symbol);
  return {symbol.section, symbol.value + offset - range.entry};
}

// Where the linker put what the relocation means, if that is in the update.
std::optional<Place> DebugBuilder::place(const Relocation& relocation, bool is_end) const {
  const uint64_t offset = relocation.symbol->value + static_cast<uint64_t>(relocation.addend);
  const PlacedRange* range = range_at(relocation.symbol->section, offset, is_end);
  return range == nullptr ? std::nullopt : std::optional(place_in(*range, offset));
}

void DebugBuilder::add_address(Section& section, uint64_t offset, const Place& target) {
  put(section, offset, 0, AddressSize);
  section.relocations.push_back(
      {offset, RelocAddress, section_symbol(target.section), static_cast<int64_t>(target.offset)});
}

uint64_t DebugBuilder::string(const std::string& section, const std::string& text) {
  Section& strings = out(section);
  auto [known, is_new] = strings_[section].emplace(text, strings.data.size());
  if (is_new) strings.data.insert(strings.data.end(), text.c_str(), text.c_str() + text.size() + 1);
  return known->second;
}

// The rows of what is in the update. Of a section that several functions share only a part may be,
// and the parts may lie elsewhere: each gets a sequence of its own.
std::vector<LineRow> DebugBuilder::rows_of_update(const LineTable& table) const {
  std::vector<LineRow> kept;
  const PlacedRange* open = nullptr;
  auto add = [&](LineRow row, const PlacedRange& range, uint64_t offset) {
    const Place place = place_in(range, offset);
    row.section = place.section;
    row.offset = place.offset;
    kept.push_back(row);
  };
  for (const LineRow& row : table.rows) {
    const PlacedRange* range = row.end ? nullptr : range_at(row.section, row.offset);
    if (open != nullptr && range != open) {
      LineRow end;
      end.end = true;
      add(end, *open, std::min(row.offset, open->end));
    }
    open = range;
    if (range != nullptr) add(row, *range, row.offset);
  }
  return kept;
}

void DebugBuilder::note_sources(const LineTable& table, const std::vector<LineRow>& rows) {
  std::set<uint64_t> seen;
  for (const LineRow& row : rows) {
    if (row.end || !seen.insert(row.file).second || row.file >= table.files.size()) continue;
    const LineName& file = table.files[row.file];
    if (file.folder >= table.folders.size()) continue;
    const std::string path =
        full_path(folder_, full_path(table.folders[file.folder].name, file.name));
    sources_.emplace(path, renamed_path(path, names_));
  }
}

// The header of a table as it was, with the new names.
void DebugBuilder::add_line_names(const LineTable& table, const Section& from, uint64_t base) {
  Section& lines = out(".debug_line");
  auto name = [&](const LineName& entry, const std::string& text) {
    auto to = std::ranges::find(from.relocations, entry.field, &Relocation::offset);
    if (to == from.relocations.end()) return;
    put(lines, base + entry.field - table.begin, string(to->symbol->section->name, text), 4);
  };
  for (const LineName& folder : table.folders) name(folder, new_name(folder.name));
  for (const LineName& file : table.files) {
    const bool has_folder = file.name.find('/') != std::string::npos;
    const std::string folder =
        file.folder < table.folders.size() ? table.folders[file.folder].name : "";
    name(file, has_folder ? new_name(full_path(folder, file.name)) : file.name);
  }
}

void DebugBuilder::add_lines(const Object& post) {
  tables_.clear();
  folder_.clear();
  for (const LineTable& table : read_line_tables(post)) {
    const Section& from = *post.find_section(".debug_line");
    Section& lines = out(".debug_line");
    const uint64_t base = lines.data.size();
    tables_[table.begin] = base;
    folder_ = table.folders.front().name;
    const std::vector<LineRow> rows = rows_of_update(table);
    note_sources(table, rows);
    const LineProgram program = write_line_program(table, rows);
    auto at = [&](uint64_t offset) { return from.data.begin() + static_cast<int64_t>(offset); };
    lines.data.insert(lines.data.end(), at(table.begin), at(table.program));
    add_line_names(table, from, base);
    const uint64_t begin = lines.data.size();
    lines.data.insert(lines.data.end(), program.bytes.begin(), program.bytes.end());
    put(lines, base, lines.data.size() - base - 4, 4);
    for (const auto& [offset, row] : program.addresses)
      add_address(lines, begin + offset, {const_cast<Section*>(row.section), row.offset});
  }
}

// What a reference from one debug section to another is in the file.
uint64_t DebugBuilder::target_of(const Relocation& relocation) {
  const Section& section = *relocation.symbol->section;
  const uint64_t offset = relocation.symbol->value + static_cast<uint64_t>(relocation.addend);
  if (section.name == ".debug_str" || section.name == ".debug_line_str") {
    const std::string text(Bytes(section.data, update_.object.path).c_string(offset));
    // Of paths, the unit's own name is relative.
    const bool is_path = section.name == ".debug_line_str" || text.starts_with("/");
    return string(section.name, is_path ? new_name(text) : text);
  }
  if (section.name == ".debug_line") {
    auto table = tables_.find(offset);
    if (table == tables_.end()) fail_debug(update_.object.path, "a unit without a line table");
    return table->second;
  }
  return bases_[section.name] + offset;
}

void DebugBuilder::relocate(const Section& from, Section& to, uint64_t base) {
  for (const Relocation& relocation : from.relocations) {
    const unsigned size = reloc_size(relocation.type);
    if ((size != 4 && size != 8) || relocation.offset + size > from.data.size())
      fail_debug(update_.object.path, "a relocation in " + from.name + " that is not understood");
    const uint64_t offset = base + relocation.offset;
    if (is_debug(relocation.symbol->section))
      put(to, offset, target_of(relocation), size);
    else if (auto target = place(relocation, from.name == ".debug_loclists"); target && size == 8)
      add_address(to, offset, *target);
    else if (relocation.symbol->section != nullptr || relocation.symbol->is_undefined())
      put(to, offset, 0, size);
  }
}

void DebugBuilder::copy(const Object& post, const std::string& name) {
  const Section* from = post.find_section(name);
  if (from == nullptr) return;
  Section& to = out(name);
  to.data.insert(to.data.end(), from->data.begin(), from->data.end());
  relocate(*from, to, bases_[name]);
}

std::map<uint64_t, const Relocation*> by_offset(const Section& section) {
  std::map<uint64_t, const Relocation*> result;
  for (const Relocation& relocation : section.relocations)
    result.emplace(relocation.offset, &relocation);
  return result;
}

void DebugBuilder::add_info(const Object& post) {
  const Section& from = *post.find_section(".debug_info");
  copy(post, ".debug_info");
  Section& info = out(".debug_info");
  const uint64_t base = bases_[".debug_info"];
  const auto relocations = by_offset(from);
  auto is_elsewhere = [&](uint64_t offset) {
    auto found = relocations.find(offset);
    return found != relocations.end() && !place(*found->second);
  };
  const DebugPlaces places = DebugInfo(post).places();
  for (const DebugPlaces::Code& code : places.code)
    if (is_elsewhere(code.begin)) put(info, base + code.length, 0, code.length_size);
  for (uint64_t variable : places.variables)
    if (is_elsewhere(variable + 1))
      std::ranges::copy(nowhere(), info.data.begin() + static_cast<int64_t>(base + variable));
}

// What is elsewhere becomes a range of no bytes. Numbers keep their length, so nothing moves.
void DebugBuilder::empty_ranges(Section& ranges, uint64_t base,
                                const std::map<uint64_t, const Relocation*>& relocations) {
  auto is_elsewhere = [&](uint64_t at) {
    auto found = relocations.find(at - base);
    return found != relocations.end() && !place(*found->second);
  };
  DebugReader reader{Bytes(ranges.data, update_.object.path), base, ranges.data.size()};
  std::vector<std::pair<uint64_t, uint64_t>> zeros;  // numbers: from, to
  while (!reader.done()) {
    const uint64_t length = reader.get<uint32_t>(), end = reader.at + length;
    reader.skip(4);  // version, sizes
    if (reader.get<uint32_t>() != 0) fail_debug(update_.object.path, "ranges by number");
    for (bool is_based_elsewhere = false; reader.at < end;) {
      const uint8_t kind = reader.get<uint8_t>();
      const uint64_t at = reader.at;
      if (kind == BaseAddress) {
        is_based_elsewhere = is_elsewhere(at);
        reader.skip(AddressSize);
      } else if (kind == OffsetPair) {
        reader.uleb();
        reader.uleb();
        if (is_based_elsewhere) zeros.emplace_back(at, reader.at);
      } else if (kind == StartLength) {
        reader.skip(AddressSize);
        reader.uleb();
        if (is_elsewhere(at)) zeros.emplace_back(at + AddressSize, reader.at);
      } else if (kind == StartEnd) {
        reader.skip(2 * AddressSize);
      } else if (kind == ListEnd) {
        is_based_elsewhere = false;
      } else {
        fail_debug(update_.object.path, fmt::format("a range of kind {}", kind));
      }
    }
  }
  for (const auto& [from, to] : zeros)
    for (uint64_t at = from; at < to; ++at) ranges.data[at] &= 0x80;
}

void DebugBuilder::add_ranges(const Object& post) {
  const Section* from = post.find_section(".debug_rnglists");
  if (from == nullptr) return;
  copy(post, ".debug_rnglists");
  empty_ranges(out(".debug_rnglists"), bases_[".debug_rnglists"], by_offset(*from));
}

// A head of 16 bytes, then addresses with sizes, and two zeros.
void DebugBuilder::add_aranges(const Object& post) {
  constexpr uint64_t Head = 16, Entry = 16;
  const Section* from = post.find_section(".debug_aranges");
  if (from == nullptr) return;
  const auto relocations = by_offset(*from);
  Section& to = out(".debug_aranges");
  DebugReader reader{Bytes(from->data, update_.object.path), 0, from->data.size()};
  auto append = [&](uint64_t begin, uint64_t size) {
    to.data.insert(to.data.end(), from->data.begin() + static_cast<int64_t>(begin),
                   from->data.begin() + static_cast<int64_t>(begin + size));
  };
  while (!reader.done()) {
    const uint64_t begin = reader.at, base = to.data.size();
    const uint64_t length = reader.get<uint32_t>(), end = reader.at + length;
    reader.bytes.slice(begin, length + 4);
    if (end < begin + Head) fail_debug(post.path, ".debug_aranges is cut off");
    append(begin, Head);
    if (auto unit = relocations.find(begin + 6);
        unit != relocations.end() && is_debug(unit->second->symbol->section))
      put(to, base + 6, target_of(*unit->second), 4);
    for (uint64_t at = begin + Head; at + Entry <= end; at += Entry) {
      auto found = relocations.find(at);
      const std::optional<Place> target =
          found == relocations.end() ? std::nullopt : place(*found->second);
      if (!target) continue;
      append(at, Entry);
      add_address(to, to.data.size() - Entry, *target);
    }
    to.data.resize(to.data.size() + Entry);
    put(to, base, to.data.size() - base - 4, 4);
    reader.at = end;
  }
}

void DebugBuilder::add_frames(const Object& post) {
  const Section* from = post.find_section(".debug_frame");
  if (from == nullptr) return;
  const auto relocations = by_offset(*from);
  Section& to = out(".debug_frame");
  to.align = from->align;
  std::map<uint64_t, uint64_t> heads;  // CIEs: where they were, where they are
  DebugReader reader{Bytes(from->data, update_.object.path), 0, from->data.size()};
  while (!reader.done()) {
    const uint64_t begin = reader.at, size = 4 + uint64_t{reader.get<uint32_t>()};
    reader.bytes.slice(begin, size);
    const bool is_head = reader.get<uint32_t>() == CieMark;
    if (size < (is_head ? 8 : 24)) fail_debug(post.path, ".debug_frame is cut off");
    auto code = relocations.find(begin + 8), head = relocations.find(begin + 4);
    std::optional<Place> target;
    if (!is_head && code != relocations.end()) target = place(*code->second);
    reader.at = begin + size;
    if (!is_head && (!target || head == relocations.end())) continue;
    const uint64_t base = to.data.size();
    to.data.insert(to.data.end(), from->data.begin() + static_cast<int64_t>(begin),
                   from->data.begin() + static_cast<int64_t>(begin + size));
    if (is_head) {
      heads[begin] = base;
      continue;
    }
    const Relocation& to_head = *head->second;
    put(to, base + 4, heads[to_head.symbol->value + static_cast<uint64_t>(to_head.addend)], 4);
    add_address(to, base + 8, *target);
  }
}

void DebugBuilder::add_unit(const Object& post) {
  const Section* info = post.find_section(".debug_info");
  if (info == nullptr || info->data.empty())
    fail_debug(post.path, "it was compiled without debug information");
  if (post.find_section(".debug_addr") != nullptr || (info->flags & SHF_COMPRESSED) != 0)
    fail_debug(post.path, "its debug information has tables of addresses, or is compressed");
  ranges_.clear();
  for (const PlacedRange& range : update_.placed) {
    if (range.post != &post) continue;
    auto symbol = symbols_.find(range.symbol);
    if (symbol != symbols_.end() && symbol->second != nullptr)
      ranges_[range.from].push_back(&range);
  }
  for (const char* name : {".debug_info", ".debug_abbrev", ".debug_loclists", ".debug_rnglists"})
    bases_[name] = out(name).data.size();
  add_lines(post);
  copy(post, ".debug_abbrev");
  copy(post, ".debug_loclists");
  add_ranges(post);
  add_info(post);
  add_aranges(post);
  add_frames(post);
}

DebugFile DebugBuilder::finish() {
  std::erase_if(out_.sections, [](const auto& section) {
    return is_debug(section.get()) && section->data.empty();
  });
  for (const auto& section : out_.sections) {
    if (is_debug(section.get())) section->size = section->data.size();
    std::ranges::sort(section->relocations, {}, &Relocation::offset);
  }
  return {write_object(out_), {sources_.begin(), sources_.end()}};
}

}  // namespace

std::string renamed_path(const std::string& path, const PathNames& names) {
  const std::pair<std::string, std::string>* best = nullptr;
  for (const auto& name : names) {
    const bool fits = path.starts_with(name.first) &&
                      (path.size() == name.first.size() || path[name.first.size()] == '/');
    if (fits && (best == nullptr || name.first.size() > best->first.size())) best = &name;
  }
  return best == nullptr ? path : best->second + path.substr(best->first.size());
}

DebugFile make_debug_file(const Object& module, const UpdateObject& update,
                          const std::vector<const Object*>& posts, const PathNames& names) {
  DebugBuilder builder(module, update, names);
  for (const Object* post : posts) builder.add_unit(*post);
  return builder.finish();
}

}  // namespace ksplice
