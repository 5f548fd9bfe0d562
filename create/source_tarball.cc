#include "create/source_tarball.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "create/overlay.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// Removes folder at the end unless it was renamed.
struct Leftover {
  fs::path folder;
  ~Leftover() {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
};

// Children inherit it: a tar that outlives a killed create still holds it.
Fd wait_for_lock(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT, 0644));
  if (fd.get() < 0) throw_errno("cannot open", path);
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) throw_errno("cannot lock", path);
    check_interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return fd;
}

}  // namespace

fs::path unpack_source(const fs::path& cache, const fs::path& tarball, Progress& progress) {
  fs::path file = fs::canonical(tarball);
  auto time = fs::last_write_time(file).time_since_epoch().count();
  std::string key = hash_text(fmt::format("{} {} {}", file.string(), fs::file_size(file), time));
  fs::path folder = cache / "sources" / key;
  if (fs::exists(folder)) return folder;
  progress.stage(fmt::format("unpack {}", file.filename().string()));
  fs::create_directories(folder.parent_path());
  Fd lock = wait_for_lock(folder.string() + ".lock");
  if (fs::exists(folder)) return folder;
  fs::path fresh = folder.string() + ".new";
  fs::remove_all(fresh);  // of one that was killed
  Leftover leftover{fresh};
  fs::create_directory(fresh);
  CommandOptions options;
  options.env = {{"LC_ALL", "C"}, {"TAR_OPTIONS", ""}};
  options.dies_with_us = true;
  options.watch = [&](std::string_view) { progress.make_output(""); };
  CommandResult run = run_command({"tar", "-C", fresh.string(), "--strip-components=1",
                                   "--no-same-owner", "-xf", file.string()},
                                  options);
  bool full = run.output.find("No space left on device") != std::string::npos;
  if (run.status != 0 || !fs::exists(fresh / "Makefile")) {
    if (full)
      throw Error(
          "no_space",
          fmt::format("no room to unpack {} in {}", file.string(), folder.parent_path().string()),
          "make room on that file system, or name another place with --cache");
    throw Error(
        "bad_source",
        fmt::format("{} is not a kernel's source tarball{}{}", file.string(),
                    run.output.empty() ? "" : ":\n", run.output),
        "give linux-source-VERSION.tar.xz of the package linux-source-VERSION, or a folder");
  }
  sync_file_system(fresh);
  fs::rename(fresh, folder);
  return folder;
}

}  // namespace ksplice
