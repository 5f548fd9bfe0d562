#include "create/root.h"

#include <elf.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <regex>

#include "objdiff/arch/arch.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

constexpr const char* Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* Mirror = "http://deb.debian.org";
constexpr const char* Keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

struct Release {
  const char *number, *name, *compiler;
};
constexpr Release Releases[] = {{"12", "bookworm", "gcc-12"}, {"13", "trixie", "gcc-14"}};

// What kbuild runs, beside what every Debian system has.
constexpr const char* Packages =
    "gcc,libc6-dev,make,bc,bison,flex,cpio,pahole,libelf-dev,libssl-dev,openssl,zlib1g-dev,perl,"
    "python3,kmod,xz-utils,zstd,patch,diffutils";

// Nobody reads these there.
constexpr const char* Unwanted[] = {"doc", "man", "info", "locale"};

bool is_below(const fs::path& path, const fs::path& folder) {
  std::string prefix = folder == "/" ? "/" : folder.string() + "/";
  return path.string().starts_with(prefix);
}

// Shows the folder of root as the same folder inside. bwrap can mount on nothing that is not there,
// and nothing can be made in root: where the machine's paths go, the entries are shown one by one.
void show_folder(std::vector<std::string>& words, const fs::path& root, const fs::path& folder,
                 const std::vector<fs::path>& own) {
  static const std::vector<fs::path> Replaced = {"/proc", "/sys", "/dev", "/tmp", "/run"};
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(root / folder.relative_path()))
    entries.push_back(folder / entry.path().filename());
  std::sort(entries.begin(), entries.end());
  for (const fs::path& path : entries) {
    const fs::path there = root / path.relative_path();
    auto is = [&](const fs::path& other) { return other == path; };
    if (std::any_of(Replaced.begin(), Replaced.end(), is) ||
        std::any_of(own.begin(), own.end(), is))
      continue;
    if (fs::is_symlink(there)) {
      words.insert(words.end(), {"--symlink", fs::read_symlink(there), path});
    } else if (fs::is_directory(there) &&
               std::any_of(own.begin(), own.end(),
                           [&](const fs::path& other) { return is_below(other, path); })) {
      words.insert(words.end(), {"--dir", path});
      show_folder(words, root, path, own);
    } else {
      words.insert(words.end(), {"--ro-bind", there, path});
    }
  }
}

const Release* find_release(const std::string& number) {
  for (const Release& release : Releases)
    if (release.number == number) return &release;
  return nullptr;
}

std::string version_id(const fs::path& root) {
  fs::path file = root / "usr/lib/os-release";
  std::string text = fs::exists(file) ? "\n" + read_text(file) : "";
  std::smatch found;
  return std::regex_search(text, found, std::regex("\nVERSION_ID=\"?([^\"\n]*)")) ? found[1].str()
                                                                                  : "";
}

void check_machine(const fs::path& folder, const fs::path& program) {
  std::vector<uint8_t> bytes = read_file(program);
  Elf64_Ehdr ehdr = {};
  std::memcpy(&ehdr, bytes.data(), std::min(bytes.size(), sizeof ehdr));
  if (std::memcmp(ehdr.e_ident, ELFMAG, SELFMAG) != 0 || ehdr.e_machine != ElfMachine)
    throw Error("bad_root",
                fmt::format("{} is a root directory for another processor: {} is no program for {}",
                            folder.string(), program.string(), ArchText),
                "the tree must be of this machine's architecture");
}

// Without root, the files in the archive of the tree become the user's.
void run_step(const std::vector<std::string>& argv, const std::string& hint, Progress& progress) {
  CommandOptions options;
  options.env = {{"LC_ALL", "C"}};
  options.dies_with_us = true;
  options.watch = [&](std::string_view) { progress.make_output(""); };
  CommandResult run = run_command(argv, options);
  progress.detail(run.output);
  if (run.status != 0)
    throw Error("root_failed", fmt::format("{} failed:\n{}", argv.front(), run.output), hint);
}

std::vector<std::string> bootstrap_command(const Release& release, const fs::path& archive) {
  std::vector<std::string> argv = {"mmdebstrap", "--variant=essential", "--format=tar",
                                   fmt::format("--architectures={}", "amd64"),
                                   fmt::format("--include={}", Packages)};
  for (const char* folder : Unwanted)
    argv.push_back(fmt::format("--dpkgopt=path-exclude=/usr/share/{}/*", folder));
  argv.insert(argv.end(), {release.name, archive.string()});
  for (const std::string& line : archive_lines(release.number)) argv.push_back(line);
  return argv;
}

}  // namespace

