// What the reasons of a difference show: instructions and constants as a person knows them.
#pragma once

#include <cstdint>
#include <string>

#include "objdiff/object/atoms.h"

namespace ksplice {

// The text of a string in quotes, else the name.
std::string constant_text(const Atom& atom);

// The instruction at place, from the function's entry, with what its relocations mean:
// "callq <tcp_drop>". "the end of f" behind the last one.
std::string code_text(const Atoms& atoms, const Atom& function, uint64_t place);

}  // namespace ksplice
