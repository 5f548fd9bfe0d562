// Lines of code, and the functions that are inlined there.
#include <algorithm>

#include "objdiff/object/dwarf_data.h"

namespace ksplice {

void DebugInfo::Data::read_lines() {
  if (lines_read) return;
  lines_read = true;
  if (!open()) return;
  for (Dwarf_Die& unit : units) {
    Dwarf_Lines* lines = nullptr;
    size_t count = 0;
    if (dwarf_getsrclines(&unit, &lines, &count) != 0) continue;
    for (size_t i = 0; i < count; ++i) {
      Dwarf_Line* line = dwarf_onesrcline(lines, i);
      Row row{};
      Dwarf_Addr address = 0;
      if (dwarf_lineaddr(line, &address) != 0 || dwarf_lineno(line, &row.line) != 0) continue;
      row.address = address;
      dwarf_lineendsequence(line, &row.end);
      row.file = dwarf_linesrc(line, nullptr, nullptr);
      rows.push_back(row);
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.address != b.address ? a.address < b.address : a.end && !b.end;
  });
}

std::optional<SourceLine> DebugInfo::line_at(const Section* section, uint64_t offset) const {
  data_->read_lines();
  if (data_->rows.empty()) return std::nullopt;
  const uint64_t address = data_->address_of(section, offset);
  auto after =
      std::upper_bound(data_->rows.begin(), data_->rows.end(), address,
                       [](uint64_t value, const Data::Row& row) { return value < row.address; });
  if (after == data_->rows.begin()) return std::nullopt;
  const Data::Row& row = *std::prev(after);
  if (row.end || row.line <= 0 || row.address < data_->address_of(section, 0)) return std::nullopt;
  return SourceLine{tidy_path(row.file), static_cast<unsigned>(row.line)};
}

bool DebugInfo::has_line(const Section* section, uint64_t begin, uint64_t end, unsigned line,
                         uint64_t offset) const {
  constexpr uint64_t Reach = 96;  // from the first argument's load to its call
  data_->read_lines();
  const uint64_t low =
      data_->address_of(section, std::max(begin, offset - std::min<uint64_t>(offset, Reach)));
  const uint64_t high = data_->address_of(section, std::min(end, offset + Reach));
  auto row =
      std::lower_bound(data_->rows.begin(), data_->rows.end(), low,
                       [](const Data::Row& row, uint64_t value) { return row.address < value; });
  for (; row != data_->rows.end() && row->address < high; ++row)
    if (!row->end && row->line == static_cast<int>(line)) return true;
  return false;
}

namespace {

// A range of code that was inlined.
struct InlinedRange {
  uint64_t begin, end;
  std::string name;
  int declared;  // line
  bool in_header;
};

// Outer ranges before the inner ones.
void collect_inlined(Dwarf_Die* scope, std::vector<InlinedRange>& ranges, int depth = 0) {
  Dwarf_Die child;
  if (depth > MaxDwarfDepth || dwarf_child(scope, &child) != 0) return;
  do {
    const int tag = dwarf_tag(&child);
    if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block) continue;
    if (tag == DW_TAG_inlined_subroutine) {
      Dwarf_Die origin = child;
      Dwarf_Attribute attribute;
      if (dwarf_attr(&child, DW_AT_abstract_origin, &attribute) != nullptr)
        dwarf_formref_die(&attribute, &origin);
      int line = 0;
      dwarf_decl_line(&origin, &line);
      Dwarf_Addr base = 0, begin = 0, end = 0;
      for (ptrdiff_t at = 0; (at = dwarf_ranges(&child, at, &base, &begin, &end)) > 0;)
        ranges.push_back({begin, end, name_of(&child), line,
                          tidy_path(dwarf_decl_file(&origin)).ends_with(".h")});
    }
    collect_inlined(&child, ranges, depth + 1);
  } while (dwarf_siblingof(&child, &child) == 0);
}

}  // namespace

Dwarf_Die* DebugInfo::Data::function_at(uint64_t address) {
  if (!open()) return nullptr;
  if (!code_read) {
    code_read = true;
    for (Dwarf_Die& unit : units) {
      Dwarf_Die child;
      if (dwarf_child(&unit, &child) != 0) continue;
      do {
        if (dwarf_tag(&child) != DW_TAG_subprogram) continue;
        Dwarf_Addr base = 0, begin = 0, end = 0;
        for (ptrdiff_t at = 0; (at = dwarf_ranges(&child, at, &base, &begin, &end)) > 0;)
          code[begin] = {end, child};
      } while (dwarf_siblingof(&child, &child) == 0);
    }
  }
  auto after = code.upper_bound(address);
  if (after == code.begin()) return nullptr;
  auto& [end, die] = std::prev(after)->second;
  return address < end ? &die : nullptr;
}

std::string DebugInfo::inlined_at(const Section* section, uint64_t offset) const {
  const uint64_t address = data_->address_of(section, offset);
  Dwarf_Die* function = data_->function_at(address);
  std::vector<InlinedRange> ranges;
  if (function != nullptr) collect_inlined(function, ranges);
  for (auto range = ranges.rbegin(); range != ranges.rend(); ++range)
    if (range->begin <= address && address < range->end) return range->name;
  return "";
}

std::map<std::string, InlinedLines> DebugInfo::lines_by_inlined(const Section* section,
                                                                uint64_t begin,
                                                                uint64_t end) const {
  std::map<std::string, InlinedLines> result;
  data_->read_lines();
  const uint64_t low = data_->address_of(section, begin), high = data_->address_of(section, end);
  std::vector<InlinedRange> ranges;
  int declared = 0;
  if (Dwarf_Die* function = data_->function_at(low); function != nullptr) {
    Dwarf_Attribute attribute;
    Dwarf_Die origin = *function;
    if (dwarf_attr(function, DW_AT_abstract_origin, &attribute) != nullptr)
      dwarf_formref_die(&attribute, &origin);
    dwarf_decl_line(&origin, &declared);
    collect_inlined(function, ranges);
  }
  auto row =
      std::lower_bound(data_->rows.begin(), data_->rows.end(), low,
                       [](const Data::Row& row, uint64_t value) { return row.address < value; });
  for (; row != data_->rows.end() && row->address < high; ++row) {
    if (row->end || row->line <= 0) continue;
    auto inner = std::find_if(ranges.rbegin(), ranges.rend(), [&](const InlinedRange& range) {
      return range.begin <= row->address && row->address < range.end;
    });
    if (inner == ranges.rend()) {
      result[""].lines.insert(row->line - declared);
    } else {
      result[inner->name].lines.insert(row->line - inner->declared);
      result[inner->name].in_header = inner->in_header;
    }
  }
  return result;
}

}  // namespace ksplice
