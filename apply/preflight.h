// ksplice-apply --check: all that can be said of an update on this host before it is applied.
//
// The single checks are those that apply makes, in its order, but each is made whatever the others
// say, so that all reasons are seen at once; where none is against it, the update is loaded and
// verified up to the switch, and taken away again. What does not keep apply from working, and may
// spoil the result, is a warning. The exit status is that of the first check that fails, which is
// where apply would end.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apply/host.h"
#include "create/package/package.h"
#include "objdiff/base/error.h"

namespace ksplice {

struct CheckResult {
  std::string name;               // permission, signature, kernel, targets, core, space, ...
  std::string verdict;            // ok, warning, failed, refused, skipped
  std::string code;               // of failed and refused
  std::string message;            // one line
  std::string hint;               // of failed
  std::vector<Refusal> refusals;  // of refused
  std::string raw;                // lines that --raw-errors prints after the code
};

// What a check says where nothing is wrong; it throws Error or Refused.
struct Finding {
  std::string message;
  bool is_warning = false;
};

CheckResult run_check(const std::string& name, const std::function<Finding()>& check);

Finding check_space(const Host& host, size_t tarball_size);
Finding check_memory(const Host& host, const Package& package, const PackageKernel& kernel);
// Fault injection, kprobes and BPF programs at functions that the update replaces.
Finding check_company(const Host& host, const PackageKernel& kernel);

// last: the whole way up to the switch; made if nothing before it failed.
std::vector<CheckResult> run_preflight(const Host& host, const Package& package,
                                       size_t tarball_size, bool partial,
                                       const std::function<Finding()>& last);

// The exit code that apply would end with.
ExitCode status_of(const std::vector<CheckResult>& checks);

nlohmann::ordered_json to_json(const std::vector<CheckResult>& checks);

// What failed, as run_tool prints it; warnings unless quiet; and with verbose all; to stderr.
void print_checks(const std::vector<CheckResult>& checks, bool raw_errors, bool quiet,
                  bool verbose);

}  // namespace ksplice
