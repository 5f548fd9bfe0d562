// What a processor must answer. arch/x86/ does so for x86-64; the sources of one processor are
// compiled in, and everything here is a plain function or table. What differs between releases of
// the kernel stands in series.h.
//
// In: bytes, offsets, the numbers of relocation types. Out: instructions with their lengths, fields
// and kinds, what a relocation does, what the kernel makes of code while it runs, text for
// messages. Knows nothing of objects, images or updates, and decides nothing: what to make of an
// instruction is the caller's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ksplice {

// Names and numbers; also for the programs on the host.

extern const std::string_view ArchText;    // for messages: "x86-64"
extern const std::string_view ArchName;    // as uname says: "x86_64"
extern const std::string_view ArchConfig;  // CONFIG_ of the kernel's own configuration
extern const std::string_view ArchFolder;  // of the kernel's source: "arch/x86"
extern const uint16_t ElfMachine;          // EM_*
extern const uint64_t KernelMap;           // where the kernel's image is linked to begin, at least

// Instructions.

enum class InstructionKind : uint8_t {
  Other,
  Nop,       // nop, 0f 1f forms with any prefixes, 66 90; not pause, not endbr
  Int3,      // cc
  Call,      // direct
  Jump,      // direct, rel8 or rel32
  CondJump,  // direct: jcc rel8 or rel32, loop, jrcxz
  IndirectCall,
  IndirectJump,
  Return,
  Trap,   // ud2, ud1, ud0
  Endbr,  // endbr64
};

// One decoded instruction. Offsets named *_offset are in the instruction, unless said otherwise.
struct Instruction {
  uint64_t offset = 0;  // in the code that was decoded
  uint8_t size = 0;
  InstructionKind kind = InstructionKind::Other;
  uint8_t opcode_offset = 0;  // of the first opcode byte, after legacy prefixes and REX
  uint8_t modrm_offset = 0;   // 0 if there is none
  uint8_t disp_offset = 0;    // memory displacement or moffs; valid if disp_size is not 0
  uint8_t disp_size = 0;
  uint8_t imm_offset =
      0;  // immediate, or the relative target of a branch; valid if imm_size is not 0
  uint8_t imm_size = 0;
  bool rip_relative = false;  // the displacement is relative to the end of the instruction
  int64_t target = 0;         // Call, Jump, CondJump: offset in the code, as encoded

  bool is_padding() const { return kind == InstructionKind::Nop || kind == InstructionKind::Int3; }
  bool is_branch() const {  // direct, with a relative target in its immediate field
    return kind == InstructionKind::Call || kind == InstructionKind::Jump ||
           kind == InstructionKind::CondJump;
  }
  // Execution never continues after it.
  bool ends_flow() const {
    return kind == InstructionKind::Jump || kind == InstructionKind::IndirectJump ||
           kind == InstructionKind::Return || kind == InstructionKind::Trap;
  }
  uint64_t end() const { return offset + size; }
  // How many bytes of the instruction follow the field at field_offset (in the code decoded) of 4
  // bytes.
  uint64_t bytes_after(uint64_t field_offset) const { return end() - (field_offset + 4); }
};

// The instruction at offset, or nullopt if the bytes are none (or are cut off).
std::optional<Instruction> decode_instruction(std::span<const uint8_t> code, uint64_t offset);

// All instructions of [begin, end). Bytes that are no instruction become one of size 1, kind Other.
std::vector<Instruction> decode_range(std::span<const uint8_t> code, uint64_t begin, uint64_t end);

// Condition code 0..15 of a jcc (the low nibble of its opcode), or -1.
int condition_code(std::span<const uint8_t> code, const Instruction& instruction);

// Whether the instruction reads or writes memory at its displacement at field, with nothing added
// to it but its own place: the address is then that of a thing, never of the end of one.
bool accesses_address(std::span<const uint8_t> code, const Instruction& instruction,
                      uint64_t field);

// "movq   -8(%rbp), %rax", as the kernel's own assembly is written; "(bad)" for bytes that are no
// instruction. address is that of the first byte, for branch targets.
std::string instruction_text(std::span<const uint8_t> bytes, uint64_t address);

// "e8 10 00 00 00 ", for messages.
std::string bytes_text(std::span<const uint8_t> bytes);

