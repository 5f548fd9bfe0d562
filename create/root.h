// Root directories: Debian trees with the compiler of a kernel that is not the machine's.
//
// A kernel is built with the compiler of its own release, so kbuild and every program that it asks
// run in a tree of that release: bubblewrap (bwrap) gives them the tree as /, a /tmp of their own,
// no network, and of the machine only what is named here, at its own path. Paths in what they
// print, and in what they write, are therefore the machine's. It works without root. The kernel's
// image and packages are read from outside.
//
// An empty path as a root directory means the machine itself.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "create/config_dir.h"
#include "create/progress.h"

namespace ksplice {

// What of the machine a command in a root directory sees; absolute, without links.
struct Outlook {
  std::vector<std::filesystem::path> writable, readable;
};

// argv as it is run in root; its own words if root is empty.
std::vector<std::string> in_root(const std::filesystem::path& root, const Outlook& outlook,
                                 const std::vector<std::string>& argv);

// folder, resolved; empty if it is the machine's own. Throws Error("bad_root") if it is no tree of
// a system, is for another processor, or nothing can be run in it.
std::filesystem::path usable_root(const std::filesystem::path& folder);

// The release of Debian whose compiler a configuration names, as "13"; empty if that is not known.
std::string debian_of_compiler(const std::string& config_text);

// The lines of sources.list for the archive of a release: itself, its updates, and security. Throws
// Error("usage") for a release that is not known.
std::vector<std::string> archive_lines(const std::string& release);

// Where the kernel's compiler cannot be had where it is built now: the command that makes a root
// directory for it. Empty if another release would not help.
std::string root_hint(const KernelConfig& kernel);

// The root directory for release, made from Debian's archive if it is not in cache yet. It is there
// whole or not at all. Throws Error("usage") for a release that is not known, Error("root_failed")
// with the words of what went wrong.
std::filesystem::path make_root(const std::filesystem::path& cache, const std::string& release,
                                Progress& progress);

// Names root in a configuration directory: the link "root". Throws Error("bad_config") if there is
// a folder of that name.
void name_root(const std::filesystem::path& config_dir, const std::filesystem::path& root);

}  // namespace ksplice
