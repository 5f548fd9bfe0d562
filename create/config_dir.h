// The configuration directory: what the user has of the kernel that runs.
//
//   .config          the kernel's configuration
//   System.map       its symbols; Debian's stub is recognised
//   build            its headers (or a build tree): Module.symvers, include/generated/utsrelease.h
//   flags            optional: further words for make, e.g. LLVM=1
//   vmlinuz, vmlinux one of them at least: the code that runs
//   modules          optional: folder with the modules' .ko files; otherwise /lib/modules/RELEASE
//   source           optional, with several --config: that kernel's source
//   root             optional: Debian tree with its compiler (root.h)
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace ksplice {

struct KernelConfig {
  std::string name;        // of the directory, or the release: for messages
  std::string advice;      // what to do if something is missing
  bool installed = false;  // its files are where packages put them, not in a directory
  std::filesystem::path config, system_map, build, image, modules, source, root;
  std::filesystem::path module_source;  // of an out-of-tree module: may hold its .ko
  std::string config_text;
  std::vector<std::string> flags;  // without KCFLAGS
  std::string kcflags;
  std::string release;  // "6.1.0-50-cloud-amd64"
};

enum class Root { Used, Ignored };

// Reads DIR; DIR/root only if it is used. Throws Error("bad_config") naming what is missing, and
// how to make it, and what usable_root does.
KernelConfig read_config_dir(const std::filesystem::path& dir, Root root = Root::Used);

// The running host's own kernel, or another installed one.
KernelConfig read_installed_kernel(const std::string& release);
std::string running_release();

// Value of CONFIG_name without quotes; empty if not set.
std::string config_value(const std::string& config_text, const std::string& name);

// Module name (with underscores) to .ko, .ko.xz, .ko.gz or .ko.zst. What is in updates and extra of
// the modules folder goes before the rest, as it does for modprobe; the build tree comes last.
std::map<std::string, std::filesystem::path> find_modules(const KernelConfig& kernel);

// A module's file as a plain .ko: itself, or decompressed into folder.
std::filesystem::path plain_module(const std::filesystem::path& module,
                                   const std::filesystem::path& folder);

// Makes the configuration directory dir for an installed kernel (default: the running one), or
// from Debian package files, whose content it unpacks below dir. dir must not exist or be empty.
void make_config_dir(const std::filesystem::path& dir, const std::string& release,
                     const std::vector<std::filesystem::path>& packages);

}  // namespace ksplice
