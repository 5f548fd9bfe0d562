#include "objdiff/arch/registers.h"

#include <capstone/capstone.h>

#include <algorithm>

#include "objdiff/base/error.h"

namespace ksplice {

namespace {

// As instructions number them.
enum : unsigned { Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi, R8, R9, R12 = 12, R13, R14, R15 };

constexpr Registers bit(unsigned number) { return Registers{1} << number; }

// The number of the general register that reg is (a part of), and how many bytes of it; -1 if none.
struct Part {
  int number = -1;
  unsigned size = 0;
};

Part part_of(unsigned reg) {
  struct Names {
    x86_reg r64, r32, r16, r8, high;
  };
  static const Names names[] = {
      {X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL, X86_REG_AH},
      {X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH},
      {X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH},
      {X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL, X86_REG_BH},
      {X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL, X86_REG_INVALID},
      {X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL, X86_REG_INVALID},
      {X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL, X86_REG_INVALID},
      {X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL, X86_REG_INVALID},
      {X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B, X86_REG_INVALID},
      {X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B, X86_REG_INVALID},
      {X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B, X86_REG_INVALID},
      {X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B, X86_REG_INVALID},
      {X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B, X86_REG_INVALID},
      {X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B, X86_REG_INVALID},
      {X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B, X86_REG_INVALID},
      {X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B, X86_REG_INVALID},
  };
  if (reg == X86_REG_INVALID) return {};
  for (int i = 0; i < 16; ++i) {
    const Names& name = names[i];
    if (reg == name.r64) return {i, 8};
    if (reg == name.r32) return {i, 4};  // the upper half becomes zero
    if (reg == name.r16) return {i, 2};
    if (reg == name.r8 || reg == name.high) return {i, 1};
  }
  return {};
}

bool is_flags_or_ip(unsigned reg) {
  return reg == X86_REG_EFLAGS || reg == X86_REG_RIP || reg == X86_REG_EIP;
}

// A condition decides whether the register is written.
bool is_conditional(unsigned id) {
  static const unsigned ids[] = {
      X86_INS_CMOVA,  X86_INS_CMOVAE, X86_INS_CMOVB,  X86_INS_CMOVBE,  X86_INS_CMOVE,
      X86_INS_CMOVG,  X86_INS_CMOVGE, X86_INS_CMOVL,  X86_INS_CMOVLE,  X86_INS_CMOVNE,
      X86_INS_CMOVNO, X86_INS_CMOVNP, X86_INS_CMOVNS, X86_INS_CMOVO,   X86_INS_CMOVP,
      X86_INS_CMOVS,  X86_INS_BSF,    X86_INS_BSR,    X86_INS_CMPXCHG,
  };
  return std::find(std::begin(ids), std::end(ids), id) != std::end(ids);
}

// Those whose reads and writes of operands are as Capstone says, checked by hand (4.0.2), and that
// do with a value nothing that the operands do not show.
bool is_plain(unsigned id) {
  static const unsigned ids[] = {
      X86_INS_MOV,  X86_INS_MOVABS, X86_INS_MOVZX, X86_INS_MOVSX, X86_INS_MOVSXD, X86_INS_LEA,
      X86_INS_ADD,  X86_INS_SUB,    X86_INS_ADC,   X86_INS_SBB,   X86_INS_AND,    X86_INS_OR,
      X86_INS_XOR,  X86_INS_INC,    X86_INS_DEC,   X86_INS_NEG,   X86_INS_NOT,    X86_INS_SHL,
      X86_INS_SAL,  X86_INS_SHR,    X86_INS_SAR,   X86_INS_ROL,   X86_INS_ROR,    X86_INS_IMUL,
      X86_INS_CMP,  X86_INS_TEST,   X86_INS_PUSH,  X86_INS_POP,   X86_INS_BT,     X86_INS_XCHG,
      X86_INS_XADD, X86_INS_CDQE,   X86_INS_BSWAP,
  };
  return std::find(std::begin(ids), std::end(ids), id) != std::end(ids) || is_conditional(id);
}

class Detail {
 public:
  Detail() {
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle_) != CS_ERR_OK)
      throw Error("internal", "capstone cannot be opened");
    cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
    instruction_ = cs_malloc(handle_);
  }
  Detail(const Detail&) = delete;
  Detail& operator=(const Detail&) = delete;
  ~Detail() {
    cs_free(instruction_, 1);
    cs_close(&handle_);
  }
  const cs_insn* decode(std::span<const uint8_t> bytes) {
    const uint8_t* code = bytes.data();
    size_t size = bytes.size();
    uint64_t address = 0;
    return cs_disasm_iter(handle_, &code, &size, &address, instruction_) ? instruction_ : nullptr;
  }

 private:
  csh handle_ = 0;
  cs_insn* instruction_ = nullptr;
};

