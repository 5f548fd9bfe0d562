// Why a pre object does not match, as far as it can be known.
#pragma once

#include <cstddef>
#include <string>

#include "objdiff/image/run_image.h"
#include "objdiff/object/object.h"

namespace ksplice {

// "GCC: (Debian 12.2.0-14+deb12u1) 12.2.0" and the like, from .comment; "" if it has none.
std::string compiler_of(const Object& object);

// One sentence for the person who reads the refusal. matched and mismatched count the functions of
// pre.
std::string likely_cause(const Object& pre, const RunImage& image, size_t matched,
                         size_t mismatched);

}  // namespace ksplice
