// ksplice-objdiff: looks at objects the way ksplice-create does, one stage at a time.
#include <CLI/CLI.hpp>

#include "objdiff/base/tool.h"
#include "objdiff/commands.h"

int main(int argc, char** argv) {
  CLI::App app("compare kernel objects with each other and with a running kernel's image",
               "ksplice-objdiff");
  app.require_subcommand(1);
  app.set_version_flag("--version", "ksplice-objdiff " KSPLICE_VERSION);
  ksplice::Command command;
  ksplice::add_diff_command(app, &command);
  ksplice::add_match_command(app, &command);
  ksplice::add_dump_command(app, &command);
  ksplice::add_sections_command(app, &command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ksplice::ExitDone : ksplice::ExitUsage;
  }
  return ksplice::run_tool("ksplice-objdiff", command.body, &command.json);
}
