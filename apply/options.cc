#include "apply/options.h"

#include <fmt/core.h>
#include <signal.h>

#include "objdiff/base/error.h"
#include "objdiff/base/tool.h"

namespace ksplice {

void add_common_options(CLI::App& app, CommonOptions& options) {
  app.add_flag("--json", options.json, "print the result, or the error, as JSON");
  app.add_flag("--raw-errors", options.raw_errors,
               "on failure print the bare abort code first, then conflicts");
  app.add_flag("-q,--quiet", options.quiet, "print less");
  app.add_flag("-v,--verbose", options.verbose, "say what is done");
  app.set_version_flag("--version", std::string("ksplice ") + KSPLICE_VERSION);
}

int run_app(CLI::App& app, int argc, char** argv, const CommonOptions& options,
            const std::function<int()>& body) {
  // A reader of our output that goes away must not end us half way.
  ::signal(SIGPIPE, SIG_IGN);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ExitDone : ExitUsage;
  }
  return run_tool(app.get_name(), body, &options.json, &options.raw_errors);
}

std::function<void(const std::string&)> make_report(const CommonOptions& options) {
  if (!options.verbose) return [](const std::string&) {};
  return [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
}

}  // namespace ksplice
