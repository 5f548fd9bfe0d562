// Files and folders: whole-file reads, atomic writes, temporary folders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ksplice {

// Throws Error with what ("cannot write"), path and errno's text: "no_space" if the disk is full,
// "failed" otherwise.
[[noreturn]] void throw_errno(const std::string& what, const std::filesystem::path& path);

// All bytes of the file. Throws Error("failed") naming the path and errno's text.
std::vector<uint8_t> read_file(const std::filesystem::path& path);
std::string read_text(const std::filesystem::path& path);

// Writes beside path and renames into place, so that path holds either the old or all of the new.
void write_file(const std::filesystem::path& path, std::string_view content);
inline void write_file(const std::filesystem::path& path, const std::vector<uint8_t>& content) {
  write_file(path, std::string_view(reinterpret_cast<const char*>(content.data()), content.size()));
}

// Waits until the names in the folder are on the disk; where the file system does not say, nothing.
void sync_folder(const std::filesystem::path& path);

// Waits until all that was written to the file system of that folder is on the disk.
void sync_file_system(const std::filesystem::path& path);

// Owns a file descriptor.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  int get() const { return fd_; }
  int release() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

// A folder of its own below parent (default: $TMPDIR or /tmp), removed with all its content by the
// destructor.
class TempDir {
 public:
  explicit TempDir(const std::filesystem::path& parent = {});
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();
  const std::filesystem::path& path() const { return path_; }
  void keep() { keep_ = true; }

 private:
  std::filesystem::path path_;
  bool keep_ = false;
};

}  // namespace ksplice
