// The text of x86-64 instructions, for messages: the only file that knows Capstone.
#include <capstone/capstone.h>
#include <fmt/format.h>

#include "objdiff/arch/arch.h"
#include "objdiff/base/error.h"

namespace ksplice {
namespace {

struct CapstoneHandle {
  csh handle = 0;
  CapstoneHandle() {
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
      throw Error("internal", "capstone cannot be opened");
    cs_option(handle, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
  }
  CapstoneHandle(const CapstoneHandle&) = delete;
  CapstoneHandle& operator=(const CapstoneHandle&) = delete;
  ~CapstoneHandle() { cs_close(&handle); }
};

csh capstone_handle() {
  static const CapstoneHandle capstone;
  return capstone.handle;
}

}  // namespace

std::string bytes_text(std::span<const uint8_t> bytes) {
  std::string text;
  for (uint8_t byte : bytes) text += fmt::format("{:02x} ", byte);
  return text;
}

std::string instruction_text(std::span<const uint8_t> bytes, uint64_t address) {
  cs_insn* decoded = nullptr;
  size_t count = cs_disasm(capstone_handle(), bytes.data(), bytes.size(), address, 1, &decoded);
  if (count == 0) {
    std::optional<Instruction> known = decode_instruction(bytes, 0);
    return known ? ".byte " + bytes_text(bytes.first(known->size)) : "(bad)";
  }
  std::string text = decoded[0].mnemonic;
  if (decoded[0].op_str[0] != 0) text = fmt::format("{:<6} {}", text, decoded[0].op_str);
  cs_free(decoded, count);
  return text;
}

}  // namespace ksplice
