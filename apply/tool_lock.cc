#include "apply/tool_lock.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "objdiff/base/error.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace {

constexpr const char* Folder = "/run/ksplice";
constexpr auto Pause = std::chrono::milliseconds(50);
constexpr auto Silence = std::chrono::seconds(2);

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  throw Error("failed", fmt::format("{} {}: {}", what, path.string(), std::strerror(errno)),
              "the tools need a folder /run that root can write to");
}

// Whoever can open a file can lock it: so nobody else may.
void make_private(int fd, const std::filesystem::path& path, mode_t mode) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) fail(path, "cannot look at");
  if (status.st_uid != ::geteuid())
    throw Error("failed", fmt::format("{} belongs to somebody else", path.string()),
                "remove it, if no ksplice tool is at work");
  if ((status.st_mode & 07777) != mode && ::fchmod(fd, mode) != 0) fail(path, "cannot close");
}

Fd open_lock(const Host& host) {
  const std::filesystem::path folder = host.path(Folder), file = folder / "lock";
  std::error_code ignored;
  std::filesystem::create_directories(folder.parent_path(), ignored);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) fail(folder, "cannot make");
  Fd dir(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (dir.get() < 0) fail(folder, "cannot open");
  make_private(dir.get(), folder, 0700);
  Fd fd(::openat(dir.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (fd.get() < 0) fail(file, "cannot open");
  make_private(fd.get(), file, 0600);
  return fd;
}

bool try_lock(int fd) {
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno != EWOULDBLOCK && errno != EINTR)
    throw Error("failed", fmt::format("cannot lock {}/lock: {}", Folder, std::strerror(errno)));
  return false;
}

// "process 123 (ksplice-apply)": who wrote itself into the file.
std::string holder(int fd) {
  char text[64] = {};
  if (::pread(fd, text, sizeof text - 1, 0) <= 0) return "another ksplice tool";
  return std::string("process ") + std::string(text, std::strcspn(text, "\n"));
}

void write_holder(int fd) {
  const std::string text = fmt::format("{} ({})\n", ::getpid(), program_invocation_short_name);
  if (::ftruncate(fd, 0) != 0 ||
      ::pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    throw Error("failed", fmt::format("cannot write to {}/lock: {}", Folder, std::strerror(errno)));
}

}  // namespace

ToolLock::ToolLock(const Host& host, std::chrono::seconds patience) : fd_(open_lock(host)) {
  const auto start = std::chrono::steady_clock::now();
  for (bool told = false; !try_lock(fd_.get());) {
    check_interrupted();
    const auto waited = std::chrono::steady_clock::now() - start;
    if (waited >= patience)
      throw Error("tool_busy",
                  fmt::format("{} is changing the kernel, and has not ended in {} s",
                              holder(fd_.get()), patience.count()),
                  "wait for it, or find out what it waits for");
    if (!told && waited >= Silence) {
      told = true;
      fmt::print(stderr, "waiting for {}, which is changing the kernel\n", holder(fd_.get()));
    }
    ::usleep(std::chrono::duration_cast<std::chrono::microseconds>(Pause).count());
  }
  write_holder(fd_.get());
}

}  // namespace ksplice
