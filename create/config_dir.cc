#include "create/config_dir.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>
#include <sys/utsname.h>

#include <algorithm>
#include <memory>
#include <regex>

#include "create/root.h"
#include "objdiff/arch/arch.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

constexpr const char* MakeHint = "ksplice-create --init-config=DIR makes a configuration directory";

// Splits like a shell would, with quotes and backslashes, without expansion.
std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false, comment = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (comment) {
      comment = c != '\n';
    } else if (quote != 0) {
      if (c == quote)
        quote = 0;
      else
        word += c;
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == '#' && !in_word) {
      comment = true;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      if (in_word) words.push_back(std::exchange(word, ""));
      in_word = false;
    } else {
      if (c == '\\' && i + 1 < text.size()) c = text[++i];
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) throw Error("bad_config", "the flags file has a quote without an end");
  if (in_word) words.push_back(word);
  return words;
}

// The first of names below dir that exists, resolved; empty if none does.
fs::path first_of(const fs::path& dir, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (fs::exists(dir / name)) return fs::canonical(dir / name);
  return {};
}

std::string release_of_build(const fs::path& build) {
  fs::path header = build / "include/generated/utsrelease.h";
  if (fs::exists(header)) {
    std::string text = read_text(header);
    std::smatch found;
    if (std::regex_search(text, found, std::regex("UTS_RELEASE \"([^\"]+)\""))) return found[1];
  }
  fs::path plain = build / "include/config/kernel.release";
  if (!fs::exists(plain)) return "";
  std::string text = read_text(plain);
  return text.substr(0, text.find('\n'));
}

void require(const KernelConfig& kernel, const fs::path& found, const std::string& what) {
  if (found.empty())
    throw Error("bad_config", fmt::format("{} has no {}", kernel.name, what), kernel.advice);
}

KernelConfig finish(KernelConfig kernel) {
  require(kernel, kernel.config, kernel.installed ? "/boot/config" : ".config");
  require(kernel, kernel.build, "build (headers or build tree of the kernel)");
  require(kernel, kernel.image, "vmlinuz or vmlinux");
  kernel.config_text = read_text(kernel.config);
  if (kernel.config_text.find("CONFIG_") == std::string::npos)
    throw Error("bad_config",
                fmt::format("{} is not a kernel configuration", kernel.config.string()));
  kernel.release = release_of_build(kernel.build);
  if (kernel.release.empty())
    throw Error("bad_config",
                fmt::format("{} has neither include/generated/utsrelease.h nor "
                            "include/config/kernel.release",
                            kernel.build.string()),
                "build must lead to the headers package's folder, or to a finished build tree");
  if (!fs::exists(kernel.build / "Module.symvers"))
    throw Error("bad_config", fmt::format("{} has no Module.symvers", kernel.build.string()),
                "build must lead to the headers package's folder, or to a finished build tree");
  if (config_value(kernel.config_text, std::string(ArchConfig)) != "y")
    throw Error("bad_config", fmt::format("{} is not for {}", kernel.config.string(), ArchText));
  if (kernel.modules.empty()) {
    fs::path installed = fs::path("/lib/modules") / kernel.release;
    if (fs::exists(installed)) kernel.modules = installed;
  }
  return kernel;
}

void copy_to(const fs::path& from, const fs::path& to) {
  if (fs::exists(from)) fs::copy_file(from, to);
}

void link_to(const fs::path& target, const fs::path& link) {
  if (fs::exists(target)) fs::create_symlink(target, link);
}

