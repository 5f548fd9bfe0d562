// ksplice-undo: takes an update back out of the running kernel.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "apply/load.h"
#include "apply/options.h"
#include "objdiff/base/error.h"

namespace ksplice {
namespace {

struct Options : CommonOptions {
  std::string id;
  double timeout = 0;
  LoadOptions load;
};

const char* word(UndoResult result) {
  switch (result) {
    case UndoResult::Undone:
      return "undone";
    case UndoResult::Kept:
      return "kept";
    case UndoResult::CleanedUp:
      return "cleaned_up";
    case UndoResult::CopyRemoved:
      return "copy_removed";
  }
  return "";
}

void print_text(const std::string& id, const UndoOutcome& outcome) {
  if (outcome.result == UndoResult::CleanedUp) {
    fmt::print("Update {} was loaded but not applied; it is cleaned up.\n", id);
  } else if (outcome.result == UndoResult::CopyRemoved) {
    fmt::print("Update {} was not in the kernel; its stored copy is removed.\n", id);
  } else if (outcome.result == UndoResult::Kept) {
    fmt::print(
        "The functions of update {} are the original ones again. Its code and data stay in memory "
        "until "
        "the next boot, as they may be in use:\n",
        id);
    for (const std::string& line : outcome.kept) fmt::print("  {}\n", line);
    fmt::print("Done!\n");
  } else {
    fmt::print("Done!\n");
  }
}

int undo(Options& options) {
  if (!is_valid_id(options.id))
    throw Error("unknown_update", fmt::format("\"{}\" is not an update id", options.id),
                "ksplice-view lists the updates that are there");
  if (options.timeout > 0) options.load.timeout_ms = static_cast<unsigned>(options.timeout * 1000);
  options.load.report = make_report(options);
  const UndoOutcome outcome = undo_update(Host(), options.id, options.load);
  if (options.json) {
    nlohmann::ordered_json json = {{"id", options.id}, {"result", word(outcome.result)}};
    if (outcome.result == UndoResult::Kept) json["kept"] = outcome.kept;
    constexpr auto Replace = nlohmann::ordered_json::error_handler_t::replace;
    fmt::print("{}\n", json.dump(2, ' ', false, Replace));
  } else if (!options.quiet) {
    print_text(options.id, outcome);
  }
  return ExitDone;
}

}  // namespace
}  // namespace ksplice

int main(int argc, char** argv) {
  ksplice::Options options;
  CLI::App app("Takes an update back out of the running kernel.", "ksplice-undo");
  ksplice::add_common_options(app, options);
  app.add_option("ID", options.id, "as ksplice-view lists it")->required();
  app.add_option("--attempts", options.load.attempts, "how often to look for a quiet moment")
      ->check(CLI::Range(1, 1000));
  app.add_option("--timeout", options.timeout, "seconds after which to give up waiting")
      ->check(CLI::Range(0.001, 3600.0));
  app.footer("Exit codes: 0 done, 1 failed, 2 usage, 3 refused.");
  return ksplice::run_app(app, argc, argv, options, [&] { return ksplice::undo(options); });
}
