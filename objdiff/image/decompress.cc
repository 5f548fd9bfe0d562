#include "objdiff/image/decompress.h"

#include <bzlib.h>
#include <fmt/format.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "objdiff/base/bytes.h"
#include "objdiff/base/error.h"

namespace ksplice {
namespace {

constexpr uint64_t MaxOutput = uint64_t{1}
                               << 30;  // no kernel is larger; bounds what a lie can cost
constexpr uint32_t Lz4Magic = 0x184c2102;
constexpr size_t Lz4Block = size_t{8} << 20;  // the old frame's block size

[[noreturn]] void fail(const std::string& name, const char* format, const std::string& why) {
  throw Error("bad_image", fmt::format("{}: {} data: {}", name, format, why));
}

// Grows out by at least a megabyte; false at the limit.
bool grow(std::vector<uint8_t>& out, size_t used) {
  if (out.size() > used) return true;
  if (out.size() >= MaxOutput) return false;
  out.resize(std::min<uint64_t>(MaxOutput, std::max<size_t>(out.size() * 2, size_t{32} << 20)));
  return true;
}

std::vector<uint8_t> gunzip(std::span<const uint8_t> in, const std::string& name) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) fail(name, "gzip", "zlib cannot be started");
  std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
  std::vector<uint8_t> out;
  size_t used = 0;
  stream.next_in = const_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  for (;;) {
    if (!grow(out, used)) fail(name, "gzip", "the result is too large");
    stream.next_out = out.data() + used;
    stream.avail_out = static_cast<uInt>(out.size() - used);
    int result = inflate(&stream, Z_NO_FLUSH);
    used = out.size() - stream.avail_out;
    if (result == Z_STREAM_END) break;
    if (result != Z_OK || (stream.avail_in == 0 && stream.avail_out != 0))
      fail(name, "gzip", "corrupt or cut off");
  }
  out.resize(used);
  return out;
}

std::vector<uint8_t> bunzip2(std::span<const uint8_t> in, const std::string& name) {
  bz_stream stream{};
  if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) fail(name, "bzip2", "libbz2 cannot be started");
  std::unique_ptr<bz_stream, int (*)(bz_stream*)> owner(&stream, BZ2_bzDecompressEnd);
  std::vector<uint8_t> out;
  size_t used = 0;
  stream.next_in = const_cast<char*>(reinterpret_cast<const char*>(in.data()));
  stream.avail_in = static_cast<unsigned>(in.size());
  for (;;) {
    if (!grow(out, used)) fail(name, "bzip2", "the result is too large");
    stream.next_out = reinterpret_cast<char*>(out.data() + used);
    stream.avail_out = static_cast<unsigned>(out.size() - used);
    int result = BZ2_bzDecompress(&stream);
    used = out.size() - stream.avail_out;
    if (result == BZ_STREAM_END) break;
    if (result != BZ_OK || (stream.avail_in == 0 && stream.avail_out != 0))
      fail(name, "bzip2", "corrupt or cut off");
  }
  out.resize(used);
  return out;
}

std::vector<uint8_t> unlzma(std::span<const uint8_t> in, const std::string& name, bool xz) {
  const char* format = xz ? "xz" : "lzma";
  lzma_stream stream = LZMA_STREAM_INIT;
  lzma_ret result =
      xz ? lzma_stream_decoder(&stream, UINT64_MAX, 0) : lzma_alone_decoder(&stream, UINT64_MAX);
  if (result != LZMA_OK) fail(name, format, "liblzma cannot be started");
  std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> owner(&stream, lzma_end);
  std::vector<uint8_t> out;
  size_t used = 0;
  stream.next_in = in.data();
  stream.avail_in = in.size();
  for (;;) {
    if (!grow(out, used)) fail(name, format, "the result is too large");
    stream.next_out = out.data() + used;
    stream.avail_out = out.size() - used;
    result = lzma_code(&stream, LZMA_RUN);
    used = out.size() - stream.avail_out;
    if (result == LZMA_STREAM_END) break;
    if (result != LZMA_OK || (stream.avail_in == 0 && stream.avail_out != 0))
      fail(name, format, "corrupt or cut off");
  }
  out.resize(used);
  return out;
}

