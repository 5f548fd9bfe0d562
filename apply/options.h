// What the three tools have in common on the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace ksplice {

struct CommonOptions {
  bool json = false;
  bool raw_errors = false;
  bool quiet = false;
  bool verbose = false;
};

// Adds --json, --raw-errors, -q, -v and --version.
void add_common_options(CLI::App& app, CommonOptions& options);

// Parses and runs body inside run_tool; returns the exit code. Help and version exit 0.
int run_app(CLI::App& app, int argc, char** argv, const CommonOptions& options,
            const std::function<int()>& body);

// Prints a line to stderr if verbose.
std::function<void(const std::string&)> make_report(const CommonOptions& options);

}  // namespace ksplice