// Relocations.

extern const uint32_t RelocNone;
extern const uint32_t RelocAddress;   // an address of 8 bytes
extern const uint32_t RelocDistance;  // a distance of 4 bytes, from the place
extern const uint32_t RelocCall;      // the distance of a direct call
// The type for the target of a direct branch.
uint32_t branch_reloc(const Instruction& branch);
// Whether kernel code and data have such relocations, and matching knows what they mean. Others
// (such as those through a GOT) are refused.
bool reloc_is_understood(uint32_t type);
// How many bytes the field has, 0 for none. Throws Error("bad_file") for a type that is not known.
unsigned reloc_size(uint32_t type);
// Whether the place is subtracted.
bool reloc_is_pc_relative(uint32_t type);
// Sign-extended when loaded (R_X86_64_32S), as against zero-extended (R_X86_64_32).
bool reloc_is_signed(uint32_t type);
std::string reloc_name(uint32_t type);  // "R_X86_64_PC32"

// Filling and entries.

extern const uint8_t FillByte;  // the nop of one byte
extern const uint8_t TrapByte;  // the trap of one byte
// A jump without its distance, which are the last four bytes (RelocCall, counted from their end).
extern const std::array<uint8_t, 5> DirectJump;
// The nops that the assembler fills alignment with.
bool is_filling_nop(std::span<const uint8_t> bytes);
// How many bytes of FillByte the kernel has a compiler put before an entry, at most (call padding).
extern const uint64_t MaxCallPadding;
// Names of the padding, as against that of the function behind it.
bool is_call_padding_name(std::string_view name);
// The call that the function tracer turns into a nop, and how far behind the entry it is at most.
extern const std::string_view FtraceCall;
extern const uint64_t MaxFtraceOffset;
// Makes the nop that stands for such a call a call again, given the place of the call's distance.
// False, and nothing done, if no nop of a call's size is there.
bool restore_ftrace_call(std::span<uint8_t> code, uint64_t field);

// What the kernel rewrites in its own code (run_ranges.cc tells the kinds apart).

// A branch that is rewritten because of where it leads.
struct BranchSite {
  enum class Kind { Plain, Ftrace, ReturnThunk, IndirectThunk };
  Kind kind = Kind::Plain;
  uint64_t number = 0;  // IndirectThunk: KSPLICE_RANGE_RETPOLINE's parameter
};
BranchSite branch_site(std::string_view callee, const Instruction& branch);

// The bytes of a jump label of that size: when it does not jump, and when it does. distance: from
// the label's end; target_offset: of the distance in the bytes, 0 if it has less than four.
bool is_jump_label_nop(std::span<const uint8_t> bytes);
std::vector<uint8_t> jump_label_nop(unsigned size);
struct JumpBytes {
  std::vector<uint8_t> bytes;
  unsigned target_offset = 0;
};
JumpBytes jump_label_jump(unsigned size, int64_t distance);
// A jump of the shortest form, if it can reach a place at that distance from its first byte.
std::optional<std::vector<uint8_t>> short_jump(int64_t distance);

// The prefix of an atomic access on machines with several processors, and with one.
extern const uint8_t LockPrefix, LockPrefixOff;
// How many bytes an indirect call has at most that is made direct (paravirt).
extern const uint64_t MaxIndirectCall;
// The landing pad that an entry begins with, if code begins with one; else empty.
std::span<const uint8_t> landing_pad(std::span<const uint8_t> code);
// Whether it is the trap of BUG() and WARN().
bool is_bug_trap(std::span<const uint8_t> bytes);
// The length of the trap.
extern const uint64_t BugTrapSize;
// How many bytes the instruction has that loads an address near by, and the distance of that from
// the instruction's end; nullopt if the bytes are no such instruction.
extern const uint64_t LoadAddressSize;
std::optional<int64_t> loaded_distance(std::span<const uint8_t> bytes);

// Makes of the instruction that loads the 8-byte constant at code[constant] one that reads it from
// memory, with a nop behind it. Gives the offset of the distance to that memory, to be relocated
// with RelocDistance and addend -4; nullopt, and nothing done, if it is no such instruction.
std::optional<uint64_t> load_from_memory(std::span<uint8_t> code, uint64_t constant);

}  // namespace ksplice
