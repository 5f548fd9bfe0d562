// What x86-64 kernels and their assembler fill code with, and what the kernel rewrites in it
// (arch/x86/kernel/alternative.c, jump_label.c, ftrace.c, static_call.c).
#include <algorithm>
#include <array>
#include <cstring>

#include "objdiff/arch/arch.h"

namespace ksplice {

namespace {

// As the numbers in instructions go; the kernel names its thunks after them.
constexpr std::array<std::string_view, 16> Registers = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                                        "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                                        "r12", "r13", "r14", "r15"};

constexpr uint8_t ShortJump = 0xeb, NearJump = 0xe9;

}  // namespace

const uint8_t FillByte = 0x90;
const uint8_t TrapByte = 0xcc;
const std::array<uint8_t, 5> DirectJump = {0xe9, 0, 0, 0, 0};
const uint64_t MaxCallPadding = 64;  // CONFIG_FUNCTION_PADDING_BYTES is at most 59
const std::string_view FtraceCall = "__fentry__";
const uint64_t MaxFtraceOffset = 16;
const uint8_t LockPrefix = 0xf0, LockPrefixOff = 0x3e;
const uint64_t MaxIndirectCall = 7;
const uint64_t BugTrapSize = 2;
const uint64_t LoadAddressSize = 7;

// Those of gas, up to eleven bytes.
bool is_filling_nop(std::span<const uint8_t> bytes) {
  static const std::array<std::vector<uint8_t>, 11> known = {{
      {0x90},
      {0x66, 0x90},
      {0x0f, 0x1f, 0x00},
      {0x0f, 0x1f, 0x40, 0x00},
      {0x0f, 0x1f, 0x44, 0x00, 0x00},
      {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
      {0x0f, 0x1f, 0x80, 0, 0, 0, 0},
      {0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0},
      {0x66, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0},
      {0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0},
      {0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0},
  }};
  return !bytes.empty() && bytes.size() <= known.size() &&
         std::equal(bytes.begin(), bytes.end(), known[bytes.size() - 1].begin());
}

bool restore_ftrace_call(std::span<uint8_t> code, uint64_t field) {
  constexpr uint8_t Call = 0xe8;
  constexpr uint64_t Size = 5;
  if (field == 0 || field - 1 > code.size() || code.size() - (field - 1) < Size) return false;
  const std::span<uint8_t> site = code.subspan(field - 1, Size);
  if (!is_filling_nop(site)) return false;
  std::fill(site.begin(), site.end(), 0);
  site[0] = Call;
  return true;
}

bool is_call_padding_name(std::string_view name) {
  return name.starts_with("__pfx_") || name.starts_with("__cfi_");
}

BranchSite branch_site(std::string_view callee, const Instruction& branch) {
  using Kind = BranchSite::Kind;
  constexpr std::string_view Thunk = "__x86_indirect_thunk_";
  if (callee == FtraceCall) return {Kind::Ftrace};
  if (callee == "__x86_return_thunk" && branch.kind == InstructionKind::Jump)
    return {Kind::ReturnThunk};
  if (!callee.starts_with(Thunk)) return {};
  auto reg = std::find(Registers.begin(), Registers.end(), callee.substr(Thunk.size()));
  if (reg == Registers.end()) return {};
  uint64_t number = static_cast<uint64_t>(reg - Registers.begin());
  if (branch.kind == InstructionKind::Jump) number |= 0x100;
  if (branch.kind == InstructionKind::CondJump) number |= 0x200;
  return {Kind::IndirectThunk, number};
}

bool is_jump_label_nop(std::span<const uint8_t> bytes) {
  return (bytes.size() == 2 || bytes.size() == 5) && is_filling_nop(bytes);
}

std::vector<uint8_t> jump_label_nop(unsigned size) {
  if (size == 2) return {0x66, 0x90};
  return {0x0f, 0x1f, 0x44, 0x00, 0x00};
}

JumpBytes jump_label_jump(unsigned size, int64_t distance) {
  if (size == 2) return {{ShortJump, static_cast<uint8_t>(distance)}, 0};
  JumpBytes jump{std::vector<uint8_t>(5, NearJump), 1};
  std::memcpy(jump.bytes.data() + 1, &distance, 4);
  return jump;
}

std::optional<std::vector<uint8_t>> short_jump(int64_t distance) {
  distance -= 2;
  if (distance < -128 || distance > 127) return std::nullopt;
  return std::vector<uint8_t>{ShortJump, static_cast<uint8_t>(distance)};
}

std::span<const uint8_t> landing_pad(std::span<const uint8_t> code) {
  constexpr std::array<uint8_t, 4> Endbr = {0xf3, 0x0f, 0x1e, 0xfa};
  bool has_one =
      code.size() >= Endbr.size() && std::equal(Endbr.begin(), Endbr.end(), code.begin());
  return has_one ? code.first(Endbr.size()) : std::span<const uint8_t>();
}

bool is_bug_trap(std::span<const uint8_t> bytes) {
  return bytes.size() >= BugTrapSize && bytes[0] == 0x0f && bytes[1] == 0x0b;  // ud2
}

// lea distance(%rip), %reg
std::optional<int64_t> loaded_distance(std::span<const uint8_t> bytes) {
  const bool loads = bytes.size() == LoadAddressSize && (bytes[0] & 0xfb) == 0x48 &&
                     bytes[1] == 0x8d && (bytes[2] & 0xc7) == 0x05;
  if (!loads) return std::nullopt;
  int32_t distance;
  std::memcpy(&distance, bytes.data() + 3, sizeof distance);
  return distance;
}

// movabs $constant,%reg (10 bytes) becomes mov memory(%rip),%reg (7) and a nop (3).
std::optional<uint64_t> load_from_memory(std::span<uint8_t> code, uint64_t constant) {
  if (constant < 2 || constant > code.size() || code.size() - constant < 8) return std::nullopt;
  const uint8_t prefix = code[constant - 2], opcode = code[constant - 1];
  if ((prefix & 0xfe) != 0x48 || (opcode & 0xf8) != 0xb8) return std::nullopt;
  const bool is_high = (prefix & 1) != 0;
  const std::array<uint8_t, 10> load = {static_cast<uint8_t>(is_high ? 0x4c : 0x48),
                                        0x8b,
                                        static_cast<uint8_t>((opcode & 7) << 3 | 5),
                                        0,
                                        0,
                                        0,
                                        0,
                                        0x0f,
                                        0x1f,
                                        0x00};
  std::copy(load.begin(), load.end(), code.begin() + static_cast<int64_t>(constant) - 2);
  return constant + 1;
}

}  // namespace ksplice
