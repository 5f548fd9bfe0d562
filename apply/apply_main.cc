// ksplice-apply: applies the update of a tarball to the running kernel.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "apply/kernel_updates.h"
#include "apply/late.h"
#include "apply/load.h"
#include "apply/options.h"
#include "apply/preflight.h"
#include "apply/probation.h"
#include "apply/trust.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

struct Options : CommonOptions {
  std::string tarball;
  std::string extract;  // folder for whole modules
  std::string finish;   // target that is being loaded
  double timeout = 0;
  double late_timeout = 0;
  double probation = 0;  // seconds
  std::string health_command;
  LoadOptions load;
};

const char* result_word(ApplyResult result) {
  switch (result) {
    case ApplyResult::Applied:
      return "applied";
    case ApplyResult::Extended:
      return "extended";
    case ApplyResult::AlreadyApplied:
      return "already_applied";
    case ApplyResult::Checked:
      return "checked";
  }
  return "";
}

void print_json(const Options& options, const Package& package, const ApplyOutcome& outcome,
                const std::optional<UpdateState>& state) {
  nlohmann::ordered_json json = {
      {"id", package.id},
      {"description", package.description},
      {"result", result_word(outcome.result)},
      {"targets", outcome.targets},
      {"skipped", outcome.skipped},
      {"loaded_patched", outcome.cold},
      {"copy", outcome.copy},
      {"at_boot", outcome.not_at_boot.empty()},
      {"probation", options.load.probation && outcome.result != ApplyResult::AlreadyApplied},
      {"signer", outcome.signer ? outcome.signer->name : ""},
      {"signature_checked", outcome.signer.has_value()}};
  if (state) {
    json["stage"] = state->stage;
    json["functions"] = state->functions.size();
    json["kernel"] = values_to_json(*state);
  }
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void print_text(const Options& options, const Package& package, const ApplyOutcome& outcome,
                const std::optional<UpdateState>& state) {
  if (options.verbose && state) {
    for (const FunctionState& function : state->functions)
      fmt::print("{}: {} replaced, {} -> {}\n", function.target, function.name, function.old_addr,
                 function.new_addr);
    auto pause = state->values.find("pause_ns");
    if (pause != state->values.end())
      fmt::print("the machine was stopped for {} ns\n", pause->second);
  }
  // Once for an update: a note that comes with every call is not read.
  if (outcome.result == ApplyResult::Applied && !outcome.signer)
    fmt::print(stderr, "note: this host has no {}: it applies what nobody has signed\n", TrustFile);
  if (!outcome.not_at_boot.empty())
    fmt::print(stderr, "note: the next boot will not bring it back: {}\n", outcome.not_at_boot);
  if (options.verbose && outcome.signer) fmt::print("signed by {}\n", outcome.signer->name);
  for (const std::string& name : outcome.skipped) fmt::print("Skipped {}: not loaded\n", name);
  for (const std::string& name : outcome.cold)
    fmt::print("Left out {}: it was loaded with the patch in it\n", name);
  if (outcome.result == ApplyResult::AlreadyApplied)
    fmt::print("Update {} is already applied.\n", package.id);
  else if (outcome.result == ApplyResult::Checked)
    fmt::print("Update {} can be applied.\n", package.id);
  else if (options.load.probation)
    fmt::print("Update {} is on probation for {:g} s.\nDone!\n", package.id, options.probation);
  else
    fmt::print("Done!\n");
}

const char* verdict_word(ExitCode status, const std::optional<ApplyOutcome>& outcome) {
  if (outcome) return result_word(outcome->result);
  return status == ExitRefused ? "refused" : "failed";
}

// --check: everything that can be said, and the exit code that apply would end with.
int preflight(const Options& options, const Host& host, const Package& package,
              const std::vector<uint8_t>& tarball) {
  std::optional<ApplyOutcome> outcome;
  const std::optional<UpdateState> state = read_update(host, package.id);
  const bool is_applied = state && state->stage == "applied";
  const std::vector<CheckResult> checks = run_preflight(
      host, package, tarball.size(), options.load.partial || is_applied, [&]() -> Finding {
        outcome = apply_update(host, package, tarball, options.load);
        return {"the running code is what the update expects, and could be replaced now"};
      });
  const ExitCode status = status_of(checks);
  if (options.json) {
    nlohmann::ordered_json json = {{"id", package.id},
                                   {"description", package.description},
                                   {"result", verdict_word(status, outcome)},
                                   {"checks", to_json(checks)}};
    if (outcome) {
      json["targets"] = outcome->targets;
      json["skipped"] = outcome->skipped;
      json["loaded_patched"] = outcome->cold;
    }
    for (const nlohmann::ordered_json& check : json["checks"])
      if (check.contains("code") && !json.contains("error"))
        json["error"] = {{"code", check["code"]},
                         {"message", check["message"]},
                         {"hint", check["hint"]},
                         {"refusals", check["refusals"]}};
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return status;
  }
  print_checks(checks, options.raw_errors, options.quiet, options.verbose);
  if (outcome && !options.quiet) print_text(options, package, *outcome, std::nullopt);
  return status;
}

int apply(Options& options) {
  if (options.timeout > 0) options.load.timeout_ms = static_cast<unsigned>(options.timeout * 1000);
  if (options.late_timeout > 0)
    options.load.late_timeout_ms = static_cast<unsigned>(options.late_timeout * 1000);
  options.load.report = make_report(options);
  Host host;
  if (!options.finish.empty()) {
    finish_target(host, options.finish, options.load);
    return ExitDone;
  }
  std::vector<uint8_t> tarball;
  Package package = read_package(options.tarball, &tarball);
  options.load.report(fmt::format("read {}: update {}, {} kernels", options.tarball, package.id,
                                  package.kernels.size()));
  if (!options.extract.empty()) {
    std::vector<std::string> paths = extract_modules(host, package, options.extract);
    if (options.json)
      fmt::print("{}\n", nlohmann::ordered_json({{"id", package.id}, {"modules", paths}}).dump(2));
    else if (!options.quiet)
      for (const std::string& path : paths) fmt::print("{}\n", path);
    return ExitDone;
  }
  options.load.allow_busy.insert(options.load.allow_busy.end(), package.allow_busy.begin(),
                                 package.allow_busy.end());
  if (options.load.check) return preflight(options, host, package, tarball);
  if (options.probation > 0) {
    check_permitted(host);
    options.load.probation = begin_probation(host, options.probation, options.health_command);
  }
  ApplyOutcome outcome = apply_update(host, package, tarball, options.load);
  const bool is_old = outcome.result == ApplyResult::AlreadyApplied;
  if (options.load.probation && !is_old) start_watcher(host, package.id);
  if (options.load.probation && is_old)
    fmt::print(stderr, "note: what is applied already is not put on probation\n");
  const std::optional<UpdateState> state = read_update(host, package.id);
  if (options.json)
    print_json(options, package, outcome, state);
  else if (!options.quiet)
    print_text(options, package, outcome, state);
  return ExitDone;
}

}  // namespace
}  // namespace ksplice

