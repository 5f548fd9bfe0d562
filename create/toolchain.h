// The tools that compile for a kernel, held against those that built it. Run-pre matching has the
// last word about what they make; this is to say early, and in words, why it could not agree.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "create/config_dir.h"

namespace ksplice {

struct Toolchain {
  std::string cc;       // command, e.g. "gcc-12" or "ccache gcc-12"
  std::string version;  // first line of its --version
  std::string wanted;   // CONFIG_CC_VERSION_TEXT
  std::string pahole;   // its version, which decides about options; empty if it is not installed
  bool same = false;    // version and wanted name the same compiler
};

// Picks the compiler that the configuration names, else the nearest one that is installed (CC and
// LLVM of the flags win). Throws Error("no_compiler") with the package to install.
Toolchain find_toolchain(const KernelConfig& kernel);

// A tool that is not the kernel's.
struct ToolDifference {
  std::string what;     // "the assembler"
  std::string wanted;   // that built the kernel
  std::string found;    // here
  std::string package;  // to install; may be empty
};

// Compiler, assembler, linker, compiler plugins and pahole, by the configuration, and this by the
// one in the kernel's headers. What it does not name is not compared.
std::vector<ToolDifference> compare_tools(const KernelConfig& kernel, const Toolchain& toolchain);

// Throws Error("wrong_toolchain") for differences, or returns them as notes if skip.
std::vector<std::string> check_tools(const KernelConfig& kernel,
                                     const std::vector<ToolDifference>& differences, bool skip);

// The compiler in the image's banner, where it is another than the configuration's; else empty.
std::string other_compiler_of_banner(const std::string& banner, const std::string& config_text);

// The version that the image's banner gives, where the Makefile of the source in tree gives
// another; else empty. A distribution's revision of a version shows in neither.
std::string other_version(const std::string& banner, const std::filesystem::path& tree);

// Options that the kernel has and kbuild switches off here, because a tool cannot serve them.
std::vector<std::string> lost_options(const std::string& wanted, const std::string& made);

// Those of the names that no Kconfig file of the source in tree defines, sorted.
std::vector<std::string> options_unknown_to(const std::filesystem::path& tree,
                                            std::vector<std::string> names);

// The Debian package of the compiler with this version text: "gcc-12", "clang-14".
std::string compiler_package(const std::string& version);

// Value of a word NAME=value among the words for make, or empty.
std::string flag_value(const KernelConfig& kernel, const std::string& name);

}  // namespace ksplice