// Folders of modules below root, where kernels of a split image have everything.
std::vector<fs::path> module_folders(const fs::path& root) {
  std::vector<fs::path> folders;
  for (const char* lib : {"usr/lib/modules", "lib/modules"})
    if (fs::exists(root / lib))
      for (const auto& entry : fs::directory_iterator(root / lib)) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

// The release that the packages unpacked below root hold: that of their vmlinuz, or of any part.
std::string unpacked_release(const fs::path& root) {
  if (fs::exists(root / "boot"))
    for (const auto& entry : fs::directory_iterator(root / "boot")) {
      std::string name = entry.path().filename().string();
      if (name.starts_with("vmlinuz-")) return name.substr(8);
    }
  for (const fs::path& folder : module_folders(root)) return folder.filename();
  throw Error("bad_config", "none of the packages has a boot/vmlinuz-RELEASE",
              "give a linux-image-RELEASE package (not a meta package) with --from");
}

fs::path unpacked_headers(const fs::path& root, const std::string& release) {
  fs::path headers = fs::path("usr/src") / ("linux-headers-" + release);
  if (!fs::exists(root / headers / "Module.symvers"))
    throw Error("bad_config",
                fmt::format("none of the packages has {}/Module.symvers", headers.string()),
                fmt::format("give linux-headers-{} with a further --from", release));
  return headers;
}

// A file of the kernel below root: in boot with the release in its name, or beside the modules
// without; empty if there is none.
fs::path unpacked_file(const fs::path& root, const std::string& release, const std::string& name) {
  fs::path boot = root / "boot" / (name + "-" + release);
  if (fs::exists(boot)) return boot;
  for (const fs::path& folder : module_folders(root))
    if (folder.filename() == release && fs::exists(folder / name)) return folder / name;
  return {};
}

// The image of Debian's backports is split, and each part is a package that can be missing.
fs::path require_part(const fs::path& found, const std::string& release, const std::string& name,
                      const std::string& part) {
  if (!found.empty()) return found;
  throw Error("bad_config",
              fmt::format("none of the packages has the {} of kernel {}", name, release),
              fmt::format("give linux-image-{0} with a further --from, or linux-{1}-{0} where the "
                          "image is split",
                          release, part));
}

void fill_from_packages(const fs::path& dir, const std::vector<fs::path>& packages) {
  fs::path root = dir / "unpacked";
  for (const fs::path& package : packages) {
    if (!fs::is_regular_file(package))
      throw Error("bad_config", fmt::format("{} is not a file", package.string()));
    CommandResult run = run_command({"dpkg-deb", "-x", package.string(), root.string()});
    if (run.status != 0)
      throw Error("bad_config", fmt::format("cannot unpack {}: {}", package.string(), run.output),
                  "give Debian package files (.deb)");
  }
  std::string release = unpacked_release(root);
  fs::path headers = unpacked_headers(root, release);
  auto link = [&](const fs::path& to, const char* name) {
    fs::create_symlink(to.lexically_relative(dir), dir / name);
  };
  auto part = [&](const char* name, const char* package) {
    return require_part(unpacked_file(root, release, name), release, name, package);
  };
  fs::copy_file(part("config", "base"), dir / ".config");
  link(part("vmlinuz", "binary"), "vmlinuz");
  fs::path map = unpacked_file(root, release, "System.map"), modules;
  if (!map.empty()) fs::copy_file(map, dir / "System.map");
  link(root / headers, "build");
  for (const fs::path& folder : module_folders(root))
    if (folder.filename() == release && fs::exists(folder / "kernel")) modules = folder;
  link(require_part(modules, release, "modules", "modules"), "modules");
}

void fill_from_installed(const fs::path& dir, const std::string& release) {
  KernelConfig kernel = read_installed_kernel(release);
  fs::copy_file(kernel.config, dir / ".config");
  link_to(kernel.image, dir / kernel.image.filename().string().substr(0, 7));
  if (!kernel.system_map.empty()) copy_to(kernel.system_map, dir / "System.map");
  link_to(kernel.build, dir / "build");
  if (!kernel.modules.empty()) link_to(kernel.modules, dir / "modules");
}

std::string module_name_of(const std::string& file) {
  for (const char* suffix : {".ko", ".ko.xz", ".ko.gz", ".ko.zst"})
    if (file.ends_with(suffix)) {
      std::string name = file.substr(0, file.size() - std::string(suffix).size());
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    }
  return "";
}

}  // namespace

std::string running_release() {
  struct utsname names = {};
  ::uname(&names);
  return names.release;
}

KernelConfig read_config_dir(const fs::path& dir, Root root) {
  if (!fs::is_directory(dir))
    throw Error("bad_config", fmt::format("{} is not a folder", dir.string()), MakeHint);
  KernelConfig kernel;
  kernel.name = dir.string();
  kernel.advice = MakeHint;
  kernel.config = first_of(dir, {".config"});
  kernel.system_map = first_of(dir, {"System.map"});
  kernel.build = first_of(dir, {"build"});
  kernel.image = first_of(dir, {"vmlinux", "vmlinuz"});
  kernel.modules = first_of(dir, {"modules"});
  kernel.source = first_of(dir, {"source"});
  if (root == Root::Used && fs::exists(fs::symlink_status(dir / "root")))
    kernel.root = usable_root(dir / "root");
  fs::path flags = first_of(dir, {"flags"});
  if (!flags.empty())
    for (const std::string& word : split_words(read_text(flags))) {
      if (word.starts_with("KCFLAGS="))
        kernel.kcflags = word.substr(8);
      else
        kernel.flags.push_back(word);
    }
  return finish(std::move(kernel));
}