// The frame of "lz4 -l": magic, then blocks of a 4-byte compressed size and the data. The last four
// bytes of the payload are no block but the size of the result.
std::vector<uint8_t> unlz4(std::span<const uint8_t> in, const std::string& name) {
  Bytes bytes(in, name);
  std::vector<uint8_t> out;
  uint64_t at = 4;
  while (in.size() - at > 4) {
    uint32_t size = bytes.read<uint32_t>(at);
    at += 4;
    if (size == Lz4Magic) continue;  // frames may be concatenated
    if (size > in.size() - at) fail(name, "lz4", fmt::format("block at {:#x} is cut off", at - 4));
    size_t used = out.size();
    if (used + Lz4Block > MaxOutput) fail(name, "lz4", "the result is too large");
    out.resize(used + Lz4Block);
    int got = LZ4_decompress_safe(reinterpret_cast<const char*>(in.data() + at),
                                  reinterpret_cast<char*>(out.data() + used),
                                  static_cast<int>(size), static_cast<int>(Lz4Block));
    if (got < 0) fail(name, "lz4", fmt::format("block at {:#x} is corrupt", at - 4));
    out.resize(used + static_cast<size_t>(got));
    at += size;
  }
  return out;
}

std::vector<uint8_t> unzstd(std::span<const uint8_t> in, const std::string& name) {
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  if (!context) fail(name, "zstd", "libzstd cannot be started");
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, 31);
  std::vector<uint8_t> out;
  ZSTD_inBuffer source{in.data(), in.size(), 0};
  size_t used = 0;
  for (;;) {
    if (!grow(out, used)) fail(name, "zstd", "the result is too large");
    ZSTD_outBuffer target{out.data(), out.size(), used};
    size_t result = ZSTD_decompressStream(context.get(), &target, &source);
    if (ZSTD_isError(result)) fail(name, "zstd", ZSTD_getErrorName(result));
    used = target.pos;
    if (result == 0) break;
    if (source.pos == source.size && used < out.size()) fail(name, "zstd", "cut off");
  }
  out.resize(used);
  return out;
}

bool starts_with(std::span<const uint8_t> data, std::initializer_list<uint8_t> magic) {
  return data.size() >= magic.size() && std::equal(magic.begin(), magic.end(), data.begin());
}

}  // namespace

bool is_bzimage(std::span<const uint8_t> file) {
  return file.size() > 0x250 && std::memcmp(file.data() + 0x202, "HdrS", 4) == 0;
}

std::span<const uint8_t> bzimage_payload(std::span<const uint8_t> file, const std::string& name) {
  Bytes bytes(file, name);
  uint16_t version = bytes.read<uint16_t>(0x206);
  if (version < 0x208)
    throw Error("bad_image",
                fmt::format("{}: boot protocol {:#x} does not tell where the payload is "
                            "(2.08 or later is needed)",
                            name, version));
  uint64_t setup_sectors = bytes.read<uint8_t>(0x1f1);
  if (setup_sectors == 0) setup_sectors = 4;
  uint64_t offset = (setup_sectors + 1) * 512 + bytes.read<uint32_t>(0x248);
  uint64_t length = bytes.read<uint32_t>(0x24c);
  if (length < 16 || offset > file.size() || length > file.size() - offset)
    throw Error("bad_image",
                fmt::format("{}: its payload of {} bytes at {:#x} is outside its {} bytes", name,
                            length, offset, file.size()));
  return file.subspan(offset, length);
}

std::vector<uint8_t> decompress(std::span<const uint8_t> data, const std::string& name) {
  if (starts_with(data, {0x1f, 0x8b})) return gunzip(data, name);
  if (starts_with(data, {'B', 'Z', 'h'})) return bunzip2(data, name);
  if (starts_with(data, {0x5d, 0, 0})) return unlzma(data, name, false);
  if (starts_with(data, {0xfd, '7', 'z', 'X', 'Z', 0})) return unlzma(data, name, true);
  if (starts_with(data, {0x02, 0x21, 0x4c, 0x18})) return unlz4(data, name);
  if (starts_with(data, {0x28, 0xb5, 0x2f, 0xfd})) return unzstd(data, name);
  std::string magic;
  for (uint8_t byte : data.first(std::min<size_t>(4, data.size())))
    magic += fmt::format(" {:02x}", byte);
  throw Error("bad_image", fmt::format("{}: neither an ELF file nor compressed in a known way (it "
                                       "starts with{})",
                                       name, magic));
}

std::vector<uint8_t> decompress_payload(std::span<const uint8_t> payload, const std::string& name) {
  if (starts_with(payload, {0x7f, 'E', 'L', 'F'})) return {payload.begin(), payload.end()};
  std::vector<uint8_t> out = decompress(payload, name);
  uint32_t announced = Bytes(payload, name).read<uint32_t>(payload.size() - 4);
  if (announced != out.size())
    throw Error("bad_image",
                fmt::format("{}: its payload unpacks to {} bytes, but {} were announced", name,
                            out.size(), announced));
  return out;
}

}  // namespace ksplice
