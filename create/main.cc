#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "create/config_dir.h"
#include "create/create.h"
#include "create/options.h"
#include "create/progress.h"
#include "objdiff/base/tool.h"

namespace ksplice {

namespace {

void print_json(const CreateResult& result, double seconds) {
  nlohmann::ordered_json json = {{"id", result.id},
                                 {"description", result.description},
                                 {"tarball", result.tarball},
                                 {"size", result.tarball_size},
                                 {"kernels", result.releases},
                                 {"left_out", result.left_out},
                                 {"units", result.units},
                                 {"replaced", result.replaced},
                                 {"added", result.added},
                                 {"warnings", result.warnings},
                                 {"seconds", seconds}};
  constexpr auto Replace = nlohmann::ordered_json::error_handler_t::replace;
  fmt::print("{}\n", json.dump(2, ' ', false, Replace));
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void print_summary(const CreateResult& result, Progress& progress) {
  for (const std::string& warning : result.warnings) progress.detail("kbuild: " + warning);
  progress.detail("units: " + joined(result.units));
  if (!result.added.empty()) progress.detail("new: " + joined(result.added));
  progress.note(fmt::format("replaces {} function{}: {}", result.replaced.size(),
                            result.replaced.size() == 1 ? "" : "s", joined(result.replaced)));
  progress.note(fmt::format("{} bytes, {:.1f} s", result.tarball_size, progress.seconds()));
  fmt::print("Ksplice update tarball written to {}\n", result.tarball);
}

int run(const Options& options) {
  if (!options.init_config.empty()) {
    std::string release = options.kernel.empty() ? running_release() : options.kernel;
    make_config_dir(options.init_config, release, options.from);
    if (options.json)
      fmt::print("{}\n", nlohmann::json{{"config", options.init_config}}.dump(2));
    else
      fmt::print("Configuration directory {} made\n", options.init_config.string());
    return ExitDone;
  }
  Progress progress(options.quiet, options.verbose);
  CreateResult result = create_update(options, progress);
  if (options.json)
    print_json(result, progress.seconds());
  else if (!options.prebuild)
    print_summary(result, progress);
  return ExitDone;
}

}  // namespace

}  // namespace ksplice

int main(int argc, char** argv) {
  ksplice::Options options;
  return ksplice::run_tool(
      "ksplice-create",
      [&]() -> int {
        std::string help_text;
        ksplice::read_options(argc, argv, options, help_text);
        if (!help_text.empty()) {
          fmt::print("{}", help_text);
          return ksplice::ExitDone;
        }
        return ksplice::run(options);
      },
      &options.json, &options.raw_errors);
}
