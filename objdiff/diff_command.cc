#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "objdiff/base/error.h"
#include "objdiff/commands.h"
#include "objdiff/diff/section_diff.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {

namespace {

struct DiffOptions {
  std::string pre, post, moved;
  bool explain = false;
};

int run_diff(const DiffOptions& options, bool json) {
  const Object pre = read_object(options.pre);
  const Object post = read_object(options.post);
  std::optional<Object> moved;
  if (!options.moved.empty()) moved = read_object(options.moved);
  const ObjectDiff diff = diff_objects(pre, post, moved ? &*moved : nullptr);
  const std::string text =
      json ? diff_to_json(diff, options.explain) : diff_to_text(diff, options.explain);
  std::fputs(text.c_str(), stdout);
  return diff.refusals.empty() ? ExitDone : ExitRefused;
}

}  // namespace

void add_diff_command(CLI::App& app, Command* command) {
  auto options = std::make_shared<DiffOptions>();
  CLI::App* diff = app.add_subcommand("diff", "compare two objects of one unit");
  diff->add_flag("--json", command->json, "print JSON");
  diff->add_flag("--explain", options->explain, "say for each function why it is in the list");
  diff->add_option("--moved", options->moved,
                   "object of the original source with the patched one's line numbers");
  diff->add_option("PRE", options->pre, "object of the original source")->required();
  diff->add_option("POST", options->post, "object of the patched source")->required();
  diff->callback([options, command] {
    command->body = [options, command] { return run_diff(*options, command->json); };
  });
}

}  // namespace ksplice
