// ksplice-sign: signs a tarball, or signs it anew with another key, expiry or generation.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "create/package/package.h"
#include "create/package/signature.h"
#include "create/package/signing.h"
#include "objdiff/base/tool.h"
#include "objdiff/base/utc.h"

namespace ksplice {
namespace {

struct Options {
  std::string tarball, output;
  SignRequest request;
  bool json = false, raw_errors = false, quiet = false;
};

int sign(const Options& options) {
  Package package = read_package(options.tarball);
  const Signing signing = prepare_signing(options.request);
  set_terms(signing, package);
  std::string folder = options.output;
  if (folder.empty()) folder = std::filesystem::path(options.tarball).parent_path().string();
  const std::string written = write_package(package, folder.empty() ? "." : folder, signing.sign);
  const std::string signer = claimed_signer(read_package(written).signature);
  const std::string expires = package.expires == 0 ? "never" : utc_text(package.expires);
  if (options.json)
    fmt::print("{}\n", nlohmann::ordered_json({{"id", package.id},
                                               {"tarball", written},
                                               {"signer", signer},
                                               {"generation", package.generation},
                                               {"expires", expires}})
                           .dump(2));
  else if (!options.quiet)
    fmt::print("{}: signed by {}, generation {}, expires {}\n", written, signer, package.generation,
               expires);
  return ExitDone;
}

}  // namespace
}  // namespace ksplice

int main(int argc, char** argv) {
  ksplice::Options options;
  CLI::App app("Signs the tarball of an update.", "ksplice-sign");
  ksplice::add_sign_options(app, options.request, "--", "Options");
  app.get_option("--key")->required();
  app.add_option("--output", options.output, "folder for the signed tarball (otherwise: its own)")
      ->type_name("DIR");
  app.add_option("TARBALL", options.tarball, "made by ksplice-create")->required()->type_name("");
  app.add_flag("--json", options.json, "print the result, or the error, as JSON");
  app.add_flag("--raw-errors", options.raw_errors, "on failure print the bare code first");
  app.add_flag("-q,--quiet", options.quiet, "print errors only");
  app.set_version_flag("--version", "ksplice-sign " KSPLICE_VERSION);
  app.footer("Exit codes: 0 done, 1 failed, 2 usage. Details: man ksplice-sign.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ksplice::ExitDone : ksplice::ExitUsage;
  }
  return ksplice::run_tool(
      "ksplice-sign", [&] { return ksplice::sign(options); }, &options.json, &options.raw_errors);
}