int main(int argc, char** argv) {
  ksplice::open_standard_files();
  ksplice::Options options;
  CLI::App app("Applies the update of a tarball to the running kernel.", "ksplice-apply");
  ksplice::add_common_options(app, options);
  CLI::Option* tarball = app.add_option("TARBALL", options.tarball, "made by ksplice-create");
  app.add_flag("--partial", options.load.partial,
               "skip targets that are not loaded; they are patched when they come");
  app.add_option("--late", options.load.late,
                 "targets that come later and cannot be patched in time are loaded all the same "
                 "(patch), or not loaded (refuse); or none is patched (allow)")
      ->check(CLI::IsMember({"patch", "refuse", "allow"}));
  app.add_option("--late-timeout", options.late_timeout,
                 "seconds that a target that comes later waits to be patched")
      ->check(CLI::Range(0.001, 3600.0));
  app.add_option("--finish-target", options.finish,
                 "called by the kernel: patch this module, which is being loaded, with what waits "
                 "for it")
      ->type_name("MODULE")
      ->excludes(tarball);
  CLI::Option* probation =
      app.add_option("--probation", options.probation,
                     "undo the update by itself if the host is not well with it for this time")
          ->transform(CLI::AsNumberWithUnit(
              std::map<std::string, double>{{"s", 1}, {"min", 60}, {"h", 3600}},
              CLI::AsNumberWithUnit::CASE_SENSITIVE, "TIME"))
          ->check(CLI::Range(1.0, 7.0 * 24 * 3600))
          ->type_name("TIME")
          ->excludes("--finish-target");
  app.add_option("--health-command", options.health_command,
                 "during the probation: the host is well if this ends with 0")
      ->type_name("COMMAND")
      ->needs(probation);
  app.add_option("--extract-modules", options.extract,
                 "only write the whole patched modules for this kernel into this folder")
      ->type_name("DIR");
  app.add_flag("--check", options.load.check,
               "say all that can be said before, changing nothing; exit as without it")
      ->excludes(probation);
  app.add_option("--attempts", options.load.attempts, "how often to look for a quiet moment")
      ->check(CLI::Range(1, 1000));
  app.add_option("--timeout", options.timeout, "seconds after which to give up waiting")
      ->check(CLI::Range(0.001, 3600.0));
  app.add_option("--allow-busy", options.load.allow_busy,
                 "function that may be running at the switch; may be given again")
      ->type_name("FUNCTION")
      ->allow_extra_args(false);
  app.add_flag("!--no-settle", options.load.settle, "keep the functions on the ftrace handler");
  app.add_flag("--count-calls", options.load.count_calls,
               "count the calls of the functions, for ksplice-view");
  app.callback([&] {
    if (options.tarball.empty() && options.finish.empty()) throw CLI::RequiredError("TARBALL");
  });
  app.footer("Exit codes: 0 done or already applied, 1 failed, 2 usage, 3 refused.");
  return ksplice::run_app(app, argc, argv, options, [&] { return ksplice::apply(options); });
}
