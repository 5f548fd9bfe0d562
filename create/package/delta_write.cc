
#include <cerrno>

#include "create/package/delta.h"
#include "create/package/xdelta3.h"
#include "objdiff/base/error.h"

namespace ksplice {

std::optional<std::vector<uint8_t>> make_delta(const std::vector<uint8_t>& base,
                                               const std::vector<uint8_t>& target) {
  if (base.empty() || target.empty()) return std::nullopt;
  std::vector<uint8_t> delta(target.size());
  usize_t size = 0;
  int status = xd3_encode_memory(target.data(), static_cast<usize_t>(target.size()), base.data(),
                                 static_cast<usize_t>(base.size()), delta.data(), &size,
                                 static_cast<usize_t>(delta.size()), XD3_ADLER32 | XD3_COMPLEVEL_9);
  if (status == ENOSPC) return std::nullopt;
  if (status != 0) throw Error("failed", "xdelta3 cannot make a delta");
  delta.resize(size);
  return delta;
}

}  // namespace ksplice
