#include "objdiff/image/image_cache.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <optional>

#include "objdiff/base/bytes.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

// The file: this head, then the bytes.
struct Head {
  char magic[8] = {'k', 's', 'p', 'l', 'i', 'c', 'e', '1'};
  uint64_t size = 0;
  uint64_t crc = 0;
};

std::string sha256(std::span<const uint8_t> data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_Digest(data.data(), data.size(), digest, &length, EVP_sha256(), nullptr) != 1)
    throw Error("internal", "SHA-256 cannot be computed");
  std::string hex;
  for (unsigned i = 0; i < length; i++) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

Head head_of(std::span<const uint8_t> data) {
  Head head;
  head.size = data.size();
  head.crc = crc32_z(0, data.data(), data.size());
  return head;
}

std::optional<std::vector<uint8_t>> load(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  std::vector<uint8_t> file = read_file(path);
  if (file.size() < sizeof(Head)) return std::nullopt;
  std::span<const uint8_t> content = std::span(file).subspan(sizeof(Head));
  Head expected = head_of(content);
  if (std::memcmp(file.data(), &expected, sizeof(Head)) != 0) return std::nullopt;
  file.erase(file.begin(), file.begin() + sizeof(Head));
  return file;
}

}  // namespace

std::vector<uint8_t> cached(const std::string& directory, std::span<const uint8_t> key,
                            const std::function<std::vector<uint8_t>()>& make) {
  if (directory.empty()) return make();
  std::filesystem::path path = std::filesystem::path(directory) / (sha256(key) + ".image");
  if (std::optional<std::vector<uint8_t>> found = load(path)) return *found;
  std::vector<uint8_t> result = make();
  Head head = head_of(result);
  std::string file(reinterpret_cast<const char*>(&head), sizeof(head));
  file.append(reinterpret_cast<const char*>(result.data()), result.size());
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  try {
    write_file(path, file);
  } catch (const Error&) {  // a read-only or full disk costs the next run some time, nothing else
  }
  return result;
}

}  // namespace ksplice
