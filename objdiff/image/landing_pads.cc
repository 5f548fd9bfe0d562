#include "objdiff/image/landing_pads.h"

#include <algorithm>
#include <cstring>

#include "objdiff/arch/arch.h"

namespace ksplice {

namespace {

// Names the entries whose pads the kernel's own start code, or the module loader, takes away: the
// s32 place-relative addresses of functions (objtool, Linux 5.18).
constexpr const char* SealTable = ".ibt_endbr_seal";

bool is_sealed(const RunImage& image, uint64_t addr) {
  for (const RunSection& section : image.sections) {
    if (section.name != SealTable) continue;
    for (size_t at = 0; at + 4 <= section.data.size(); at += 4) {
      int32_t distance;
      std::memcpy(&distance, section.data.data() + at, sizeof distance);
      if (section.addr + at + static_cast<uint64_t>(int64_t{distance}) == addr) return true;
    }
  }
  return false;
}

}  // namespace

bool has_branch_tracking(const RunImage& vmlinux) {
  return std::ranges::any_of(vmlinux.sections,
                             [](const RunSection& section) { return section.name == SealTable; });
}

bool lacks_landing_pad(const RunImage& image, const RunImage& vmlinux, uint64_t addr) {
  const RunSection* section = image.section_at(addr);
  if (section == nullptr || !section->is_code() || !has_branch_tracking(vmlinux)) return false;
  const auto bytes = image.read(addr, 4);
  return is_sealed(image, addr) || (bytes && landing_pad(*bytes).empty());
}

}  // namespace ksplice
