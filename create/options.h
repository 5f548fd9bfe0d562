// The command line of ksplice-create. Meanings are in create/ksplice-create.1.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "create/package/signing.h"

namespace ksplice {

struct Options {
  std::vector<std::string> patches;        // files; "-" is standard input
  std::vector<std::string> patch_options;  // for patch(1), instead of -p1
  std::vector<std::string> leave_out;      // patches of the series
  std::string diffext, git;
  bool series = false;
  std::filesystem::path module_source;         // folder of an out-of-tree module
  std::vector<std::filesystem::path> configs;  // empty: the running host's kernel
  std::filesystem::path source, output = ".", cache;
  std::filesystem::path to_source;  // a later source, for a release to release
  std::string to_version;           // of Debian: the later one
  std::filesystem::path changelog;  // of the later one
  std::vector<std::string> within;  // files and folders of which parts are tried; empty: all
  size_t most_units = 0;            // that a part may touch
  bool split = false;               // one update per subsystem
  std::filesystem::path report;     // page about the tarball that source is then
  std::filesystem::path init_config;
  std::filesystem::path root;  // where the compilers are, for every kernel; empty: as DIR/root says
  std::string make_root;       // release of a root directory to make; with makes_root only
  std::string kernel;          // release, with init_config
  std::vector<std::filesystem::path> from;   // package files, with init_config
  std::vector<std::string> only_targets;     // "%" stands for anything
  std::vector<std::string> allow_busy;       // functions; consent to always_busy
  std::vector<std::string> change_pointers;  // variables; consent to data_changed
  std::vector<std::string> change_values;    // the same
  std::vector<std::string> begin_anew;       // the same; instead of others that are gone
  std::vector<std::string> not_live;         // types that nothing but the stacks of calls has
  std::vector<std::string> zeroed;           // types of which unused places hold zeros
  std::vector<std::string> on_top_of;        // tarballs, in order of application; or "none"
  std::string id, description;
  std::vector<std::string> cves;  // beside those that the patches name
  SignRequest sign;
  unsigned jobs = 0;
  int verbose = 0;
  bool quiet = false, json = false, raw_errors = false, keep_work = false, prebuild = false;
  bool no_shortcuts = false;
  bool build_modules = false, partial_fleet = false, skip_toolchain_check = false,
       leave_out_init = false, debug_info = false, keep_going = false, makes_root = false;
};

// Whether the change is what differs between two releases.
inline bool is_release(const Options& options) {
  return !options.to_source.empty() || !options.to_version.empty();
}

// Reads the command line into options, json and raw_errors first, so that they hold for errors of
// the command line too. Throws Error("usage") for anything that cannot be understood or does not
// fit together. help_text is not empty if --help or --version was given: print it and stop.
void read_options(int argc, char** argv, Options& options, std::string& help_text);

// Does name match pattern, in which each '%' stands for any run of characters.
bool matches_pattern(const std::string& name, const std::string& pattern);

// $XDG_CACHE_HOME/ksplice, or ~/.cache/ksplice. Throws Error("usage") if there is no home.
std::filesystem::path default_cache();

}  // namespace ksplice
