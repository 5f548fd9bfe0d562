// The names of what the code before calls are only known where the code after uses it, too, by an
// address that is not exported: the tarball does not name the rest of the kernel. What is known to
// be at two places, differs; what one side has no place for, may be the same, and is shown so.
#include "objdiff/update/update_code.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <regex>
#include <span>

#include "kmod-core/ksplice_abi.h"
#include "objdiff/base/bytes.h"
#include "objdiff/object/code.h"

namespace ksplice {

namespace {

struct Line {
  std::string text, target;             // target: what it refers to
  std::optional<RunLocation> location;  // of the target, if it is known
  bool is_known = true;                 // the target's name is
  bool is_branch = false;
};

struct Module {
  Object object;
  std::map<std::pair<const Section*, uint64_t>, const Relocation*> relocations;
  std::map<std::string, std::string> names;      // of run locations
  std::map<std::string, RunLocation> locations;  // of absolute symbols
  std::map<uint64_t, const FinalField*> fields;  // by offset in .ksplice.bytes
  std::map<const Section*, std::unique_ptr<CodeMap>> code;
  Finalization finalization;

  const Section& section(const std::string& name) const {
    const Section* found = object.find_section(name);
    if (found == nullptr)
      throw Error("bad_file", fmt::format("{} has no section {}", object.path, name));
    return *found;
  }
  const Relocation* at(const Section& from, uint64_t offset) const {
    auto found = relocations.find({&from, offset});
    return found == relocations.end() ? nullptr : found->second;
  }
  // Where the pointer at offset leads.
  std::pair<const Section*, uint64_t> pointer(const Section& from, uint64_t offset) const {
    const Relocation* found = at(from, offset);
    if (found == nullptr || found->symbol->section == nullptr) return {nullptr, 0};
    return {found->symbol->section, found->symbol->value + static_cast<uint64_t>(found->addend)};
  }
  std::string text(const Section& from, uint64_t offset) const {
    const auto [section, at] = pointer(from, offset);
    return section == nullptr ? "" : std::string(Bytes(section->data, object.path).c_string(at));
  }
};

std::string key_of(const RunLocation& location) {
  return fmt::format("{}{}{}{}{}+{:#x}", location.target, location.section, location.import,
                     location.symbol, location.percpu ? " per cpu" : "", location.offset);
}

// Whether both are counted from the same place.
bool is_comparable(const RunLocation& a, const RunLocation& b) {
  return a.target == b.target && a.section == b.section && a.import == b.import &&
         a.symbol == b.symbol && a.percpu == b.percpu;
}

Module index_module(Object object, Finalization finalization) {
  Module module;
  module.object = std::move(object);
  module.finalization = std::move(finalization);
  for (const auto& section : module.object.sections)
    for (const Relocation& relocation : section->relocations)
      module.relocations[{section.get(), relocation.offset}] = &relocation;
  for (const FinalSymbol& symbol : module.finalization.symbols)
    module.names.emplace(key_of(symbol.location), symbol.name),
        module.locations.emplace(symbol.name, symbol.location);
  for (const FinalField& field : module.finalization.fields) module.fields[field.offset] = &field;
  return module;
}

Line make_line(std::span<const uint8_t> bytes, const Instruction& instruction, uint64_t base) {
  static const std::regex distance("-?(0x)?[0-9a-f]+\\(%rip\\)");
  Line line;
  line.is_branch = instruction.is_branch();
  line.text = instruction_text(bytes.subspan(instruction.offset, instruction.size),
                               instruction.offset - base);
  if (instruction.rip_relative) line.text = std::regex_replace(line.text, distance, "(%rip)");
  return line;
}

// What an instruction of the code before refers to: a field that is filled in on the host, or a
// distance within the target, which is there already. Nothing: it refers to nothing, or to itself.
std::optional<RunLocation> old_target(const Module& module, const RunLocation& run,
                                      const Bytes& bytes, uint64_t begin,
                                      const Instruction& instruction) {
  auto field = module.fields.lower_bound(begin + instruction.offset);
  if (field != module.fields.end() && field->first < begin + instruction.end()) {
    RunLocation location = field->second->target;
    location.offset += field->second->addend;
    if (field->second->pc_relative)  // it counts from the end of the instruction
      location.offset += static_cast<int64_t>(begin + instruction.end() - field->first);
    return location;
  }
  int64_t target = instruction.target;
  if (instruction.rip_relative && instruction.disp_size == 4)
    target = static_cast<int64_t>(instruction.end()) +
             bytes.read<int32_t>(instruction.offset + instruction.disp_offset);
  else if (!instruction.is_branch() || (target >= 0 && target < static_cast<int64_t>(bytes.size())))
    return std::nullopt;
  RunLocation location = run;
  location.offset += target;
  return location;
}

// What compilers write, and import, where the kernel itself rewrites.
std::string compiled_target(const ksplice_range& range) {
  static const char* const registers[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  switch (range.kind) {
    case KSPLICE_RANGE_FTRACE:
      return "__fentry__";
    case KSPLICE_RANGE_RETURN_THUNK:
      return "__x86_return_thunk";
    case KSPLICE_RANGE_RETPOLINE:
      return fmt::format("__x86_indirect_thunk_{}", registers[range.param & 15]);
    default:
      return "";
  }
}

// targets: names, by offset, of what the kernel itself rewrites.
std::vector<Line> old_lines(const Module& module, const RunLocation& run, const Section& all,
                            uint64_t begin, uint64_t size,
                            const std::map<uint64_t, std::string>& targets) {
  const Bytes bytes = Bytes(all.data, module.object.path).slice(begin, size);
  // What is filled in is zero in the code after.
  std::vector<uint8_t> blank(bytes.data(), bytes.data() + size);
  for (auto field = module.fields.lower_bound(begin);
       field != module.fields.end() && field->first + field->second->size <= begin + size; ++field)
    std::fill_n(blank.begin() + static_cast<int64_t>(field->first - begin), field->second->size, 0);
  std::vector<Line> lines;
  for (const Instruction& instruction : decode_range(bytes.span(), 0, size)) {
    Line& line = lines.emplace_back(make_line(blank, instruction, 0));
    const auto location = old_target(module, run, bytes, begin, instruction);
    if (!location) continue;
    line.location = location;
    auto name = module.names.find(key_of(*location));
    auto compiled = targets.find(instruction.offset);
    if (compiled != targets.end())
      line.target = compiled->second;
    else if (name != module.names.end())
      line.target = name->second;
    else if (!location->import.empty() && location->offset == 0)
      line.target = location->import;
    line.is_known = !line.target.empty();
    if (!line.is_known) line.target = key_of(*location);
  }
  return lines;
}

// Where the code before is.
RunLocation run_location(const Module& module, const Section& runs, uint64_t run) {
  const Relocation* addr = module.at(runs, run + offsetof(ksplice_run, addr));
  if (addr != nullptr)
    for (const FinalSymbol& symbol : module.finalization.symbols)
      if (symbol.name == addr->symbol->name) return symbol.location;
  return {.target = "?", .section = "", .import = ""};
}

std::string quoted(const Section& section, uint64_t offset) {
  if (section.is_exec() || offset >= section.data.size()) return "";
  std::string text = "\"";
  for (; offset < section.data.size() && section.data[offset] != 0; ++offset) {
    const char c = static_cast<char>(section.data[offset]);
    if (c == '\n' || c == '\001') continue;
    if (c < ' ' || c > '~') return "";
    text += c;
  }
  return text.size() < 3 ? "" : text + '"';
}

std::vector<Line> new_lines(Module& module, const Section& section, uint64_t begin, uint64_t size) {
  std::unique_ptr<CodeMap>& code = module.code[&section];
  if (!code) code = std::make_unique<CodeMap>(module.object, section);
  const Bytes bytes(section.data, module.object.path);
  bytes.slice(begin, size);
  std::vector<Line> lines;
  for (const Instruction& instruction : decode_range(bytes.span(), begin, begin + size)) {
    Line& line = lines.emplace_back(make_line(bytes.span(), instruction, begin));
    for (uint64_t at = instruction.offset; at < instruction.end(); ++at) {
      const Relocation* relocation = module.at(section, at);
      if (relocation == nullptr) continue;
      line.target = reloc_target_text(module.object, *relocation, code.get());
      if (auto known = module.locations.find(relocation->symbol->name);
          known != module.locations.end() && relocation->symbol->shndx == SHN_ABS) {
        line.location = known->second;
        line.location->offset += reloc_target_offset(*relocation, code.get());
      }
      if (const Section* to = relocation->symbol->section; to != nullptr)
        if (const std::string text = quoted(
                *to, relocation->symbol->value +
                         static_cast<uint64_t>(reloc_target_offset(*relocation, code.get())));
            !text.empty())
          line.target = text;
      break;
    }
  }
  return lines;
}

std::string shown(const Line& line) {
  if (line.target.empty()) return line.text;
  const std::string text = line.is_branch ? line.text.substr(0, line.text.find(' ')) : line.text;
  return fmt::format("{} <{}>", text, line.target);
}

bool has_known_target(const Line& a, const Line& b) {
  return a.location && b.location && is_comparable(*a.location, *b.location);
}

// Whether both, which are alike, may differ in what they refer to.
bool is_unsure(const Line& a, const Line& b) {
  return a.target.empty() != b.target.empty() || (!a.is_known && !has_known_target(a, b));
}

// Whether both can be the same instruction. Where a branch within the function leads is not
// compared: it is another distance whenever something between is.
bool is_alike(const Line& a, const Line& b) {
  if (a.is_branch != b.is_branch) return false;
  if (a.is_branch) {
    if (a.text.substr(0, a.text.find(' ')) != b.text.substr(0, b.text.find(' '))) return false;
  } else if (a.text != b.text) {
    return false;
  }
  if (a.target.empty() != b.target.empty()) return a.is_branch;
  if (has_known_target(a, b)) return a.location->offset == b.location->offset;
  return !a.is_known || a.target == b.target;
}

// The longest common part, of what differs between the begin and the end that are alike.
std::vector<CodeRow> lay_beside(const std::vector<Line>& before, const std::vector<Line>& after) {
  constexpr size_t Most = 40'000'000;  // comparisons
  size_t head = 0, tail = 0;
  while (head < std::min(before.size(), after.size()) && is_alike(before[head], after[head]))
    ++head;
  while (tail < std::min(before.size(), after.size()) - head &&
         is_alike(before[before.size() - 1 - tail], after[after.size() - 1 - tail]))
    ++tail;
  const size_t n = before.size() - head - tail, m = after.size() - head - tail;
  const bool is_compared = n * m <= Most;
  std::vector<uint16_t> length(is_compared ? (n + 1) * (m + 1) : 0);
  for (size_t i = is_compared ? n : 0; i-- > 0;)
    for (size_t j = m; j-- > 0;)
      length[i * (m + 1) + j] =
          is_alike(before[head + i], after[head + j])
              ? static_cast<uint16_t>(length[(i + 1) * (m + 1) + j + 1] + 1)
              : std::max(length[(i + 1) * (m + 1) + j], length[i * (m + 1) + j + 1]);
  std::vector<CodeRow> rows;
  auto same = [&](const Line& a, const Line& b) {
    rows.push_back(
        {is_unsure(a, b) ? CodeRow::Kind::Unsure : CodeRow::Kind::Same, shown(a), shown(b)});
  };
  for (size_t i = 0; i < head; ++i) same(before[i], after[i]);
  for (size_t i = 0, j = 0; i < n || j < m;) {
    if (is_compared && i < n && j < m && is_alike(before[head + i], after[head + j]))
      same(before[head + i++], after[head + j++]);
    else if (i < n && (j == m || !is_compared ||
                       length[(i + 1) * (m + 1) + j] >= length[i * (m + 1) + j + 1]))
      rows.push_back({CodeRow::Kind::Gone, shown(before[head + i++]), ""});
    else
      rows.push_back({CodeRow::Kind::New, "", shown(after[head + j++])});
  }
  for (size_t i = tail; i > 0; --i) same(before[before.size() - i], after[after.size() - i]);
  return rows;
}

const char* range_text(uint8_t kind) {
  switch (kind) {
    case KSPLICE_RANGE_FTRACE:
      return "call of the function tracer";
    case KSPLICE_RANGE_STATIC_CALL:
      return "static call";
    case KSPLICE_RANGE_PARAVIRT:
      return "paravirtual operation";
    case KSPLICE_RANGE_RETPOLINE:
      return "indirect branch (retpoline)";
    case KSPLICE_RANGE_RETURN_THUNK:
      return "return";
    case KSPLICE_RANGE_RUNTIME_POINTER:
    case KSPLICE_RANGE_RUNTIME_SHIFT:
      return "constant that the kernel knows since its start";
    case KSPLICE_RANGE_ALTERNATIVE:
      return "alternative that the kernel chose by processor";
    default:
      return "jump label, lock prefix or landing pad";
  }
}

FunctionCode read_function(Module& module, const Section& table, uint64_t at) {
  FunctionCode function;
  function.name = module.text(table, at + offsetof(ksplice_function, name));
  const auto [runs, run] = module.pointer(table, at + offsetof(ksplice_function, run));
  const auto [code, entry] = module.pointer(table, at + offsetof(ksplice_function, new_addr));
  if (runs == nullptr || code == nullptr)
    throw Error("bad_file", fmt::format("{}: a function without code", module.object.path));
  const Bytes fields(table.data, module.object.path), run_fields(runs->data, module.object.path);
  function.new_size = fields.read<uint64_t>(at + offsetof(ksplice_function, new_size));
  function.old_size = run_fields.read<uint32_t>(run + offsetof(ksplice_run, size));
  const auto [bytes, begin] = module.pointer(*runs, run + offsetof(ksplice_run, bytes));
  const auto [ranges, first] = module.pointer(*runs, run + offsetof(ksplice_run, ranges));
  const uint32_t count = run_fields.read<uint32_t>(run + offsetof(ksplice_run, nr_ranges));
  std::map<uint64_t, std::string> targets;
  for (uint32_t i = 0; ranges != nullptr && i < count; ++i) {
    const ksplice_range range = Bytes(ranges->data, module.object.path)
                                    .read<ksplice_range>(first + i * sizeof(ksplice_range));
    auto& [times, length] = function.rewritten[range_text(range.kind)];
    ++times;
    length += range.length;
    if (const std::string name = compiled_target(range); !name.empty())
      targets[range.offset] = name;
  }
  if (bytes != nullptr)
    function.rows = lay_beside(old_lines(module, run_location(module, *runs, run), *bytes, begin,
                                         function.old_size, targets),
                               new_lines(module, *code, entry, function.new_size));
  return function;
}

// The functions of the module that replace none, hooks among them: everything that it can run,
// but for the counters, which the core writes.
std::vector<FunctionCode> other_functions(Module& module, const Section& table) {
  std::map<std::pair<const Section*, uint64_t>, uint64_t> shown;  // how many bytes
  const Bytes fields(table.data, module.object.path);
  for (uint64_t at = 0; at + sizeof(ksplice_function) <= table.data.size();
       at += sizeof(ksplice_function)) {
    shown[module.pointer(table, at + offsetof(ksplice_function, new_addr))] =
        fields.read<uint64_t>(at + offsetof(ksplice_function, new_size));
    shown[module.pointer(table, at + offsetof(ksplice_function, counter))] = KSPLICE_COUNTER_SIZE;
  }
  std::vector<FunctionCode> others;
  for (const auto& symbol : module.object.symbols) {
    const Section* section = symbol->section;
    if (!symbol->is_function() || section == nullptr || !section->is_exec()) continue;
    auto [known, is_new] = shown.try_emplace({section, symbol->value}, symbol->size);
    if (!is_new && symbol->size <= known->second) continue;
    known->second = symbol->size;
    FunctionCode& function = others.emplace_back();
    function.name = symbol->name;
    function.new_size = symbol->size;
    function.rows = lay_beside({}, new_lines(module, *section, symbol->value, symbol->size));
  }
  return others;
}

}  // namespace

TargetCode read_target_code(Object object, Finalization finalization) {
  Module module = index_module(std::move(object), std::move(finalization));
  TargetCode result;
  const Section& functions = module.section(".ksplice.functions");
  for (uint64_t at = 0; at + sizeof(ksplice_function) <= functions.data.size();
       at += sizeof(ksplice_function))
    result.functions.push_back(read_function(module, functions, at));
  result.others = other_functions(module, functions);
  const Section& places = module.section(".ksplice.places");
  const Bytes bytes(places.data, module.object.path);
  for (uint64_t at = 0; at + sizeof(ksplice_place) <= places.data.size();
       at += sizeof(ksplice_place)) {
    const ksplice_place place = bytes.read<ksplice_place>(at);
    SwitchedPlace& shown = result.places.emplace_back();
    shown.name = module.text(places, at + offsetof(ksplice_place, name));
    shown.mask = place.mask;
    shown.old_value = place.old_value;
    shown.new_value = place.new_value;
    if (const Relocation* to = module.at(places, at + offsetof(ksplice_place, new_value)))
      shown.new_target = reloc_target_text(module.object, *to, nullptr);
  }
  return result;
}

}  // namespace ksplice
