// ksplice-boot: brings back at boot what was applied before it, and keeps the quarantine.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apply/abort_codes.h"
#include "apply/boot.h"
#include "apply/options.h"
#include "apply/probation.h"
#include "apply/tool_lock.h"
#include "objdiff/base/error.h"
#include "objdiff/base/process.h"

namespace ksplice {
namespace {

struct Options : CommonOptions {
  std::vector<std::string> lift;
  std::string watch;  // an id
  bool healthy = false, stopping = false;
};

using Json = nlohmann::ordered_json;

constexpr const char* BootService = "ksplice-boot.service";
constexpr const char* HealthyTimer = "ksplice-healthy.timer";

void print(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

Json to_json(const BootReport& report) {
  Json json = {{"switched_off", report.off}, {"new_in_quarantine", Json::array()}};
  for (const Quarantined& each : report.fresh)
    json["new_in_quarantine"].push_back({{"id", each.id}, {"reason", each.reason}});
  json["updates"] = Json::array();
  for (const BootResult& result : report.results) json["updates"].push_back(to_json(result));
  return json;
}

CommandResult systemctl(std::vector<std::string> words) {
  words.insert(words.begin(), {"timeout", "10", "systemctl"});
  return run_command(words);
}

// By hand, long after the boot, the time of the timer is over, and nobody would remove the new
// marks; and from the installation to the next boot no unit is there that is told of a shutdown, so
// that an orderly one would look like a crash. In the boot itself both are not active yet, and
// this does nothing.
void wake_units(const Host& host) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(host.path("/run/systemd/system"), ignored)) return;
  try {
    systemctl({"--no-block", "try-restart", HealthyTimer});
    const std::string state = systemctl({"is-active", BootService}).output;
    if ((state.starts_with("inactive") || state.starts_with("failed")) &&
        systemctl({"--quiet", "is-enabled", BootService}).status == 0)
      systemctl({"--no-block", "start", BootService, HealthyTimer});
  } catch (const Error&) {
    // Then somebody has to say --healthy.
  }
}

int boot(const Options& options) {
  Host host;
  LoadOptions load;
  load.report = make_report(options);
  BootReport report;
  try {
    report = bring_back(host, load);
  } catch (const Error& error) {
    if (error.code != "not_permitted")
      tell_console(host, fmt::format("no update is brought back: {}", error.what()));
    throw;
  }
  for (const Quarantined& each : report.fresh)
    tell_console(host, fmt::format("update {} is now in quarantine: {}", each.id, each.reason));
  bool has_failed = false, is_refused = false;
  for (const BootResult& result : report.results) {
    if (!result.is_fine()) tell_console(host, "update " + to_text(result));
    has_failed = has_failed || result.result == "failed";
    is_refused = is_refused || !result.is_fine();
  }
  const auto is_new = [](const BootResult& result) { return result.result == "applied"; };
  if (std::any_of(report.results.begin(), report.results.end(), is_new)) wake_units(host);
  if (options.json) {
    print(to_json(report));
  } else if (!options.quiet) {
    if (!report.off.empty()) fmt::print("nothing is brought back: {}\n", report.off);
    for (const BootResult& result : report.results) fmt::print("{}\n", to_text(result));
  }
  return has_failed ? ExitFailed : is_refused ? ExitRefused : ExitDone;
}

int lift(const Options& options) {
  Host host;
  for (const std::string& id : options.lift) {
    lift_quarantine(host, id);
    if (options.quiet || options.json) continue;
    fmt::print("Update {} is out of quarantine; {}.\n", id,
               is_wanted(host, id) ? "the next boot, or ksplice-boot, brings it back"
                                   : "it can be applied again");
  }
  if (options.json) print({{"lifted", options.lift}});
  return ExitDone;
}

int watch(const Options& options) {
  switch (watch_probation(Host(), options.watch, make_report(options))) {
    case ProbationEnd::Undone:
      return ExitRefused;
    case ProbationEnd::Stuck:
      return ExitFailed;
    case ProbationEnd::Passed:
    case ProbationEnd::Over:
      break;
  }
  return ExitDone;
}

int run(const Options& options) {
  if (!options.watch.empty()) return watch(options);
  if (!options.lift.empty()) return lift(options);
  if (!options.healthy && !options.stopping) return boot(options);
  if (::geteuid() != 0) throw not_permitted();
  Host host;
  ToolLock lock(host);
  options.healthy ? end_watch(host) : note_stop(host);
  return ExitDone;
}

}  // namespace
}  // namespace ksplice

int main(int argc, char** argv) {
  ksplice::Options options;
  CLI::App app("Brings back at boot the updates that were applied before it.", "ksplice-boot");
  ksplice::add_common_options(app, options);
  CLI::Option* lift = app.add_option("--lift", options.lift,
                                     "take this update out of quarantine; may be given again")
                          ->type_name("ID")
                          ->allow_extra_args(false);
  CLI::Option* healthy = app.add_flag(
      "--healthy", options.healthy,
      "say that the host has been healthy for long enough since updates were brought back");
  CLI::Option* stopping =
      app.add_flag("--stopping", options.stopping, "say that the host is being shut down in order");
  CLI::Option* watch =
      app.add_option("--watch", options.watch,
                     "watch this update, which is on probation, until that is over")
          ->type_name("ID");
  lift->excludes(healthy)->excludes(stopping)->excludes(watch);
  healthy->excludes(stopping)->excludes(watch);
  stopping->excludes(watch);
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 usage, 3 an update was not brought back, for a reason.");
  return ksplice::run_app(app, argc, argv, options, [&] { return ksplice::run(options); });
}