void note_written(RegisterUse& use, unsigned reg, bool conditional) {
  const Part part = part_of(reg);
  if (part.number < 0) {
    use.writes_other |= !is_flags_or_ip(reg);
    return;
  }
  const Registers which = bit(static_cast<unsigned>(part.number));
  (part.size < 4 || conditional ? use.partly : use.written) |= which;
}

void note_memory(RegisterUse& use, const x86_op_mem& memory, uint8_t access) {
  for (unsigned reg : {static_cast<unsigned>(memory.base), static_cast<unsigned>(memory.index)})
    if (const Part part = part_of(reg); part.number >= 0)
      use.places |= bit(static_cast<unsigned>(part.number));
  use.is_stack = memory.base == X86_REG_RSP && memory.segment == X86_REG_INVALID;
  use.reads_memory |= (access & CS_AC_READ) != 0 || access == 0;
  use.writes_memory |= (access & CS_AC_WRITE) != 0 || access == 0;
}

void note_operand(RegisterUse& use, const cs_x86_op& operand, bool conditional, bool known) {
  const uint8_t access = known ? operand.access : CS_AC_READ | CS_AC_WRITE;
  if (operand.type == X86_OP_MEM) note_memory(use, operand.mem, access);
  if (operand.type != X86_OP_REG) return;
  const Part part = part_of(operand.reg);
  if (part.number >= 0 && ((access & CS_AC_READ) != 0 || access == 0))
    use.values |= bit(static_cast<unsigned>(part.number));
  if ((access & CS_AC_WRITE) != 0 || access == 0)
    note_written(use, operand.reg, conditional || !known);
}

// xor %eax,%eax: zero, whatever was there.
bool makes_zero(const cs_insn& insn) {
  const cs_x86& x86 = insn.detail->x86;
  return (insn.id == X86_INS_XOR || insn.id == X86_INS_SUB) && x86.op_count == 2 &&
         x86.operands[0].type == X86_OP_REG && x86.operands[1].type == X86_OP_REG &&
         x86.operands[0].reg == x86.operands[1].reg;
}

}  // namespace

const Registers ArgumentRegisters = bit(Rdi) | bit(Rsi) | bit(Rdx) | bit(Rcx) | bit(R8) | bit(R9);
const Registers SavedRegisters =
    bit(Rbx) | bit(Rsp) | bit(Rbp) | bit(R12) | bit(R13) | bit(R14) | bit(R15);
const Registers ResultRegisters = bit(Rax) | bit(Rdx);

std::optional<RegisterUse> register_use(std::span<const uint8_t> code,
                                        const Instruction& instruction) {
  static thread_local Detail detail;
  const cs_insn* insn = detail.decode(code.subspan(instruction.offset, instruction.size));
  if (insn == nullptr || insn->size != instruction.size) return std::nullopt;
  const cs_x86& x86 = insn->detail->x86;
  RegisterUse use;
  const bool known = is_plain(insn->id);
  for (uint8_t i = 0; i < x86.op_count; ++i)
    note_operand(use, x86.operands[i], is_conditional(insn->id), known);
  for (uint8_t i = 0; i < insn->detail->regs_read_count; ++i)
    if (const Part part = part_of(insn->detail->regs_read[i]); part.number >= 0)
      use.values |= bit(static_cast<unsigned>(part.number));
  for (uint8_t i = 0; i < insn->detail->regs_write_count; ++i)
    note_written(use, insn->detail->regs_write[i], is_conditional(insn->id));
  use.only_looks = insn->id == X86_INS_CMP || insn->id == X86_INS_TEST || insn->id == X86_INS_BT;
  if (insn->id == X86_INS_LEA) {
    use.is_address = true;
    use.reads_memory = use.writes_memory = use.is_stack = false;
  }
  if (insn->id == X86_INS_PUSH || insn->id == X86_INS_POP) {
    use.values &= ~bit(Rsp);
    use.written &= ~bit(Rsp);
    use.is_stack = use.is_stack || use.places == 0;
    (insn->id == X86_INS_PUSH ? use.writes_memory : use.reads_memory) = true;
  }
  const bool is_string_copy = insn->id == X86_INS_MOVSB || insn->id == X86_INS_MOVSW ||
                              insn->id == X86_INS_MOVSD || insn->id == X86_INS_MOVSQ;
  const bool is_string_store = insn->id == X86_INS_STOSB || insn->id == X86_INS_STOSW ||
                               insn->id == X86_INS_STOSD || insn->id == X86_INS_STOSQ;
  if (is_string_copy || is_string_store) {
    const Registers ends = bit(Rdi) | (is_string_copy ? bit(Rsi) : 0);
    use.places |= ends;
    use.values &= ~(ends | (is_string_copy ? bit(Rcx) : 0));
    use.written = 0;
    use.partly = 0;
    use.writes_other = false;
    use.reads_memory = use.copies_memory = is_string_copy;
    use.writes_memory = true;
    use.is_stack = false;
  }
  if (makes_zero(*insn)) use.values = 0;
  return use;
}

}  // namespace ksplice
