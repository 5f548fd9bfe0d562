#include "create/options.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "create/package.h"
#include "objdiff/base/error.h"

namespace ksplice {

namespace {

constexpr const char* Footer =
    "SOURCE is the kernel's source directory, or its tarball. It is never written to.\n"
    "Exit status: 0 done, 1 failed, 2 usage, 3 refused. Details: man ksplice-create.";

unsigned default_jobs() {
  const char* level = std::getenv("CONCURRENCY_LEVEL");
  int wanted = level != nullptr ? std::atoi(level) : 0;
  return wanted > 0 ? static_cast<unsigned>(wanted)
                    : std::max(1u, std::thread::hardware_concurrency());
}

void add_input_options(CLI::App& app, Options& options) {
  app.add_option("--patch", options.patches, "unified diff to turn into an update; - is stdin")
      ->allow_extra_args(false);
  app.add_option("--patch-opt", options.patch_options, "option for patch(1) instead of -p1")
      ->allow_extra_args(false);
  app.add_option("--diffext", options.diffext, "FILE.EXT holds the new contents of each FILE");
  app.add_option("--git", options.git, "the change from HEAD of SOURCE to this commit");
  app.add_flag("--series,!--noseries", options.series, "with --git: keep the single commits' text");
  app.add_flag("--prebuild", options.prebuild, "only prepare the cache for SOURCE and stop");
  app.add_option("--only-targets", options.only_targets, "make updates for these targets only")
      ->allow_extra_args(false);
  app.add_flag("--build-modules", options.build_modules,
               "accepted for compatibility: modules' units are always built");
}

void add_kernel_options(CLI::App& app, Options& options) {
  app.add_option("--config", options.configs, "configuration directory of the kernel to patch")
      ->allow_extra_args(false);
  app.add_flag("--partial-fleet", options.partial_fleet,
               "leave out kernels that refuse, instead of failing");
  app.add_option("--init-config", options.init_config, "make this configuration directory");
  app.add_option("--kernel", options.kernel, "with --init-config: release of an installed kernel");
  app.add_option("--from", options.from, "with --init-config: a Debian package file")
      ->allow_extra_args(false);
  app.add_flag("--skip-toolchain-check", options.skip_toolchain_check,
               "go on though the compiler is not the running kernel's");
}

void add_output_options(CLI::App& app, Options& options) {
  app.add_option("--id", options.id, "id of the update; otherwise 8 random characters");
  app.add_option("--description", options.description, "one line that says what it does");
  app.add_option("--output", options.output, "folder for the tarball (default: this one)");
  app.add_option("--cache", options.cache, "folder for what can be used again");
  app.add_option("-j,--jobs", options.jobs, "compilations at once (default: number of cpus)");
  app.add_flag("-v,--verbose", options.verbose, "say more; twice: everything");
  app.add_flag("-q,--quiet", options.quiet, "print errors only");
  app.add_flag("--json", options.json, "print the result as JSON");
  app.add_flag("--raw-errors", options.raw_errors, "print the bare error code first");
  app.add_flag("--keep-work", options.keep_work, "leave the stages' files beside the tarball");
}

void check_init(const Options& options) {
  if (options.kernel.empty() || options.from.empty()) return;
  throw Error("usage", "--kernel and --from exclude each other");
}

void check(const Options& options) {
  int forms =
      !options.patches.empty() + !options.diffext.empty() + !options.git.empty() + options.prebuild;
  if (forms == 0)
    throw Error("usage", "nothing to do: give --patch, --diffext, --git or --prebuild",
                "see ksplice-create --help");
  if (forms > 1)
    throw Error("usage", "--patch, --diffext, --git and --prebuild exclude each other");
  if (options.source.empty()) throw Error("usage", "SOURCE is missing");
  if (!options.kernel.empty() || !options.from.empty())
    throw Error("usage", "--kernel and --from go with --init-config only");
  if (!options.id.empty() && !is_valid_id(options.id))
    throw Error("usage", fmt::format("\"{}\" cannot be an id", options.id),
                "use 1 to 40 of the characters a-z 0-9 _");
  for (const std::string& pattern : options.only_targets)
    if (pattern.empty()) throw Error("usage", "--only-targets needs a name or a pattern");
}

}  // namespace

std::filesystem::path default_cache() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && xdg[0] == '/') return std::filesystem::path(xdg) / "ksplice";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::filesystem::path(home) / ".cache/ksplice";
  return fmt::format("/tmp/ksplice-cache-{}", ::getuid());
}

bool matches_pattern(const std::string& name, const std::string& pattern) {
  size_t n = 0, p = 0, star = std::string::npos, mark = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '%') {
      star = p++;
      mark = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string::npos) {
      p = star + 1;
      n = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '%') ++p;
  return p == pattern.size();
}

void read_options(int argc, char** argv, Options& options, std::string& help_text) {
  for (int i = 1; i < argc; ++i) {
    options.json = options.json || std::string_view(argv[i]) == "--json";
    options.raw_errors = options.raw_errors || std::string_view(argv[i]) == "--raw-errors";
  }
  CLI::App app("Makes an update for a running kernel from a source patch.", "ksplice-create");
  app.footer(Footer);
  app.set_version_flag("--version", "ksplice-create 1.0.0");
  add_input_options(app, options);
  add_kernel_options(app, options);
  add_output_options(app, options);
  app.add_option("SOURCE", options.source, "source of the running kernel");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    help_text = app.help();
    return;
  } catch (const CLI::CallForVersion&) {
    help_text = "ksplice-create 1.0.0\n";
    return;
  } catch (const CLI::ParseError& error) {
    throw Error("usage", error.what(), "see ksplice-create --help");
  }
  if (options.jobs == 0) options.jobs = default_jobs();
  if (options.cache.empty()) options.cache = default_cache();
  options.init_config.empty() ? check(options) : check_init(options);
}

}  // namespace ksplice