KernelConfig read_installed_kernel(const std::string& release) {
  KernelConfig kernel;
  kernel.name =
      (release == running_release() ? "the running kernel " : "the installed kernel ") + release;
  kernel.installed = true;
  kernel.advice = fmt::format(
      "install linux-image-{0} and linux-headers-{0} if this is a kernel of Debian, or make a "
      "configuration directory from its packages (--init-config, --from) and give it with --config",
      release);
  fs::path modules = fs::path("/lib/modules") / release;
  kernel.config = first_of(
      "/", {("boot/config-" + release).c_str(), ("lib/modules/" + release + "/config").c_str(),
            ("lib/modules/" + release + "/build/.config").c_str()});
  kernel.system_map = first_of("/", {("boot/System.map-" + release).c_str(),
                                     ("lib/modules/" + release + "/System.map").c_str()});
  kernel.build = first_of(modules, {"build"});
  kernel.image = first_of(
      "/", {("boot/vmlinuz-" + release).c_str(), ("lib/modules/" + release + "/vmlinuz").c_str(),
            ("lib/modules/" + release + "/build/vmlinux").c_str()});
  if (fs::exists(modules)) kernel.modules = modules;
  return finish(std::move(kernel));
}

std::string config_value(const std::string& config_text, const std::string& name) {
  std::string key = "\nCONFIG_" + name + "=";
  std::string text = "\n" + config_text;
  size_t at = text.find(key);
  if (at == std::string::npos) return "";
  at += key.size();
  std::string value = text.substr(at, text.find('\n', at) - at);
  if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
  return value;
}

std::map<std::string, fs::path> find_modules(const KernelConfig& kernel) {
  std::map<std::string, fs::path> modules;
  for (const fs::path& root : {kernel.modules / "updates", kernel.modules / "extra",
                               kernel.module_source, kernel.modules, kernel.build}) {
    if (root.empty() || root.is_relative() || !fs::exists(root)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      std::string name = module_name_of(entry.path().filename().string());
      if (!name.empty() && entry.is_regular_file()) modules.emplace(name, entry.path());
    }
  }
  return modules;
}

fs::path plain_module(const fs::path& module, const fs::path& folder) {
  if (module.extension() == ".ko") return module;
  std::unique_ptr<archive, decltype(&archive_read_free)> reader(archive_read_new(),
                                                                archive_read_free);
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_entry* entry = nullptr;
  std::string content;
  bool good = archive_read_open_filename(reader.get(), module.c_str(), 65536) == ARCHIVE_OK &&
              archive_read_next_header(reader.get(), &entry) == ARCHIVE_OK;
  char buffer[65536];
  la_ssize_t got = 0;
  while (good && (got = archive_read_data(reader.get(), buffer, sizeof buffer)) > 0)
    content.append(buffer, static_cast<size_t>(got));
  if (!good || got < 0) {
    const char* why = archive_error_string(reader.get());
    throw Error("bad_file", fmt::format("cannot decompress {}: {}", module.string(),
                                        why != nullptr ? why : "damaged"));
  }
  fs::create_directories(folder);
  fs::path plain = folder / module.stem();
  write_file(plain, content);
  return plain;
}

void make_config_dir(const fs::path& dir, const std::string& release,
                     const std::vector<fs::path>& packages) {
  if (fs::exists(dir) && !fs::is_empty(dir))
    throw Error("bad_config", fmt::format("{} exists and is not empty", dir.string()),
                "remove it, or name another folder");
  fs::path target = fs::absolute(dir).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  fs::create_directories(target.parent_path());
  // Filled under another name, so that dir is there only when it is complete.
  TempDir temporary(target.parent_path());
  if (packages.empty())
    fill_from_installed(temporary.path(), release);
  else
    fill_from_packages(temporary.path(), packages);
  read_config_dir(temporary.path());
  fs::permissions(temporary.path(), fs::perms(0755));
  fs::remove(target);
  fs::rename(temporary.path(), target);
}

}  // namespace ksplice
