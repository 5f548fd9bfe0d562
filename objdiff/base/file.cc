#include "objdiff/base/file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "objdiff/base/error.h"

namespace ksplice {

void throw_errno(const std::string& what, const std::filesystem::path& path) {
  bool full = errno == ENOSPC || errno == EDQUOT;
  throw Error(full ? "no_space" : "failed",
              fmt::format("{} {}: {}", what, path.string(), std::strerror(errno)),
              full ? "make room on that file system and run again" : "");
}

namespace {

template <typename Container>
Container read_all(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) throw_errno("cannot open", path);
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) throw_errno("cannot read", path);
  if (S_ISDIR(st.st_mode)) {
    errno = EISDIR;
    throw_errno("cannot read", path);
  }
  Container content;
  content.reserve(static_cast<size_t>(st.st_size));
  char buffer[65536];
  for (;;) {
    ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("cannot read", path);
    if (got == 0) return content;
    content.insert(content.end(), buffer, buffer + got);
  }
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

std::vector<uint8_t> read_file(const std::filesystem::path& path) {
  return read_all<std::vector<uint8_t>>(path);
}

std::string read_text(const std::filesystem::path& path) { return read_all<std::string>(path); }

void write_file(const std::filesystem::path& path, std::string_view content) {
  std::string temporary = path.string() + ".XXXXXX";
  Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (fd.get() < 0) throw_errno("cannot write", path);
  try {
    while (!content.empty()) {
      ssize_t put = ::write(fd.get(), content.data(), content.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) throw_errno("cannot write", path);
      content.remove_prefix(static_cast<size_t>(put));
    }
    if (::fchmod(fd.get(), 0644) != 0 || ::fsync(fd.get()) != 0) throw_errno("cannot write", path);
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw_errno("cannot write", path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void sync_folder(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() >= 0) ::fsync(fd.get());
}

void sync_file_system(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() >= 0) ::syncfs(fd.get());
}

TempDir::TempDir(const std::filesystem::path& parent) {
  std::filesystem::path base = parent;
  if (base.empty()) {
    const char* tmpdir = std::getenv("TMPDIR");
    base = tmpdir != nullptr && *tmpdir != '\0' ? tmpdir : "/tmp";
  }
  std::string name = (base / "ksplice.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw_errno("cannot make a folder in", base);
  path_ = name;
}

TempDir::~TempDir() {
  if (keep_) return;
  std::error_code ignored;  // a destructor has nobody to tell
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace ksplice
