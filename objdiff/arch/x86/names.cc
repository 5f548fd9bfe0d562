// Names and numbers of x86-64 that need no library; also in the programs on the host.
#include <elf.h>

#include "objdiff/arch/arch.h"

namespace ksplice {

const std::string_view ArchText = "x86-64";
const std::string_view ArchName = "x86_64";
const std::string_view ArchConfig = "X86_64";
const std::string_view ArchFolder = "arch/x86";
const uint16_t ElfMachine = EM_X86_64;
const uint64_t KernelMap = 0xffffffff80000000;  // __START_KERNEL_map

const uint32_t RelocNone = R_X86_64_NONE;
const uint32_t RelocAddress = R_X86_64_64;
const uint32_t RelocDistance = R_X86_64_PC32;
const uint32_t RelocCall = R_X86_64_PLT32;

}  // namespace ksplice
