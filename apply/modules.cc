#include "apply/modules.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "objdiff/base/error.h"

namespace ksplice {

namespace {

// What the errno of init_module(2) means where strerror's text misleads.
std::string load_reason(int error) {
  switch (error) {
    case ENOEXEC:
      return "the kernel does not take its format or versions";
    case ENOENT:
      return "it needs a symbol that the kernel does not export";
    case EEXIST:
      return "a module of that name is already loaded";
    case ENOKEY:
    case EKEYREJECTED:
    case EBADMSG:
      return "the kernel loads only signed modules";
    case EPERM:
      return "the kernel does not permit it";
    default:
      return std::strerror(error);
  }
}

std::string load_code(int error) {
  if (error == ENOMEM) return "out_of_memory";
  if (error == ENOKEY || error == EKEYREJECTED || error == EBADMSG) return "signature_required";
  if (error == EINTR) return "interrupted";
  return error == EPERM ? "not_permitted" : "load_failed";
}

std::string load_hint(int error) {
  if (error == ENOKEY || error == EKEYREJECTED)
    return "sign the module with a key that this kernel trusts, or boot without Secure Boot";
  if (error == EPERM)
    return "the kernel is locked down, or this is a container; run it on the host itself, booted "
           "without lockdown";
  return "";
}

}  // namespace

KernelLog::KernelLog(const Host& host)
    : fd_(::open(host.path("/dev/kmsg").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
  if (fd_.get() >= 0) ::lseek(fd_.get(), 0, SEEK_END);
}

// A record is "priority,sequence,time,flags;message\n" followed by " KEY=value\n" lines; one read
// returns one record, and EPIPE means that records were overwritten before we came.
std::vector<std::string> KernelLog::new_lines() {
  std::vector<std::string> lines;
  if (fd_.get() < 0) return lines;
  char buffer[8192];
  for (;;) {
    ssize_t got = ::read(fd_.get(), buffer, sizeof buffer);
    if (got < 0 && (errno == EPIPE || errno == EINTR)) continue;
    if (got <= 0) return lines;
    std::string_view record(buffer, static_cast<size_t>(got));
    size_t begin = record.find(';');
    if (begin == std::string_view::npos) continue;
    record = record.substr(begin + 1);
    lines.emplace_back(record.substr(0, record.find('\n')));
  }
}

void load_module(const Host& host, const std::string& name, std::span<const uint8_t> content) {
  KernelLog log(host);
  if (::syscall(SYS_init_module, content.data(), content.size(), "") == 0) return;
  int error = errno;
  std::string said;
  size_t count = 0;
  for (const std::string& line : log.new_lines())
    if (++count <= 20) said += "\n  kernel: " + line;
  throw Error(
      load_code(error),
      fmt::format("cannot load module {}: {} (error {}){}", name, load_reason(error), error, said),
      load_hint(error));
}

bool unload_module(const std::string& name) {
  for (;;) {
    if (::syscall(SYS_delete_module, name.c_str(), O_NONBLOCK) == 0 || errno == ENOENT) return true;
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK || errno == EBUSY) return false;
    throw Error("failed", fmt::format("cannot unload module {}: {}", name, std::strerror(errno)));
  }
}

}  // namespace ksplice
