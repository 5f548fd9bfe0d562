#include "objdiff/diff/line_numbers.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace ksplice {

namespace {

constexpr int StackArgument = 6;

// Functions with a line argument that no file name or function name stands before, and where it is.
// Read from their declarations in the kernel's headers, 4.19 to 7.2.
struct LineCallee {
  std::string_view name;
  int argument;
};
constexpr LineCallee LineCallees[] = {
    {"__ext4_journal_start_sb", 1},  // until 6.3
    {"__ext4_journal_start_sb", 2},  // with inode in front
    {"__ext4_journal_start_reserved", 1},
    {"acpi_error", 1},
    {"acpi_exception", 1},
    {"acpi_warning", 1},
    {"acpi_info", 1},
    {"acpi_bios_error", 1},
    {"acpi_bios_exception", 1},
    {"acpi_bios_warning", 1},
    {"acpi_ut_predefined_warning", 1},
    {"acpi_ut_predefined_info", 1},
    {"acpi_ut_predefined_bios_error", 1},
    {"acpi_ut_prefixed_namespace_error", 1},
    {"acpi_ut_method_error", 1},
    {"acpi_debug_print", 1},
    {"acpi_debug_print_raw", 1},
    {"acpi_ut_trace", 0},
    {"acpi_ut_trace_ptr", 0},
    {"acpi_ut_trace_str", 0},
    {"acpi_ut_trace_u32", 0},
    {"acpi_ut_exit", 0},
    {"acpi_ut_status_exit", 0},
    {"acpi_ut_value_exit", 0},
    {"acpi_ut_ptr_exit", 0},
    {"acpi_ut_str_exit", 0},
    {"__might_sleep", 1},
    {"___might_sleep", 1},
    {"__might_resched", 1},
    {"__might_fault", 1},
    {"__cant_sleep", 1},
    {"__cant_migrate", 1},
    {"warn_slowpath_fmt", 1},
    {"warn_slowpath_fmt_taint", 1},
    {"warn_slowpath_null", 1},
    {"lockdep_rcu_suspicious", 1},
    {"xfs_corruption_error", StackArgument},
    // Those that take __func__ before it: clang keeps that as a string like any other.
    {"__ext4_error", 2},
    {"__ext4_error_inode", 2},
    {"__ext4_error_file", 2},
    {"__ext4_std_error", 2},
    {"__ext4_warning", 2},
    {"__ext4_warning_inode", 2},
    {"__ext4_abort", 2},
    {"__ext4_iget", 4},
    {"__ext4_grp_locked_error", 1},
    {"__ext4_journal_stop", 1},
    {"__ext4_journal_get_write_access", 1},
    {"__ext4_journal_get_create_access", 1},
    {"__ext4_forget", 1},
    {"__ext4_handle_dirty_metadata", 1},
    {"__ext4_mark_inode_dirty", 3},
    {"__ext4_check_dir_entry", 1},
    {"__ext4_ext_dirty", 1},
    {"__jbd2_debug", 3},
    {"__btrfs_abort_transaction", 2},
    {"__btrfs_handle_fs_error", 2},
    {"__btrfs_panic", 2},
};

// Small numbers are flags and sizes; no function begins before a file's includes end.
constexpr uint32_t LowestLine = 10;
constexpr uint32_t HighestLine = 200000;

// DI, SI, DX, CX, R8, R9 as numbered in instructions (psABI 3.2.3).
int argument_of(int reg) {
  constexpr int Registers[] = {7, 6, 2, 1, 8, 9};
  for (int i = 0; i < 6; ++i)
    if (Registers[i] == reg) return i;
  return -1;
}

// The register that an instruction loads with an immediate or an address (mov, lea), or -1.
int loaded_register(std::span<const uint8_t> bytes, const Instruction& instruction) {
  const uint8_t opcode = bytes[instruction.opcode_offset];
  const uint8_t rex =
      instruction.opcode_offset > 0 && (bytes[instruction.opcode_offset - 1] & 0xf0) == 0x40
          ? bytes[instruction.opcode_offset - 1]
          : 0;
  if ((opcode & 0xf8) == 0xb8) return (opcode & 7) | (rex & 1 ? 8 : 0);
  if (instruction.modrm_offset == 0) return -1;
  const uint8_t modrm = bytes[instruction.modrm_offset];
  if (opcode == 0xc7 && modrm >> 6 == 3) return (modrm & 7) | (rex & 1 ? 8 : 0);
  if (opcode == 0x8d) return ((modrm >> 3) & 7) | (rex & 4 ? 8 : 0);
  return -1;
}

int loaded_argument(std::span<const uint8_t> bytes, const Instruction& instruction) {
  return argument_of(loaded_register(bytes, instruction));
}

// The register that "mov source, argument register" copies, or -1.
int copied_to_argument(std::span<const uint8_t> bytes, const Instruction& instruction,
                       int argument) {
  const uint8_t opcode = bytes[instruction.opcode_offset];
  if (instruction.modrm_offset == 0 || (opcode != 0x89 && opcode != 0x8b)) return -1;
  const uint8_t modrm = bytes[instruction.modrm_offset];
  if (modrm >> 6 != 3 || instruction.opcode_offset == 0) return -1;
  const uint8_t rex = bytes[instruction.opcode_offset - 1];
  if ((rex & 0xf8) != 0x48) return -1;  // pointers have 64 bits
  const int reg = ((modrm >> 3) & 7) | (rex & 4 ? 8 : 0), rm = (modrm & 7) | (rex & 1 ? 8 : 0);
  const int from = opcode == 0x89 ? reg : rm, to = opcode == 0x89 ? rm : reg;
  return argument_of(to) == argument ? from : -1;
}

bool ends_like_source(std::string_view name) {
  return name.ends_with(".c") || name.ends_with(".h") || name.ends_with(".S");
}

bool is_source_name(const Atoms&, const Reference& reference) {
  if (reference.atom == nullptr || reference.offset < 0) return false;
  const Atom& atom = *reference.atom;
  if (atom.kind == AtomKind::Data && atom.symbol != nullptr) {
    const std::string name = plain_name(atom.name);
    return name == "__func__" || name == "__FUNCTION__" || name == "__PRETTY_FUNCTION__" ||
           name.ends_with(".__func__") || name.ends_with(".__FUNCTION__");
  }
  const std::vector<uint8_t>& data = atom.section->data;
  const uint64_t begin = atom.entry + static_cast<uint64_t>(reference.offset);
  if (begin >= data.size()) return false;
  const void* zero = std::memchr(data.data() + begin, 0, data.size() - begin);
  if (zero == nullptr) return false;
  const char* text = reinterpret_cast<const char*>(data.data() + begin);
  return ends_like_source({text, static_cast<size_t>(static_cast<const char*>(zero) - text)});
}

// __func__ by content: clang puts it into a string section without a name.
bool names_function(const Atoms& atoms, const Reference& reference) {
  if (reference.atom == nullptr || reference.atom->kind != AtomKind::String ||
      reference.offset != 0)
    return false;
  const Atom& atom = *reference.atom;
  const std::string_view text(
      reinterpret_cast<const char*>(atom.section->data.data() + atom.offset), atom.size - 1);
  const Symbol* symbol = text.empty() ? nullptr : atoms.object().find_symbol(std::string(text));
  return symbol != nullptr && symbol->is_function();
}

}  // namespace

