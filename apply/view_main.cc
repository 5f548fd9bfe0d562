// ksplice-view: shows the updates in the running kernel, and what is in a tarball.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apply/boot_view.h"
#include "apply/cves.h"
#include "apply/kernel_updates.h"
#include "apply/load.h"
#include "apply/options.h"
#include "apply/store.h"
#include "apply/trust.h"
#include "apply/wanted.h"
#include "objdiff/base/error.h"
#include "objdiff/base/process.h"
#include "objdiff/base/utc.h"

namespace ksplice {
namespace {

using Json = nlohmann::ordered_json;

// Who signed it, and what this host thinks of that.
struct SignatureView {
  std::string signer, fingerprint;
  std::string trust;    // trusted, no_trust_file, or the code of a refusal
  std::string message;  // of the refusal
};

SignatureView look_at_signature(const Package& package) {
  SignatureView view;
  if (!package.signature.empty()) view.signer = claimed_signer(package.signature);
  try {
    const std::optional<Trust> trust = read_trust(Host());
    if (!trust) {
      view.trust = "no_trust_file";
      return view;
    }
    const TrustVerdict verdict = judge_trust(*trust, package, Occasion::Apply, now_utc());
    view.trust = verdict.refusal ? verdict.refusal->code : "trusted";
    view.message = verdict.refusal ? verdict.refusal->message : "";
    view.fingerprint = verdict.signer.fingerprint;
    if (!view.fingerprint.empty()) view.signer = verdict.signer.name;
  } catch (const Error& error) {
    view.trust = error.code;
    view.message = error.what();
  }
  return view;
}

struct Options : CommonOptions {
  std::string id, file, report;
  std::string count;  // on, off, or empty
  bool cves = false, openvex = false, prometheus = false;
  std::vector<std::string> asked;  // CVE ids
};

void print(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

// An update in the kernel, with the stored tarball where there is one.
struct View {
  std::optional<UpdateState> state;
  std::optional<Package> package;
  std::string copy;
  std::string copy_error;         // why the stored tarball cannot be read
  std::vector<std::string> late;  // modules that were loaded later
};

View look(const Host& host, const std::string& id) {
  View view;
  view.state = read_update(host, id);
  view.copy = find_copy(host, id);
  if (view.copy.empty()) return view;
  try {
    view.package = read_package(view.copy);
  } catch (const Error& error) {
    view.copy_error = error.what();
    return view;
  }
  if (view.state && view.state->stage == "applied") view.late = late_targets(host, *view.package);
  return view;
}

std::string patch_text(const Package& package) {
  const std::vector<uint8_t>& patch = package.files.at("patch");
  return std::string(patch.begin(), patch.end());
}

std::string description(const View& view) {
  if (view.state && !view.state->description.empty()) return view.state->description;
  return view.package ? view.package->description : "";
}

std::vector<std::string> stands_on(const PackageTarget& target) {
  std::vector<std::string> ids;
  for (const PackageLower& lower : target.stands_on) ids.push_back(lower.id);
  return ids;
}

Json left_out_patches(const Package& package) {
  Json list = Json::array();
  for (const PackageLeftOut& left : package.left_out_patches)
    list.push_back({{"patch", left.patch}, {"code", left.code}, {"why", left.why}});
  return list;
}

// What the patch that is shown lacks, and what its maker consented to.
void print_notes(const Package& package) {
  if (!package.cves.empty()) fmt::print("fixes {}\n", fmt::join(package.cves, " "));
  for (const std::string& commit : package.upstream_commits)
    fmt::print("upstream commit {}\n", commit);
  for (const PackageLeftOut& left : package.left_out_patches)
    fmt::print("left out of the series: {} ({}{}{})\n", left.patch, left.code,
               left.why.empty() ? "" : ": ", left.why);
  for (const std::string& note : package.notes) fmt::print("note: {}\n", note);
}

Json to_json(const Package& package) {
  Json kernels = Json::array();
  for (const PackageKernel& kernel : package.kernels) {
    Json targets = Json::array();
    for (const PackageTarget& target : kernel.targets) {
      Json functions = Json::array();
      for (const PackageFunction& function : target.functions)
        functions.push_back({{"name", function.name},
                             {"unit", function.unit},
                             {"status", function.status},
                             {"reasons", function.reasons}});
      targets.push_back({{"name", target.name},
                         {"module", target.module},
                         {"build_id", target.build_id},
                         {"functions", functions},
                         {"added", target.added},
                         {"stands_on", stands_on(target)},
                         {"given_away", target.given_away},
                         {"kept", target.kept}});
      if (!target.cold_file.empty())
        targets.back()["whole_module"] = {{"build_id", target.cold_build_id}};
    }
    kernels.push_back({{"release", kernel.release},
                       {"build_id", kernel.build_id},
                       {"arch", kernel.arch},
                       {"targets", targets}});
  }
  return {{"id", package.id},
          {"description", package.description},
          {"created", package.created},
          {"tool", package.tool},
          {"cves", package.cves},
          {"upstream_commits", package.upstream_commits},
          {"generation", package.generation},
          {"expires", package.expires == 0 ? "" : utc_text(package.expires)},
          {"kernels", kernels},
          {"patch", patch_text(package)},
          {"notes", package.notes},
          {"allow_busy", package.allow_busy},
          {"left_out_patches", left_out_patches(package)}};
}

Json to_json(const Host& host, const std::string& id, const View& view) {
  Json json = {{"id", id},
               {"description", description(view)},
               {"present", view.state.has_value()},
               {"applied", view.state && view.state->stage == "applied"}};
  if (view.state) {
    json["stage"] = view.state->stage;
    json["kept"] = view.state->is_kept();
    json["abort_cause"] = view.state->abort_cause;
    json["message"] = view.state->message;
    json["conflicts"] = view.state->conflicts;
    Json targets = Json::array();
    for (const TargetState& target : view.state->targets)
      targets.push_back(
          {{"name", target.name}, {"module", target.module}, {"state", target.state}});
    json["targets"] = targets;
    Json functions = Json::array();
    for (const FunctionState& function : view.state->functions)
      functions.push_back({{"target", function.target},
                           {"name", function.name},
                           {"old", function.old_addr},
                           {"new", function.new_addr},
                           {"calls", function.calls},
                           {"redirect", function.redirect},
                           {"redirect_reason", function.why}});
    json["functions"] = functions;
    json["kernel"] = values_to_json(*view.state);
  }
  json["late_targets"] = view.late;
  json["at_boot"] = is_wanted(host, id);
  const std::optional<Mark> probation = look_for_probation(host, id);
  json["probation"] = probation ? to_json(host, *probation) : Json();
  json["copy"] = view.copy;
  if (!view.copy_error.empty()) json["copy_error"] = view.copy_error;
  json["package"] = view.package ? to_json(*view.package) : Json();
  return json;
}

void print_patch(const Package& package) {
  std::string text = patch_text(package);
  fmt::print("\n{}{}", text, text.empty() || text.back() == '\n' ? "" : "\n");
}

void warn_late(const std::string& id, const View& view) {
  for (const std::string& name : view.late)
    fmt::print("  module {} was loaded later and is not patched; run ksplice-apply {} again\n",
               name, view.copy.empty() ? id : view.copy);
}

int list(const Options& options) {
  Host host;
  Json all = Json::array();
  for (const std::string& id : list_updates(host)) {
    if (options.quiet && !options.json) {
      fmt::print("{}\n", id);
      continue;
    }
    View view = look(host, id);
    if (!view.state) continue;  // gone since the list was made
    if (options.json) {
      all.push_back(to_json(host, id, view));
      continue;
    }
    std::string stage = view.state->stage == "applied" ? ""
                        : view.state->is_kept()        ? " (" + view.state->stage + ", kept)"
                                                       : " (" + view.state->stage + ")";
    fmt::print("{}: {}{}\n", id, description(view), stage);
    if (const std::optional<Mark> probation = look_for_probation(host, id))
      fmt::print("  {}\n", probation_text(host, *probation));
    warn_late(id, view);
  }
  if (options.quiet && !options.json) return ExitDone;
  const Missing missing = look_for_missing(host);
  if (options.json)
    print({{"updates", all}, {"boot", to_json(missing)}});
  else
    print_missing(missing);
  return ExitDone;
}

void print_state(const UpdateState& state) {
  if (!state.abort_cause.empty() && state.abort_cause != "ok")
    fmt::print("abort cause: {}{}{}\n", state.abort_cause, state.message.empty() ? "" : ": ",
               state.message);
  if (!state.conflicts.empty()) fmt::print("conflicts:\n{}\n", state.conflicts);
  for (const TargetState& target : state.targets)
    fmt::print("target {}: module {}, {}\n", target.name, target.module, target.state);
  for (const FunctionState& function : state.functions)
    fmt::print("function {} of {}: {} -> {}, calls {}, redirect: {}{}\n", function.name,
               function.target, function.old_addr, function.new_addr, function.calls,
               function.redirect, function.why.empty() ? "" : " (" + function.why + ")");
  for (const auto& [name, value] : state.values)
    if (!value.empty() && name != "old_code" && name != "kept") fmt::print("{}: {}\n", name, value);
  for (const std::string& line : state.kept_lines())
    fmt::print("{}: {}\n", state.is_kept() ? "stays in memory" : "would stay after an undo", line);
  auto old_code = state.values.find("old_code");
  if (old_code == state.values.end()) return;
  std::istringstream tasks(old_code->second);
  for (std::string task; std::getline(tasks, task);)
    fmt::print("still in the old code, until it returns: {}\n", task);
}

int show_update(const Options& options) {
  Host host;
  if (!is_valid_id(options.id))
    throw Error("unknown_update", fmt::format("\"{}\" is not an update id", options.id),
                "ksplice-view lists the updates that are there");
  if (!options.count.empty()) count_calls(host, options.id, options.count == "on");
  View view = look(host, options.id);
  if (options.json) {
    print(to_json(host, options.id, view));
    return ExitDone;
  }
  if (options.quiet) {
    if (view.state) fmt::print("{}\n", options.id);
    return ExitDone;
  }
  fmt::print("Update {}: {}\n", options.id, description(view));
  if (!view.state)
    fmt::print("It is not present in the kernel.\n");
  else if (view.state->stage == "applied")
    fmt::print("It is present and applied.\n");
  else if (view.state->is_kept())
    fmt::print("It is undone, and its code and data stay in memory, as they may be in use.\n");
  else
    fmt::print("It is present and not applied (stage {}).\n", view.state->stage);
  warn_late(options.id, view);
  const std::optional<Mark> probation = look_for_probation(host, options.id);
  if (probation) fmt::print("It is {}.\n", probation_text(host, *probation));
  if (is_wanted(host, options.id) && !probation)
    fmt::print("Each boot of its kernel brings it back.\n");
  for (const BootResult& missing : look_for_missing(host).updates)
    if (missing.id == options.id) fmt::print("{}\n", to_text(missing));
  if (view.state) print_state(*view.state);
  if (!view.copy_error.empty())
    fmt::print("The stored tarball cannot be read: {}\n", view.copy_error);
  if (view.package) {
    print_notes(*view.package);
    print_patch(*view.package);
  }
  return ExitDone;
}

int show_cves(const Options& options) {
  for (const std::string& cve : options.asked)
    if (!is_cve(cve))
      throw Error("usage", fmt::format("\"{}\" is no CVE id", cve), "as --cve=CVE-2024-26642");
  Host host;
  const std::vector<CveState> states = cve_states(host, options.asked);
  if (options.openvex) {
    print(to_openvex(host, states, now_utc()));
  } else if (options.prometheus) {
    fmt::print("{}", to_prometheus(host, states));
  } else if (options.json) {
    print(
        {{"kernel", host.release()}, {"version", kernel_version(host)}, {"cves", to_json(states)}});
  } else {
    for (const CveState& state : states)
      fmt::print("{}: {}{}{}{}\n", state.cve, state.state,
                 state.updates.empty() ? "" : " by update ", fmt::join(state.updates, ", "),
                 state.why.empty() ? "" : " (" + state.why + ")");
  }
  return ExitDone;
}

void print_signature(const Package& package) {
  const SignatureView view = look_at_signature(package);
  if (view.signer.empty())
    fmt::print("not signed");
  else
    fmt::print("signed by {}, generation {}, expires {}", view.signer, package.generation,
               package.expires == 0 ? "never" : utc_text(package.expires));
  if (view.trust == "trusted")
    fmt::print(": trusted here\n");
  else if (view.trust == "no_trust_file")
    fmt::print("{}\n", view.signer.empty() ? "" : ": not checked, as this host has no trust file");
  else
    fmt::print(": refused here ({}: {})\n", view.trust, view.message);
}

int show_file(const Options& options) {
  Package package = read_package(options.file);
  if (options.json) {
    Json json = to_json(package);
    const SignatureView view = look_at_signature(package);
    json["signature"] = {{"signed", !package.signature.empty()},
                         {"signer", view.signer},
                         {"key", view.fingerprint},
                         {"trust", view.trust},
                         {"message", view.message}};
    print(json);
    return ExitDone;
  }
  if (options.quiet) {
    fmt::print("{}\n", package.id);
    return ExitDone;
  }
  fmt::print("Update {}: {}\ncreated {} by {}\n", package.id, package.description, package.created,
             package.tool);
  print_signature(package);
  print_notes(package);
  for (const PackageKernel& kernel : package.kernels) {
    fmt::print("kernel {}, build id {}\n", kernel.release, kernel.build_id);
    for (const PackageTarget& target : kernel.targets) {
      fmt::print("  target {}{}\n", target.name,
                 target.cold_file.empty() ? "" : ", whole module too");
      for (const std::string& id : stands_on(target)) fmt::print("    on top of update {}\n", id);
      for (const PackageFunction& function : target.functions)
        fmt::print("    {} {} ({})\n", function.status, function.name, function.unit);
      for (const std::string& away : target.given_away)
        fmt::print("    {}: {}\n", target.kept ? "stays after an undo" : "taken back by hooks",
                   away);
    }
  }
  print_patch(package);
  return ExitDone;
}

// The page is made by ksplice-create, which has a disassembler; hosts need none.
std::filesystem::path creator() {
  namespace fs = std::filesystem;
  const fs::path own = fs::read_symlink("/proc/self/exe").parent_path();
  for (const char* place : {"ksplice-create", "../bin/ksplice-create", "../create/ksplice-create"})
    if (fs::is_regular_file(own / place)) return own / place;
  throw Error("failed", "a report is made by ksplice-create, which is not installed here",
              "install the package ksplice-create, or take the tarball to where it is: "
              "ksplice-create --report=FILE.html TARBALL");
}

int write_report(const Options& options) {
  std::string tarball = options.file;
  if (tarball.empty() && is_valid_id(options.id)) tarball = find_copy(Host(), options.id);
  if (tarball.empty())
    throw Error("unknown_update",
                fmt::format("no tarball of an update \"{}\" is kept here", options.id),
                "give the tarball itself: --file=TARBALL");
  read_package(tarball);  // says what is wrong with it
  const CommandResult run =
      run_command({creator().string(), "--report=" + options.report, "--", tarball});
  if (run.status != 0)
    throw Error("failed", fmt::format("the report could not be written:\n{}", run.output));
  if (options.json)
    print({{"report", options.report}});
  else if (!options.quiet)
    fmt::print("Report written to {}\n", options.report);
  return ExitDone;
}

}  // namespace
}  // namespace ksplice

int main(int argc, char** argv) {
  ksplice::Options options;
  CLI::App app("Shows the updates in the running kernel, or what is in a tarball.", "ksplice-view");
  ksplice::add_common_options(app, options);
  CLI::Option* id = app.add_option("--id", options.id, "show one update and its patch");
  CLI::Option* file = app.add_option("--file", options.file, "show a tarball");
  id->excludes(file);
  CLI::Option* cves =
      app.add_flag("--cves", options.cves, "show which CVEs are fixed, and by what");
  CLI::Option* vex = app.add_flag("--openvex", options.openvex, "the same, as OpenVEX");
  CLI::Option* metrics =
      app.add_flag("--prometheus", options.prometheus, "the same, as metrics for node_exporter");
  app.add_option("--cve", options.asked, "one of which the state is to be shown, too")
      ->type_name("ID")
      ->allow_extra_args(false);
  vex->excludes(metrics);
  for (CLI::Option* option : {cves, vex, metrics}) option->excludes(id)->excludes(file);
  app.add_option("--report", options.report,
                 "write a page for who must approve the update (with --file or --id)")
      ->type_name("FILE.html");
  app.add_option("--count-calls", options.count,
                 "from now on, count the calls of the update's functions, or no more")
      ->check(CLI::IsMember({"on", "off"}))
      ->needs(id);
  app.footer("Exit codes: 0 done, 1 failed, 2 usage, 3 refused.");
  return ksplice::run_app(app, argc, argv, options, [&] {
    if (options.cves || options.openvex || options.prometheus || !options.asked.empty())
      return ksplice::show_cves(options);
    if (!options.report.empty()) return ksplice::write_report(options);
    if (!options.file.empty()) return ksplice::show_file(options);
    return options.id.empty() ? ksplice::list(options) : ksplice::show_update(options);
  });
}
