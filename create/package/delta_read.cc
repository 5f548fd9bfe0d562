// The decoder's side. xdelta3 3.0 trusts the section sizes that a window's header claims: it rounds
// them up in 32 bits, and a size near 4 GiB becomes an allocation of no bytes that is then written
// to. So nothing reaches its section code unless the window, whose header it shows us first, fits
// into what is left of the delta and of the target; sections are then used where they lie, without
// any allocation, and the one that remains, for the window's output, is bounded by the target's
// size. Features that our encoder never uses are refused by the first bytes.

#include <fmt/core.h>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

#include "create/package/delta.h"
#include "create/package/xdelta3.h"
#include "objdiff/base/error.h"

namespace ksplice {

namespace {

using Content = std::vector<uint8_t>;

[[noreturn]] void fail(const std::string& message) {
  throw Error("bad_tarball", "a delta is damaged: " + message,
              "get the tarball again or create it again");
}

// The longest that a window of our encoder's, or its caches, needs beyond the output itself.
constexpr size_t MaxAllocation = 32 << 20;

void* allocate(void*, size_t items, usize_t size) {
  uint64_t bytes = static_cast<uint64_t>(items) * size;
  return bytes == 0 || bytes > MaxAllocation ? nullptr : std::malloc(bytes);
}

void release(void*, void* memory) { std::free(memory); }

// The window that was just announced must fit into what is left.
void check_window(const xd3_stream& stream, uint64_t room) {
  uint64_t sections =
      static_cast<uint64_t>(stream.data_sect.size) + stream.inst_sect.size + stream.addr_sect.size;
  if (sections > stream.avail_in) fail("a window is longer than the delta");
  if (stream.dec_tgtlen > room) fail("it makes more than the manifest says");
}

}  // namespace

Content apply_delta(const Content& base, const Content& delta, uint64_t size) {
  constexpr uint8_t Head[] = {0xd6, 0xc3, 0xc4, 0, 0};  // version 0, no optional parts
  if (delta.size() < sizeof Head || std::memcmp(delta.data(), Head, sizeof Head) != 0)
    fail("it does not begin as one");
  constexpr uint64_t Limit = std::numeric_limits<int32_t>::max();
  if (base.size() > Limit || delta.size() > Limit || size > Limit) fail("it is too large");
  xd3_config config = {};
  config.flags = XD3_ADLER32;
  config.alloc = allocate;
  config.freef = release;
  xd3_stream stream = {};
  if (xd3_config_stream(&stream, &config) != 0) throw std::bad_alloc();
  std::unique_ptr<xd3_stream, void (*)(xd3_stream*)> owner(&stream, xd3_free_stream);
  xd3_source source = {};
  if (!base.empty()) {
    source.blksize = source.onblk = static_cast<usize_t>(base.size());
    source.curblk = base.data();
    source.max_winsize = base.size();
    if (xd3_set_source_and_size(&stream, &source, base.size()) != 0) throw std::bad_alloc();
  }
  Content target;
  target.reserve(size);
  xd3_avail_input(&stream, delta.data(), static_cast<usize_t>(delta.size()));
  for (;;) {
    int status = xd3_decode_input(&stream);
    switch (status) {
      case XD3_GOTHEADER:
      case XD3_WINSTART:
        check_window(stream, size - target.size());
        break;
      case XD3_OUTPUT:
        if (stream.avail_out > size - target.size()) fail("it makes more than the manifest says");
        target.insert(target.end(), stream.next_out, stream.next_out + stream.avail_out);
        xd3_consume_output(&stream);
        break;
      case XD3_WINFINISH:
        break;
      case XD3_INPUT:
        if (stream.dec_state != DEC_WININD) fail("it is cut off");
        if (target.size() != size)
          fail(fmt::format("it makes {} bytes, the manifest says {}", target.size(), size));
        return target;
      default:
        fail(stream.msg != nullptr ? stream.msg : "it reads outside of its base");
    }
  }
}

}  // namespace ksplice
