// Code of pre that is not replaced and can run after the switch: start and exit code that is left
// out, functions that the patch takes away while something holds their address, old bodies of
// carried ones. Internal to the room.
#pragma once

#include "objdiff/diff/judge.h"

namespace ksplice {

// Whether anything but a direct call or jump names the function: anywhere, or in code.
enum class Holder { Any, Code };
bool address_taken(const Atoms& atoms, const Atom& function, Holder holder = Holder::Any);

// Fills j.misled and j.start_only; refuses, or notes, what may still be called through a pointer.
// After judge_exports(), which finds what is reshaped.
void judge_old_code(Judgement& j);

}  // namespace ksplice
