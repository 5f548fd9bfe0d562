// The code in which calls of the replaced functions are counted, if somebody asks for that
// (kmod-core/count.c): for each function KSPLICE_COUNTER_SIZE bytes that go on to its new body. The
// core writes what counts; that it is code already lets objtool say how a stack is walked there.
#include <elf.h>

#include <cstddef>

#include "objdiff/arch/arch.h"
#include "objdiff/update/update_builder.h"

namespace ksplice {

// After name_symbols(): a counter is called like the body, in front of whose name it says so.
void UpdateBuilder::add_counters() {
  if (replaced_.empty()) return;
  Section* counters =
      new_section(".text.ksplice_counters", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 32);
  Section* functions = table(".ksplice.functions");
  for (size_t i = 0; i < replaced_.size(); ++i) {
    const uint64_t at = i * KSPLICE_COUNTER_SIZE;
    counters->data.insert(counters->data.end(), DirectJump.begin(), DirectJump.end());
    counters->data.resize(at + KSPLICE_COUNTER_SIZE, TrapByte);
    Symbol* body = replaced_[i].body;
    counters->relocations.push_back({at + 1, RelocCall, body, -4});
    Symbol* counter = new_symbol("ksplice_calls_of_" + body->name, STB_LOCAL, STT_FUNC, counters,
                                 at, KSPLICE_COUNTER_SIZE);
    functions->relocations.push_back(
        {i * sizeof(ksplice_function) + offsetof(ksplice_function, counter), RelocAddress, counter,
         0});
  }
  counters->size = counters->data.size();
}

}  // namespace ksplice