std::vector<std::string> in_root(const fs::path& root, const Outlook& outlook,
                                 const std::vector<std::string>& argv) {
  if (root.empty()) return argv;
  std::vector<fs::path> own = outlook.writable;
  own.insert(own.end(), outlook.readable.begin(), outlook.readable.end());
  std::vector<std::string> words = {"bwrap", "--die-with-parent", "--unshare-pid", "--unshare-net",
                                    "--unshare-ipc"};
  show_folder(words, root, "/", own);
  words.insert(words.end(), {"--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs",
                             "/run", "--setenv", "PATH", Path, "--setenv", "HOME", "/tmp"});
  for (const char* name : {"TMPDIR", "LD_PRELOAD", "LD_LIBRARY_PATH"})
    words.insert(words.end(), {"--unsetenv", name});
  // Of two paths, one below the other, the outer one comes first.
  auto bind = [&](const char* option, std::vector<fs::path> paths) {
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) words.insert(words.end(), {option, path, path});
  };
  bind("--ro-bind", outlook.readable);
  bind("--bind", outlook.writable);
  words.push_back("--");
  words.insert(words.end(), argv.begin(), argv.end());
  return words;
}

fs::path usable_root(const fs::path& folder) {
  if (folder.empty()) return {};
  if (!fs::is_directory(folder))
    throw Error("bad_root", fmt::format("{} is not a folder", folder.string()),
                "ksplice-create --make-root makes a root directory");
  fs::path root = fs::canonical(folder);
  if (root == "/") return {};
  // coreutils has it as a plain file in every release.
  fs::path program = root / "usr/bin/env";
  if (!fs::is_regular_file(program))
    throw Error(
        "bad_root",
        fmt::format("{} is no root directory of a system: it has no usr/bin/env", folder.string()),
        "ksplice-create --make-root makes a root directory");
  check_machine(folder, program);
  std::string words;
  try {
    CommandResult run = run_command(in_root(root, {}, {"/usr/bin/env", "true"}));
    if (run.status == 0) return root;
    words = run.output;
  } catch (const Error& error) {
    if (error.code != "failed") throw;
    words = error.what();
  }
  throw Error("bad_root", fmt::format("nothing can be run in {}: {}", root.string(), words),
              "install the package bubblewrap; it needs root or user namespaces, and does not work "
              "in a chroot, only below a mount of its own");
}

std::string debian_of_compiler(const std::string& config_text) {
  std::string wanted = config_value(config_text, "CC_VERSION_TEXT");
  for (const Release& release : Releases)
    if (wanted.find(std::string(release.compiler) + " (Debian ") != std::string::npos)
      return release.number;
  return "";
}

std::vector<std::string> archive_lines(const std::string& number) {
  const Release* release = find_release(number);
  if (release == nullptr)
    throw Error("usage", fmt::format("the archive of Debian {} is not known", number));
  std::vector<std::string> lines;
  for (const std::string suite : {"debian {}", "debian {}-updates", "debian-security {}-security"})
    lines.push_back(fmt::format("deb [signed-by={}] {}/{} main", Keyring, Mirror,
                                fmt::format(fmt::runtime(suite), release->name)));
  return lines;
}

std::string root_hint(const KernelConfig& kernel) {
  std::string wanted = debian_of_compiler(kernel.config_text);
  if (wanted.empty()) return "";
  if (version_id(kernel.root.empty() ? "/" : kernel.root) == wanted)
    return kernel.root.empty() ? ""
                               : fmt::format(
                                     "{} is of the right release, but not of its day: "
                                     "remove it and run ksplice-create --make-root again",
                                     kernel.root.string());
  std::string made =
      fmt::format("with the tools of Debian {} that this kernel was built with", wanted);
  if (kernel.installed)
    return fmt::format(
        "ksplice-create --make-root={} makes a root directory {}, to be given with "
        "--root",
        wanted, made);
  return fmt::format(
      "ksplice-create --make-root --config={} makes a root directory {}, and names "
      "it there",
      kernel.name, made);
}

fs::path make_root(const fs::path& cache, const std::string& release, Progress& progress) {
  const Release* known = find_release(release);
  if (known == nullptr)
    throw Error("usage", fmt::format("--make-root knows Debian 12 and 13, not \"{}\"", release),
                "make a tree of another release by yourself, and give it with --root");
  fs::path target = cache / "roots" / release;
  if (fs::exists(target)) return usable_root(target);
  fs::create_directories(target.parent_path());
  TempDir fresh(target.parent_path());
  progress.stage(fmt::format("fetch Debian {} from {}", release, Mirror));
  fs::path archive = fresh.path() / "archive.tar", tree = fresh.path() / "tree";
  run_step(bootstrap_command(*known, archive),
           "the packages mmdebstrap and debian-archive-keyring must be installed, and uidmap to do "
           "it without root",
           progress);
  progress.stage(fmt::format("unpack it to {}", target.string()));
  fs::create_directory(tree);
  run_step(
      {"tar", "-C", tree.string(), "--no-same-owner", "--exclude=./dev/*", "-xf", archive.string()},
      "", progress);
  fs::permissions(tree, fs::perms(0755));
  usable_root(tree);
  std::error_code taken;  // another create may have been faster
  fs::rename(tree, target, taken);
  progress.end();
  return fs::canonical(target);
}

void name_root(const fs::path& config_dir, const fs::path& root) {
  fs::path link = config_dir / "root";
  if (fs::exists(fs::symlink_status(link)) && !fs::is_symlink(link))
    throw Error("bad_config", fmt::format("{} is a folder, not a link", link.string()),
                fmt::format("remove it; the root directory is {}", root.string()));
  fs::remove(link);
  fs::create_directory_symlink(root, link);
}

}  // namespace ksplice