bool is_immediate_load(std::span<const uint8_t> bytes, const Instruction& instruction,
                       ImmediateLoad& load) {
  const uint8_t opcode = bytes[instruction.opcode_offset];
  load.argument = -1;
  if (opcode == 0x6a && instruction.imm_size == 1) {  // push of a line below 128
    load.argument = StackArgument;
    load.offset = instruction.imm_offset;
    load.value = bytes[load.offset];
    return load.value >= LowestLine && load.value < 128;
  }
  if (instruction.imm_size != 4 || instruction.imm_offset + 4u > bytes.size()) return false;
  if (opcode == 0x68) {
    load.argument = StackArgument;
  } else if ((opcode & 0xf8) == 0xb8) {
    load.argument = loaded_argument(bytes, instruction);
  } else if (opcode == 0xc7 && instruction.modrm_offset != 0) {
    const uint8_t modrm = bytes[instruction.modrm_offset];
    const bool on_stack = modrm >> 6 != 3 && (modrm & 7) == 4 &&
                          instruction.modrm_offset + 1u < bytes.size() &&
                          bytes[instruction.modrm_offset + 1] == 0x24;
    load.argument = on_stack ? StackArgument : loaded_argument(bytes, instruction);
  } else {
    return false;
  }
  load.offset = instruction.imm_offset;
  std::memcpy(&load.value, bytes.data() + load.offset, 4);
  return load.value >= LowestLine && load.value <= HighestLine;
}

