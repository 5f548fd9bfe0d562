// libFuzzer target over the ELF reader and the differ. The input holds two objects: the first eight
// bytes are the length of the first (clipped), the rest is pre, then post.
//
//   clang++ ... -fsanitize=fuzzer,address,undefined: see tests/fuzz/CMakeLists.txt
//   ./diff_fuzzer tests/fuzz/corpus -max_total_time=1800 -rss_limit_mb=2048
#include <cstdint>
#include <cstring>
#include <span>

#include "objdiff/diff/section_diff.h"
#include "objdiff/object/elf_read.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  uint64_t first = 0;
  std::memcpy(&first, data, 8);
  const std::span<const uint8_t> all(data + 8, size - 8);
  first = all.empty() ? 0 : first % (all.size() + 1);
  try {
    const ksplice::Object pre = ksplice::read_object(all.subspan(0, first), "pre");
    const ksplice::Object post = ksplice::read_object(all.subspan(first), "post");
    const ksplice::ObjectDiff diff = ksplice::diff_objects(pre, post);
    if (ksplice::diff_to_json(diff, true).empty()) __builtin_trap();
  } catch (const ksplice::Error&) {
    // A refusal to read is the expected answer to damage.
  }
  return 0;
}
