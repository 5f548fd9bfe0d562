// A trace as a picture: SVG without scripts and without anything from elsewhere, for a browser or a
// page. Of each function how long the calls took, and through which functions of the kernel they
// came (a flame graph: the widths are calls, callers stand below what they call), the original's
// and the new code's calls apart.
#pragma once

#include <string>
#include <vector>

#include "apply/trace/report.h"

namespace ksplice {

struct PicturePart {
  std::string title;
  const Trace& trace;
};

// The parts stand one below the other: two of a comparison.
std::string to_svg(const std::vector<PicturePart>& parts, const SymbolTable& symbols);

}  // namespace ksplice
