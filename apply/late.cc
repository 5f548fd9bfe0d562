#include "apply/late.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <sstream>

#include "apply/kernel_updates.h"
#include "apply/store.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/update/finalize.h"

namespace ksplice {

namespace {

constexpr size_t LongestHelper = 255;  // the core's parameter

void write_parameter(const Host& host, const std::string& name, const std::string& value) {
  const std::filesystem::path file = host.path("/sys/module/ksplice/parameters/" + name);
  Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0 ||
      ::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size()))
    throw Error("failed", fmt::format("the core does not take \"{}\": {}: {}", value, file.string(),
                                      std::strerror(errno)));
}

bool waits_for(const UpdateState& state, const std::string& target) {
  auto names = state.values.find("partial");
  if (state.stage != "applied" || names == state.values.end()) return false;
  for (const TargetState& each : state.targets)
    if (each.name == target && each.state == "applied") return false;
  std::istringstream words(names->second);
  for (std::string word; words >> word;)
    if (word == target) return true;
  return false;
}

unsigned long order_of(const UpdateState& state) {
  auto order = state.values.find("order");
  return order == state.values.end() ? 0 : std::strtoul(order->second.c_str(), nullptr, 10);
}

// Is the copy that of the update in the kernel?
void check_copy(const Host& host, const UpdateState& state, const Package& package) {
  for (const PackageKernel& kernel : package.kernels) {
    if (kernel.build_id != host.build_id()) continue;
    for (const PackageTarget& target : kernel.targets)
      for (const TargetState& there : state.targets)
        if (there.module == target.module &&
            host.module_build_id(there.module) == module_build_id(package.files.at(target.file)))
          return;
  }
  throw Error("bad_tarball",
              fmt::format("the stored copy of update {} is not the one in the kernel", state.id),
              "apply its tarball again");
}

void finish_one(const Host& host, const UpdateState& state, const LoadOptions& options) {
  const std::string copy = find_copy(host, state.id);
  if (copy.empty())
    throw Error("unknown_update", fmt::format("there is no stored copy of update {}", state.id),
                "apply its tarball again");
  std::vector<uint8_t> tarball;
  Package package = read_package(copy, &tarball);
  check_copy(host, state, package);
  apply_update(host, package, tarball, options);
}

}  // namespace

void write_late(const Host& host, const LoadOptions& options) {
  if (!options.only.empty()) return;
  std::error_code error;
  std::filesystem::path helper = std::filesystem::read_symlink("/proc/self/exe", error);
  // ksplice-boot leaves this to ksplice-apply, which lies beside it.
  helper.replace_filename("ksplice-apply");
  if (!error && helper.string().size() <= LongestHelper)
    write_parameter(host, "helper", helper.string());
  else
    options.report("the core is not told where this program is");
  if (!options.late.empty()) write_parameter(host, "late", options.late);
  if (options.late_timeout_ms != 0)
    write_parameter(host, "late_timeout_ms", std::to_string(options.late_timeout_ms));
}

void open_standard_files() {
  for (int fd : {0, 1, 2}) {
    if (::fcntl(fd, F_GETFD) != -1) continue;
    // The lowest number that is free is this one.
    if (fd == 2 && ::open("/dev/kmsg", O_WRONLY) == fd) continue;
    if (::open("/dev/null", O_RDWR) != fd) ::_exit(ExitFailed);
  }
}

void finish_target(const Host& host, const std::string& target, LoadOptions options) {
  options.partial = true;
  options.only = target;
  std::vector<UpdateState> waiting;
  for (const std::string& id : list_updates(host))
    if (std::optional<UpdateState> state = read_update(host, id);
        state && waits_for(*state, target))
      waiting.push_back(*state);
  std::sort(waiting.begin(), waiting.end(),
            [](const UpdateState& a, const UpdateState& b) { return order_of(a) < order_of(b); });
  std::exception_ptr first;
  for (const UpdateState& state : waiting) {
    try {
      finish_one(host, state, options);
    } catch (const Error&) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace ksplice
