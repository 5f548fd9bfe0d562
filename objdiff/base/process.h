// Child processes, and the flag that Ctrl-C sets.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ksplice {

struct CommandResult {
  int status = 0;      // exit status, or 128 + signal
  std::string output;  // stdout and stderr together
};

struct CommandOptions {
  std::filesystem::path directory;         // working folder; empty: ours
  std::map<std::string, std::string> env;  // added to ours; an empty value unsets
  bool plain_env = false;      // of ours only what says where things are, and not what to do
  std::string input;           // given on stdin; otherwise stdin is /dev/null
  bool dies_with_us = false;   // gets SIGTERM if we are killed
  bool own_temporary = false;  // $TMPDIR is a folder of its own, removed when the command ended
  // Called with each new piece of output, and some times a second with none.
  std::function<void(std::string_view)> watch = {};
};

// Runs argv[0] (found in PATH) in a process group of its own and waits. Throws Error("failed") if
// it cannot be started and Error("interrupted") when SIGINT, SIGTERM or SIGHUP came: the group was
// killed then and has ended.
CommandResult run_command(const std::vector<std::string>& argv, const CommandOptions& options = {});

// Installs the handlers that set the flag; run_tool calls it.
void install_signal_flag();
// Throws Error("interrupted") if a signal came. Long loops call it.
void check_interrupted();

}  // namespace ksplice
