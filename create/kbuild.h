// Runs the kernel's own build, so that flags are the kernel's own.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "create/config_dir.h"
#include "create/overlay.h"
#include "create/root.h"
#include "create/toolchain.h"
#include "objdiff/base/process.h"
#include "objdiff/diff/section_diff.h"

namespace ksplice {

struct Kbuild {
  std::filesystem::path tree, obj;
  std::filesystem::path root;      // where make and the compiler run; empty: the machine (root.h)
  Outlook outlook;                 // what they see of the machine there
  std::vector<std::string> words;  // variables for make
  unsigned jobs = 1;
  std::function<void(std::string_view)> watch;  // sees make's output, as CommandOptions::watch
  std::filesystem::path symvers;  // of external modules that an update may refer to; may be empty
};

Kbuild make_kbuild(const Overlay& overlay, const KernelConfig& kernel, const Toolchain& toolchain,
                   unsigned jobs);

// The overlay's key: what may not be mixed in one tree.
std::string tree_key(const KernelConfig& kernel, const Toolchain& toolchain);

// What objects depend on that are compiled in the prepared overlay, beside their sources: also what
// the tools made of the configuration.
std::string build_key(const Overlay& overlay, const KernelConfig& kernel,
                      const Toolchain& toolchain);

// Makes kbuild's output folder ready for single objects and modules, or takes it from the template,
// unless that lacks an option that the kernel has: the tool for it may have come. Returns true if
// it had to be made. Throws Error("prepare_failed") with make's words.
bool prepare(Overlay& overlay, const Kbuild& kbuild, const KernelConfig& kernel,
             const Toolchain& toolchain);

// A compiled unit as kbuild's .cmd file describes it.
struct BuiltUnit {
  std::string name;    // "net/ipv4/tcp_ipv4.o"
  std::string target;  // "vmlinux" or the module's name
  std::filesystem::path object;
  std::vector<std::string> sources;    // dependencies below the source, relative to it, sorted
  std::vector<std::string> generated;  // dependencies below obj, relative to it, sorted
  std::vector<std::string> outside;    // all other ones, absolute
  ExportChecksums checksums;           // of its exports, where CONFIG_MODVERSIONS is set
  std::string command;                 // that compiled it, in obj
};

struct BuildResult {
  std::vector<BuiltUnit> built;      // in the order of units
  std::vector<std::string> no_rule;  // not part of this configuration
  std::vector<std::string> failed;   // the compiler failed
  std::string output;                // make's, without its chatter
};

// Compiles units ("a/b.o"), in one make; nothing left over in obj is trusted.
BuildResult build_units(const Kbuild& kbuild, const std::vector<std::string>& units);

// Reads .cmd text of unit. Throws Error("failed") if it does not look like one.
BuiltUnit parse_cmd_file(const std::string& text, const std::string& unit);

// Fills the three lists of built with files, as make names them in obj.
void set_dependencies(BuiltUnit& built, const std::vector<std::string>& files);

struct MakeResult {
  int status = 0;
  std::string output;
};

// The tables of other modules' exports that words for make name.
std::vector<std::filesystem::path> symbol_tables(const std::vector<std::string>& words);

// Runs a program of a build as kbuild's own: what it sees of the environment, of the disk (in_root)
// and of temporary files.
CommandResult run_for_build(const Kbuild& kbuild, const std::vector<std::string>& argv);

// make with kbuild's words and goals.
MakeResult run_make(const Kbuild& kbuild, const std::vector<std::string>& goals);

// The lines of make's output that a person needs: no "CC x.o", no "Entering directory".
std::string without_chatter(const std::string& output);

}  // namespace ksplice
