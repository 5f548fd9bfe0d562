// What an instruction does with the values of registers: for following one value, such as an
// address, through code until it is known where it goes.
//
// In: an instruction. Out: which registers it reads as values, which only to reach memory, which it
// writes. Nothing is said of an instruction that is not known; the caller must then assume
// anything.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "objdiff/arch/arch.h"

namespace ksplice {

using Registers = uint32_t;  // a set of general registers

extern const Registers ArgumentRegisters;  // of a call
extern const Registers SavedRegisters;     // the same after a call as before
extern const Registers ResultRegisters;    // what a call returns

struct RegisterUse {
  Registers values = 0;   // read; what is written may be made of them
  Registers places = 0;   // read to form the address of its memory operand
  Registers written = 0;  // nothing of the old value stays
  Registers partly = 0;   // written in part, or on a condition
  bool reads_memory = false;
  bool writes_memory = false;
  bool is_stack = false;       // its memory operand is in the frame, by the stack pointer
  bool writes_other = false;   // a register that is not general
  bool only_looks = false;     // compares: nothing is made of the values but flags
  bool is_address = false;     // what is written is the address formed of places (lea)
  bool copies_memory = false;  // from memory to memory
};

// nullopt: not understood.
std::optional<RegisterUse> register_use(std::span<const uint8_t> code,
                                        const Instruction& instruction);

}  // namespace ksplice
