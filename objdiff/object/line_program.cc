#include "objdiff/object/line_program.h"

#include <dwarf.h>
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "objdiff/object/debug_reader.h"

namespace ksplice {

namespace {

struct Params {
  int8_t line_base;
  uint8_t line_range;
};

class TableReader {
 public:
  TableReader(const Object& object, const Section& lines)
      : object_(object), reader_{Bytes(lines.data, object.path), 0, lines.data.size()} {
    for (const Relocation& relocation : lines.relocations)
      relocations_.emplace(relocation.offset, &relocation);
  }

  bool done() const { return reader_.done(); }

  LineTable read() {
    LineTable table;
    table.begin = reader_.at;
    const uint32_t length = reader_.get<uint32_t>();
    if (length >= 0xfffffff0) fail("64-bit DWARF");
    table.end = reader_.at + length;
    reader_.bytes.slice(reader_.at, length);
    if (const auto version = reader_.get<uint16_t>(); version != 5)
      fail(fmt::format("the line table is of DWARF {}, and only 5 is understood", version));
    if (reader_.get<uint8_t>() != 8 || reader_.get<uint8_t>() != 0)
      fail("addresses not of 8 bytes");
    const uint32_t header = reader_.get<uint32_t>();
    table.program = reader_.at + header;
    if (table.program > table.end) fail("the header of the line table is cut off");
    names_end_ = table.program;
    table.min_instruction = reader_.get<uint8_t>();
    if (reader_.get<uint8_t>() != 1) fail("instructions with several operations");
    table.default_is_stmt = reader_.get<uint8_t>() != 0;
    const Params params{reader_.get<int8_t>(), reader_.get<uint8_t>()};
    lengths_.assign(reader_.get<uint8_t>(), 0);
    if (table.min_instruction == 0 || params.line_range == 0 || lengths_.size() <= DW_LNS_set_isa)
      fail("the line table is malformed");
    for (size_t i = 1; i < lengths_.size(); ++i) lengths_[i] = reader_.get<uint8_t>();
    table.folders = names();
    table.files = names();
    if (table.folders.empty()) fail("the line table names no folder");
    reader_.at = table.program;
    run(table, params);
    reader_.at = table.end;
    return table;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { fail_debug(object_.path, what); }

  const Relocation* relocation() const {
    auto found = relocations_.find(reader_.at);
    return found == relocations_.end() ? nullptr : found->second;
  }

  std::string string_at_offset() {
    const Relocation* to = relocation();
    if (to == nullptr || to->symbol->section == nullptr) fail("a name without a relocation");
    const Section& strings = *to->symbol->section;
    return std::string(Bytes(strings.data, object_.path)
                           .c_string(to->symbol->value + static_cast<uint64_t>(to->addend)));
  }

  // A table of folders, or of files. Each entry has a path in it, within the header.
  std::vector<LineName> names() {
    std::vector<std::pair<uint64_t, uint64_t>> format(reader_.get<uint8_t>());
    for (auto& [content, form] : format) {
      content = reader_.uleb();
      form = reader_.uleb();
    }
    std::vector<LineName> result;
    for (uint64_t count = reader_.uleb(); count > 0; --count) {
      LineName& entry = result.emplace_back();
      for (const auto& [content, form] : format) read_field(content, form, entry);
      if (entry.field == 0 || reader_.at > names_end_) fail("the line table is malformed");
    }
    return result;
  }

  void read_field(uint64_t content, uint64_t form, LineName& entry) {
    const uint64_t field = reader_.at;
    uint64_t number = 0;
    switch (form) {
      case DW_FORM_line_strp:
      case DW_FORM_strp:
        if (content == DW_LNCT_path) {
          entry.field = field;
          entry.name = string_at_offset();
        }
        reader_.at = field + 4;
        return;
      case DW_FORM_data1:
        number = reader_.get<uint8_t>();
        break;
      case DW_FORM_data2:
        number = reader_.get<uint16_t>();
        break;
      case DW_FORM_data4:
        number = reader_.get<uint32_t>();
        break;
      case DW_FORM_udata:
        number = reader_.uleb();
        break;
      case DW_FORM_data16:
        reader_.skip(16);
        return;
      default:
        fail(fmt::format("form {:#x} in the line table", form));
    }
    if (content == DW_LNCT_directory_index) entry.folder = number;
  }

  void reset(const LineTable& table) {
    row_ = {};
    row_.is_stmt = table.default_is_stmt;
  }

  void add_row(LineTable& table) {
    table.rows.push_back(row_);
    row_.discriminator = 0;
    row_.basic_block = row_.prologue_end = row_.epilogue_begin = false;
  }

  void extended(LineTable& table) {
    const uint64_t size = reader_.uleb(), begin = reader_.at;
    reader_.bytes.slice(begin, size);
    if (size == 0) return;
    switch (reader_.get<uint8_t>()) {
      case DW_LNE_end_sequence:
        row_.end = true;
        add_row(table);
        reset(table);
        break;
      case DW_LNE_set_address:
        if (const Relocation* to = relocation()) {
          row_.section = to->symbol->section;
          row_.offset = to->symbol->value + static_cast<uint64_t>(to->addend);
        }
        break;
      case DW_LNE_set_discriminator:
        row_.discriminator = reader_.uleb();
        break;
      default:
        break;
    }
    reader_.at = begin + size;
  }

  void standard(LineTable& table, uint8_t opcode, const Params& params) {
    switch (opcode) {
      case DW_LNS_copy:
        add_row(table);
        break;
      case DW_LNS_advance_pc:
        row_.offset += reader_.uleb() * table.min_instruction;
        break;
      case DW_LNS_advance_line:
        row_.line += static_cast<uint64_t>(reader_.sleb());
        break;
      case DW_LNS_set_file:
        row_.file = reader_.uleb();
        break;
      case DW_LNS_set_column:
        row_.column = reader_.uleb();
        break;
      case DW_LNS_negate_stmt:
        row_.is_stmt = !row_.is_stmt;
        break;
      case DW_LNS_set_basic_block:
        row_.basic_block = true;
        break;
      case DW_LNS_const_add_pc:
        row_.offset += (255 - lengths_.size()) / params.line_range * table.min_instruction;
        break;
      case DW_LNS_fixed_advance_pc:
        row_.offset += reader_.get<uint16_t>();
        break;
      case DW_LNS_set_prologue_end:
        row_.prologue_end = true;
        break;
      case DW_LNS_set_epilogue_begin:
        row_.epilogue_begin = true;
        break;
      default:
        for (uint8_t left = lengths_[opcode]; left > 0; --left) reader_.uleb();
    }
  }

  void run(LineTable& table, const Params& params) {
    reset(table);
    const uint64_t whole = reader_.end;
    reader_.end = table.end;
    while (!reader_.done()) {
      const uint8_t opcode = reader_.get<uint8_t>();
      if (opcode >= lengths_.size()) {
        const size_t special = opcode - lengths_.size();
        row_.offset += special / params.line_range * table.min_instruction;
        row_.line += static_cast<uint64_t>(int64_t{params.line_base} +
                                           static_cast<int64_t>(special % params.line_range));
        add_row(table);
      } else if (opcode == 0) {
        extended(table);
      } else {
        standard(table, opcode, params);
      }
    }
    reader_.end = whole;
  }

  const Object& object_;
  DebugReader reader_;
  std::map<uint64_t, const Relocation*> relocations_;
  std::vector<uint8_t> lengths_;  // of standard opcodes
  uint64_t names_end_ = 0;
  LineRow row_;
};

void put_sleb(std::vector<uint8_t>& bytes, int64_t value) {
  for (;;) {
    const uint8_t byte = static_cast<uint8_t>(value & 0x7f);
    value >>= 7;
    const bool done = (value == 0 && (byte & 0x40) == 0) || (value == -1 && (byte & 0x40) != 0);
    bytes.push_back(done ? byte : byte | 0x80);
    if (done) return;
  }
}

}  // namespace

void put_uleb(std::vector<uint8_t>& bytes, uint64_t value, size_t size) {
  for (size_t written = 1;; ++written) {
    const uint8_t byte = static_cast<uint8_t>(value & 0x7f);
    value >>= 7;
    const bool done = value == 0 && written >= size;
    bytes.push_back(done ? byte : byte | 0x80);
    if (done) return;
  }
}

std::vector<LineTable> read_line_tables(const Object& object) {
  std::vector<LineTable> tables;
  const Section* lines = object.find_section(".debug_line");
  if (lines == nullptr) return tables;
  try {
    for (TableReader reader(object, *lines); !reader.done();) tables.push_back(reader.read());
  } catch (const Error& error) {
    if (error.code == "no_debug_info") throw;
    fail_debug(object.path, fmt::format("the line table is cut off ({})", error.what()));
  }
  return tables;
}

LineProgram write_line_program(const LineTable& table, const std::vector<LineRow>& rows) {
  LineProgram program;
  std::vector<uint8_t>& bytes = program.bytes;
  auto op = [&](uint8_t opcode) { bytes.push_back(opcode); };
  auto op_with = [&](uint8_t opcode, uint64_t operand) {
    op(opcode);
    put_uleb(bytes, operand);
  };
  auto extended = [&](uint8_t opcode, const std::vector<uint8_t>& operand) {
    op(0);
    put_uleb(bytes, operand.size() + 1);
    op(opcode);
    bytes.insert(bytes.end(), operand.begin(), operand.end());
  };
  LineRow now;
  bool is_begun = false;
  for (const LineRow& row : rows) {
    if (!is_begun) {
      now = {};
      now.is_stmt = table.default_is_stmt;
      extended(DW_LNE_set_address, std::vector<uint8_t>(8));
      program.addresses.emplace_back(bytes.size() - 8, row);
      now.offset = row.offset;
      is_begun = true;
    }
    if (row.offset != now.offset)
      op_with(DW_LNS_advance_pc, (row.offset - now.offset) / table.min_instruction);
    if (row.end) {
      extended(DW_LNE_end_sequence, {});
      is_begun = false;
      continue;
    }
    if (row.file != now.file) op_with(DW_LNS_set_file, row.file);
    if (row.column != now.column) op_with(DW_LNS_set_column, row.column);
    if (row.is_stmt != now.is_stmt) op(DW_LNS_negate_stmt);
    if (row.basic_block) op(DW_LNS_set_basic_block);
    if (row.prologue_end) op(DW_LNS_set_prologue_end);
    if (row.epilogue_begin) op(DW_LNS_set_epilogue_begin);
    if (row.discriminator != 0) {
      std::vector<uint8_t> number;
      put_uleb(number, row.discriminator);
      extended(DW_LNE_set_discriminator, number);
    }
    if (row.line != now.line) {
      op(DW_LNS_advance_line);
      put_sleb(bytes, static_cast<int64_t>(row.line - now.line));
    }
    op(DW_LNS_copy);
    now = row;
  }
  return program;
}

}  // namespace ksplice
