#include "create/release/debian.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "create/root.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// Runs a program of apt or dpkg to its end.
std::string run(const std::vector<std::string>& argv, const fs::path& directory,
                const std::string& hint, Progress& progress) {
  CommandOptions options;
  options.directory = directory;
  options.env = {{"LC_ALL", "C"}, {"APT_CONFIG", ""}};
  options.dies_with_us = true;
  options.watch = [&](std::string_view) { progress.make_output(""); };
  const CommandResult result = run_command(argv, options);
  progress.detail(result.output, 2);
  if (result.status != 0)
    throw Error("failed", fmt::format("{} failed:\n{}", fmt::join(argv, " "), result.output), hint);
  return result.output;
}

// apt's configuration, with all that it writes below folder.
fs::path write_apt_settings(const fs::path& folder, const std::string& release) {
  for (const char* name : {"lists/partial", "cache/archives/partial"})
    fs::create_directories(folder / name);
  write_file(folder / "status", "");
  write_file(folder / "sources.list", fmt::format("{}\n", fmt::join(archive_lines(release), "\n")));
  std::string text;
  for (const auto& [name, value] :
       {std::pair("Dir::Etc::SourceList", (folder / "sources.list").string()),
        std::pair("Dir::Etc::SourceParts", std::string("/dev/null")),
        std::pair("Dir::State", folder.string()),
        std::pair("Dir::State::Lists", (folder / "lists").string()),
        std::pair("Dir::State::Status", (folder / "status").string()),
        std::pair("Dir::Cache", (folder / "cache").string())})
    text += fmt::format("{} \"{}\";\n", name, value);
  text +=
      "APT::Architecture \"amd64\";\nAPT::Architectures \"amd64\";\n"
      "Acquire::Languages \"none\";\n";
  if (::geteuid() == 0) text += "APT::Sandbox::User \"root\";\n";
  write_file(folder / "apt.conf", text);
  return folder / "apt.conf";
}

bool is_version(const std::string& text) {
  return std::isdigit(static_cast<unsigned char>(text.empty() ? ' ' : text[0])) != 0 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '+' ||
                  c == '-' || c == '~';
         });
}

fs::path only_file(const fs::path& folder, const std::string& begin, const std::string& end) {
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(folder, none)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(begin) && name.ends_with(end)) return entry.path();
  }
  throw Error("failed", fmt::format("the package holds no {}*{}", begin, end));
}

// The package, unpacked below folder.
void fetch_package(const fs::path& folder, const std::string& release, const std::string& package,
                   const std::string& version, const fs::path& apt, Progress& progress) {
  const std::string config = write_apt_settings(apt, release).string();
  const std::string hint =
      fmt::format("the archive of Debian {} offers what `apt-cache -c {} policy {}` says", release,
                  config, package);
  run({"apt-get", "-q", "-c", config, "update"}, folder,
      "is the network there, and the package debian-archive-keyring?", progress);
  run({"apt-get", "-q", "-c", config, "download", package + "=" + version}, folder, hint, progress);
  run({"dpkg-deb", "-x", only_file(folder, package, ".deb").string(), (folder / "deb").string()},
      folder, "", progress);
}

}  // namespace

DebianSource fetch_debian_source(const fs::path& cache, const KernelConfig& kernel,
                                 const std::string& version, Progress& progress) {
  const std::string release = debian_of_compiler(kernel.config_text);
  if (release.empty())
    throw Error("usage", "--to-version is for kernels of Debian 12 and 13",
                "give the later source with --to-source");
  if (!is_version(version))
    throw Error("usage", fmt::format("\"{}\" is no version of a Debian package", version),
                "one looks as 6.1.187-1");
  const size_t dot = version.find('.');
  const std::string series = version.substr(0, version.find('.', dot + 1));
  const fs::path target = fs::canonical(cache) / "versions" / version;
  const DebianSource found{target / "source", target / "changelog.Debian.gz"};
  if (fs::exists(target)) return found;
  progress.stage(fmt::format("fetch the source of {} from Debian {}", version, release));
  fs::create_directories(target.parent_path());
  TempDir work(target.parent_path());
  fetch_package(work.path(), release, "linux-source-" + series, version,
                fs::canonical(cache) / "apt" / ("create-" + release), progress);
  const fs::path fresh = work.path() / "fresh";
  fs::create_directories(fresh / "source");
  run({"tar", "-C", (fresh / "source").string(), "--strip-components=1", "--no-same-owner", "-xf",
       only_file(work.path() / "deb/usr/src", "linux-source-", ".tar.xz").string()},
      work.path(), "", progress);
  fs::copy_file(only_file(work.path() / "deb/usr/share/doc", "changelog", ".gz"),
                fresh / "changelog.Debian.gz");
  sync_file_system(fresh);
  std::error_code taken;  // another create may have been faster
  fs::rename(fresh, target, taken);
  return found;
}

}  // namespace ksplice
