#include "create/options.h"

#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "create/package/package.h"
#include "objdiff/base/error.h"

namespace ksplice {

namespace {

constexpr const char* Footer =
    "SOURCE is the kernel's source directory, or its tarball. It is never written to. A\n"
    "configuration directory may hold or link its own source.\n"
    "Exit status: 0 done, 1 failed, 2 usage, 3 refused. Details: man ksplice-create.";

// A quarter of an hour on two processors.
constexpr size_t DefaultUnits = 150;

unsigned default_jobs() {
  const char* level = std::getenv("CONCURRENCY_LEVEL");
  int wanted = level != nullptr ? std::atoi(level) : 0;
  return wanted > 0 ? static_cast<unsigned>(wanted)
                    : std::max(1u, std::thread::hardware_concurrency());
}

// Options of one group of --help; each value once, so that --patch FILE SOURCE is not two files.
struct Group {
  CLI::App& app;
  const char* name;

  template <typename Value>
  void add(const std::string& names, Value& value, const std::string& type,
           const std::string& text) {
    app.add_option(names, value, text)->type_name(type)->group(name)->allow_extra_args(false);
  }
  template <typename Value>
  void flag(const std::string& names, Value& value, const std::string& text) {
    app.add_flag(names, value, text)->group(name);
  }
};

void add_input_options(CLI::App& app, Options& options) {
  Group group{app, "The change (one of --patch, --diffext, --git)"};
  group.add("--patch", options.patches, "FILE", "unified diff, - is stdin; may be repeated");
  group.add("--patch-opt", options.patch_options, "OPTION", "further option for patch(1), as -p0");
  group.add("--diffext", options.diffext, "EXT", "X.EXT holds the new content of each file X");
  group.add("--git", options.git, "COMMIT", "the change from HEAD of SOURCE to COMMIT");
  group.flag("--series,!--noseries", options.series, "with --git: keep the single commits' text");
  group.add("--leave-out", options.leave_out, "PATCH",
            "without this patch of the series; may be repeated");
  group.flag("--keep-going", options.keep_going,
             "leave out each patch of the series that is refused, and what needs it");
  Group release{app, "Release to release: all that differs, part by part (instead of a patch)"};
  release.add("--to-source", options.to_source, "NEWSOURCE", "the later source, or its tarball");
  release.add("--to-version", options.to_version, "VERSION",
              "Debian's version of it; without --to-source, apt fetches it");
  release.add("--changelog", options.changelog, "FILE",
              "Debian's changelog of it (fetched with --to-version)");
  release.add("--within", options.within, "PATH",
              "only parts of this file or folder; may be repeated");
  release.add("--most-units", options.most_units, "N",
              "do not try a part that more units may read (otherwise: 150)");
  release.flag("--split", options.split, "one update per subsystem, instead of one of all");
  group.add("--only-targets", options.only_targets, "PATTERN",
            "only for vmlinux or modules that match; % is anything");
  group.flag("--leave-out-init", options.leave_out_init,
             "leave changed start and exit code out: it has run already");
  group.add("--allow-busy", options.allow_busy, "FUNCTION",
            "tasks may be in it at the switch; may be repeated");
  group.add("--change-pointers", options.change_pointers, "VARIABLE",
            "switch the pointers in it that the patch changes; may be repeated");
  group.add("--change-values", options.change_values, "VARIABLE",
            "switch the numbers and texts in it that the patch changes; may be repeated");
  group.add("--begin-anew", options.begin_anew, "VARIABLE",
            "it is new, and begins with its initial value instead of another's; may be repeated");
  group.add("--not-live", options.not_live, "TYPE",
            "no memory that outlives a call has the old layout of it; may be repeated");
  group.add("--zeroed", options.zeroed, "TYPE",
            "live objects hold zeros where the patch adds a member to it; may be repeated");
  group.add("--module-source", options.module_source, "DIR",
            "the change is to the out-of-tree module in DIR");
  group.flag("--build-modules", options.build_modules,
             "also whole patched modules, for hosts that load them later");
  group.flag("--prebuild", options.prebuild, "no change: prepare the cache for SOURCE and stop");
}

void add_kernel_options(CLI::App& app, Options& options) {
  Group group{app, "The kernel"};
  group.add("--config", options.configs, "DIR",
            "its configuration directory (otherwise: the running kernel)");
  group.add("--on-top-of", options.on_top_of, "TARBALL",
            "update that is applied to it, the first one first; or none");
  group.flag("--partial-fleet", options.partial_fleet,
             "with several --config: leave out kernels that refuse");
  group.flag("--skip-toolchain-check", options.skip_toolchain_check,
             "go on though the tools are not the kernel's");
  group.add("--root", options.root, "DIR",
            "Debian tree with its compiler (otherwise: root in DIR of --config, or this machine)");
  Group root{app, "Making a root directory (needs no SOURCE)"};
  root.add("--make-root", options.make_root, "[RELEASE]",
           "of Debian 12 or 13, in the cache; with --config, for it, and named there");
  app.get_option("--make-root")->expected(0, 1);
  Group report{app, "A page about an update (SOURCE is its tarball)"};
  report.add("--report", options.report, "FILE.html",
             "write what must be known to approve it: patch, code before and after, proofs");
  Group init{app, "Making a configuration directory (needs no SOURCE)"};
  init.add("--init-config", options.init_config, "DIR", "make DIR for the running kernel, or");
  init.add("--kernel", options.kernel, "RELEASE", "for this installed kernel, or");
  init.add("--from", options.from, "FILE",
           "from these packages: linux-image...deb (or its parts) and linux-headers...deb");
}

void add_output_options(CLI::App& app, Options& options) {
  Group group{app, "The result"};
  group.add("--id", options.id, "ID", "of the update: a-z 0-9 _ (otherwise: 8 random ones)");
  group.add("--description", options.description, "TEXT", "one line (otherwise: patch's subject)");
  group.add("--cve", options.cves, "ID", "CVE id that the change fixes; may be repeated");
  group.add("--output", options.output, "DIR", "folder for the tarball (otherwise: this one)");
  add_sign_options(app, options.sign, "--sign-", group.name);
  group.flag("--debug-info", options.debug_info,
             "also ksplice-ID-dbg.tar.gz: lines, types and source of the new code, for debuggers");
  group.flag("--keep-work", options.keep_work, "leave the stages' files beside the tarball");
  group.flag("--json", options.json, "print the result as JSON");
  group.flag("--raw-errors", options.raw_errors, "print the bare error code first");
  Group work{app, "Working"};
  work.add("-j,--jobs", options.jobs, "N", "compilations at once (otherwise: number of cpus)");
  work.add("--cache", options.cache, "DIR", "for what can be used again (~/.cache/ksplice)");
  work.flag("--no-shortcuts", options.no_shortcuts, "leave every object and module to kbuild");
  work.flag("-v,--verbose", options.verbose, "say more; twice: all output of make");
  work.flag("-q,--quiet", options.quiet, "print errors only");
}

constexpr const char* SeeHelp = "see ksplice-create --help";

bool has_change(const Options& options) {
  return !options.patches.empty() || !options.diffext.empty() || !options.git.empty() ||
         is_release(options);
}

void check_init(const Options& options) {
  if (has_change(options) || options.prebuild || !options.source.empty())
    throw Error("usage", "--init-config makes a configuration directory and nothing else",
                "give the change and SOURCE to a second ksplice-create, with --config");
  if (!options.kernel.empty() && !options.from.empty())
    throw Error("usage", "--kernel and --from exclude each other", SeeHelp);
}

void check_report(const Options& options) {
  if (has_change(options) || options.prebuild || !options.configs.empty() || options.makes_root ||
      !options.init_config.empty())
    throw Error("usage", "--report is about a tarball that is there, and makes no update",
                "ksplice-create --report=FILE.html TARBALL");
  if (options.source.empty())
    throw Error("usage", "TARBALL is missing: the update that the report is about", SeeHelp);
}

void check_root(const Options& options) {
  if (has_change(options) || options.prebuild || !options.source.empty() || !options.root.empty())
    throw Error("usage", "--make-root makes a root directory and nothing else",
                "give the change and SOURCE to a second ksplice-create, with --config or --root");
}

void check_release(const Options& options) {
  if (!is_release(options)) {
    if (!options.within.empty() || options.most_units != 0 || !options.changelog.empty() ||
        options.split)
      throw Error(
          "usage",
          "--within, --most-units, --split and --changelog go with --to-source or --to-version");
    return;
  }
  if (options.configs.size() > 1)
    throw Error("usage", "--to-source and --to-version are for one kernel at a time",
                "run ksplice-create for each --config");
  if (!options.module_source.empty() || !options.leave_out.empty() || options.keep_going)
    throw Error("usage",
                "--module-source, --leave-out and --keep-going do not go with --to-source or "
                "--to-version: each part is tried, and what is refused is left out");
}

void check(const Options& options) {
  int forms = !options.patches.empty() + !options.diffext.empty() + !options.git.empty() +
              is_release(options) + options.prebuild;
  if (forms == 0)
    throw Error("usage",
                "nothing to do: give --patch, --diffext, --git, --to-source, --to-version or "
                "--prebuild",
                SeeHelp);
  if (forms > 1)
    throw Error("usage",
                "--patch, --diffext, --git, --to-source (or --to-version) and --prebuild exclude "
                "each other");
  check_release(options);
  if (options.source.empty() && (options.configs.empty() || options.patches.empty()))
    throw Error("usage", "SOURCE is missing: the folder of the kernel's source, or its tarball",
                SeeHelp);
  if (options.debug_info && options.prebuild)
    throw Error("usage", "--debug-info is of an update, and --prebuild makes none");
  if (options.series && options.git.empty()) throw Error("usage", "--series goes with --git only");
  for (unsigned char c : options.description)
    if (c < 0x20 || c == 0x7f)
      throw Error("usage", "the description must be one line without control characters");
  if (!options.kernel.empty() || !options.from.empty())
    throw Error("usage", "--kernel and --from go with --init-config only");
  if (!options.id.empty() && !is_valid_id(options.id))
    throw Error("usage", fmt::format("\"{}\" cannot be an id", options.id),
                "use 1 to 40 of the characters a-z 0-9 _");
  if (!options.module_source.empty() && options.prebuild)
    throw Error("usage", "--prebuild prepares the kernel's source only, not --module-source");
  if (options.prebuild && (options.keep_going || !options.leave_out.empty()))
    throw Error("usage", "--leave-out and --keep-going are for a series of patches");
  if (options.keep_going && options.partial_fleet)
    throw Error("usage", "--keep-going and --partial-fleet exclude each other",
                "one leaves out patches for all kernels, the other one kernels");
  for (const std::string& cve : options.cves)
    if (!is_cve(cve))
      throw Error("usage", fmt::format("\"{}\" is no CVE id", cve), "as --cve=CVE-2024-26642");
  const SignRequest& sign = options.sign;
  if (sign.key.empty() &&
      !(sign.certificate.empty() && sign.expires.empty() && sign.generation.empty()))
    throw Error("usage", "--sign-cert, --expires and --generation go with --sign-key only",
                "ksplice-sign signs the tarball later");
  for (const std::string& pattern : options.only_targets)
    if (pattern.empty()) throw Error("usage", "--only-targets needs a name or a pattern");
}

}  // namespace

std::filesystem::path default_cache() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && xdg[0] == '/') return std::filesystem::path(xdg) / "ksplice";
  const char* home = std::getenv("HOME");
  const passwd* user = home == nullptr || home[0] != '/' ? ::getpwuid(::getuid()) : nullptr;
  if (user != nullptr) home = user->pw_dir;
  if (home != nullptr && home[0] == '/') return std::filesystem::path(home) / ".cache/ksplice";
  throw Error("usage", "there is no home folder for the cache", "name a folder with --cache");
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
  app.add_option("SOURCE", options.source, "source of the running kernel")->type_name("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    help_text = app.help();
    return;
  } catch (const CLI::CallForVersion&) {
    help_text = "ksplice-create 1.0.0\n";
    return;
  } catch (const CLI::ParseError& error) {
    throw Error("usage", error.what(), SeeHelp);
  }
  if (options.jobs == 0) options.jobs = default_jobs();
  if (options.cache.empty()) options.cache = default_cache();
  options.makes_root = app.count("--make-root") > 0;
  if (app.count("--most-units") > 0 && options.most_units == 0)
    throw Error("usage", "--most-units needs a number above 0");
  if (!options.report.empty()) return check_report(options);
  if (options.makes_root) return check_root(options);
  options.init_config.empty() ? check(options) : check_init(options);
  if (options.most_units == 0) options.most_units = DefaultUnits;
}

}  // namespace ksplice
