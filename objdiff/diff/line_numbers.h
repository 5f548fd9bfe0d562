// Recognises immediates that are __LINE__ (D3): a patch that adds a line moves them all, and means
// nothing by it.
//
// An immediate is taken for a line number only with evidence, in both objects alike:
//   - it is loaded into an argument register of the next call, and the argument before it is a file
//     name ("fs/ext4/inode.c") or __func__, or the callee is one whose line argument is known
//     (__might_sleep(file, LINE), acpi_error(module, LINE, ...));
//   - or the line table says that it is the line of the instruction, in pre and in post.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "objdiff/diff/compare.h"
#include "objdiff/object/atoms.h"

namespace ksplice {

// An immediate that may be a line number: where it goes and its value.
struct ImmediateLoad {
  uint8_t offset = 0;  // of the field, in the instruction
  int argument = -1;   // argument register 0..5, 6 for the stack, -1 for another register
  uint32_t value = 0;
};

// True if instruction is a plain load of an immediate that has no relocation: of 32 bits, or a push
// of 8.
bool is_immediate_load(std::span<const uint8_t> bytes, const Instruction& instruction,
                       ImmediateLoad& load);

// True if the call that items[at] prepares takes a line number in that argument.
bool prepares_line_argument(const Atoms& atoms, const Section& section,
                            const std::vector<CodeItem>& items, size_t at,
                            const ImmediateLoad& load);

// True if the texts are equal but for the line in "fs/namei.c:123": FILE_LINE of linux/stringify.h,
// which fortified memcpy and others put into their messages.
bool same_text_but_line(std::string_view pre, std::string_view post);

// Ranges of a named or anonymous datum that hold line numbers: [begin, end), from its start.
std::vector<std::pair<uint64_t, uint64_t>> line_fields(const Atoms& atoms, const Atom& atom);

}  // namespace ksplice
