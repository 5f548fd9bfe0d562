// The subcommands of ksplice-objdiff. Each function adds its own to the program's options; when the
// user asked for it, parsing sets command->body.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace ksplice {

struct Command {
  bool json = false;          // results and errors as JSON on stdout
  std::function<int()> body;  // returns the exit code
};

void add_diff_command(CLI::App& app, Command* command);      // diff_command.cc
void add_match_command(CLI::App& app, Command* command);     // match_command.cc
void add_dump_command(CLI::App& app, Command* command);      // dump_command.cc
void add_sections_command(CLI::App& app, Command* command);  // sections_command.cc

}  // namespace ksplice