bool prepares_line_argument(const Atoms& atoms, const Section& section,
                            const std::vector<CodeItem>& items, size_t at,
                            const ImmediateLoad& load) {
  constexpr size_t Reach = 48;
  if (load.argument < 0) return false;
  auto bytes_of = [&](const CodeItem& item) {
    return std::span(section.data).subspan(item.instruction->offset, item.instruction->size);
  };
  auto names_source = [&](const CodeItem& item) {
    if (item.relocation[0] == nullptr) return false;
    const Reference reference = atoms.resolve(section, *item.relocation[0]);
    return is_source_name(atoms, reference) || names_function(atoms, reference);
  };
  auto source_in_argument_before = [&](const CodeItem& item) {
    if (load.argument == 0) return false;
    if (loaded_argument(bytes_of(item), *item.instruction) == load.argument - 1)
      return names_source(item);
    // By way of another register: mov $__func__, %r9; ...; mov %r9, %rdx.
    const int from = copied_to_argument(bytes_of(item), *item.instruction, load.argument - 1);
    if (from < 0) return false;
    for (size_t back = 1; back <= Reach && &item - back >= items.data(); ++back) {
      const CodeItem& earlier = *(&item - back);
      if (earlier.instruction->kind == InstructionKind::Call) return false;
      if (loaded_register(bytes_of(earlier), *earlier.instruction) == from)
        return names_source(earlier);
    }
    return false;
  };
  // The last write to the argument before counts; look back to where the arguments' set-up begins.
  bool source = false;
  for (size_t back = 1; back <= std::min(at, Reach); ++back) {
    const CodeItem& item = items[at - back];
    if (item.instruction->kind == InstructionKind::Call ||
        item.instruction->kind == InstructionKind::IndirectCall || item.instruction->ends_flow())
      break;
    if (source_in_argument_before(item)) {
      source = true;
      break;
    }
  }
  // Forward to the call, through unconditional jumps (calls with like tails are merged).
  size_t next = at + 1;
  for (size_t steps = 0; steps < Reach && next < items.size(); ++steps) {
    const CodeItem& item = items[next];
    const Instruction& instruction = *item.instruction;
    if (source_in_argument_before(item)) source = true;
    // A jump to another function is a call in the last place.
    const bool tail_call =
        instruction.kind == InstructionKind::Jump && item.relocation[0] != nullptr;
    if (instruction.kind == InstructionKind::Call || tail_call) {
      if (source) return true;
      if (item.relocation[0] == nullptr) return false;
      const Reference callee = atoms.resolve(section, *item.relocation[0]);
      const std::string& name = callee.atom != nullptr ? callee.atom->name : callee.symbol->name;
      return std::any_of(std::begin(LineCallees), std::end(LineCallees), [&](const LineCallee& c) {
        return c.name == name && c.argument == load.argument;
      });
    }
    if (instruction.kind == InstructionKind::Jump && item.relocation[0] == nullptr) {
      const auto target = std::find_if(items.begin(), items.end(), [&](const CodeItem& other) {
        return static_cast<int64_t>(other.instruction->offset) >= instruction.target;
      });
      if (target == items.end() || instruction.target < 0) return false;
      next = static_cast<size_t>(target - items.begin());
      continue;
    }
    if (instruction.ends_flow() || instruction.kind == InstructionKind::IndirectCall) return false;
    ++next;
  }
  return false;
}

bool same_text_but_line(std::string_view pre, std::string_view post) {
  auto digits = [](std::string_view text, size_t at) {
    size_t end = at;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    return end;
  };
  size_t i = 0, j = 0;
  while (i < pre.size() && j < post.size()) {
    if (pre[i] == ':' && post[j] == ':' && ends_like_source(pre.substr(0, i))) {
      const size_t a = digits(pre, i + 1), b = digits(post, j + 1);
      if (a > i + 1 && b > j + 1) {
        i = a, j = b;
        continue;
      }
    }
    if (pre[i++] != post[j++]) return false;
  }
  return i == pre.size() && j == post.size();
}

std::vector<std::pair<uint64_t, uint64_t>> line_fields(const Atoms& atoms, const Atom& atom) {
  const std::string& section = atom.section->name;
  const std::string plain = plain_name(atom.name);
  // struct _ddebug { modname, function, filename, format; u32 lineno:18, class_id:6, flags:8; ...
  // }. The two highest bits of the line share a byte with the class, which is compared.
  if (section == "__dyndbg" || section == "__verbose") return {{32, 34}};
  // struct pi_entry { fmt, func, file; unsigned line; ... }
  if (plain == "_entry" || plain.ends_with("._entry")) return {{24, 28}};
  // struct alloc_tag { struct codetag { unsigned flags, lineno; ... } }
  if (section == "alloc_tags" || section == ".codetag.alloc_tags") return {{4, 8}};
  // struct ftrace_branch_data { func, file; unsigned line; ... }
  if (section == "_ftrace_annotated_branch" || section == "_ftrace_branch") return {{16, 20}};
  // UBSAN: struct { struct source_location { file_name; u32 line, column; } location; ... }
  if (atom.kind == AtomKind::Anonymous || plain.find("Lubsan_data") != std::string::npos) {
    const bool ubsan_name = section.find("Lubsan_data") != std::string::npos;
    const bool clang_name = section.find("L__unnamed") != std::string::npos ||
                            plain.find("__unnamed") != std::string::npos;
    if ((ubsan_name || clang_name) && atom.size >= 16) {
      const std::vector<const Relocation*> relocations = atoms.relocations(atom);
      if (!relocations.empty() && relocations.front()->offset == atom.offset &&
          is_source_name(atoms, atoms.resolve(*atom.section, *relocations.front())))
        return {{8, 12}};
    }
  }
  return {};
}

}  // namespace ksplice
