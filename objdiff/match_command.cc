// ksplice-objdiff match: proves that an image runs what the pre objects are.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "objdiff/base/tool.h"
#include "objdiff/commands.h"
#include "objdiff/image/run_image.h"
#include "objdiff/image/run_types.h"
#include "objdiff/match/run_pre.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {
namespace {

struct Options {
  std::string image, module, system_map, cache;
  std::vector<std::string> objects;
};

const char* status_word(MatchStatus status) {
  switch (status) {
    case MatchStatus::Matched:
      return "matched";
    case MatchStatus::Absent:
      return "absent";
    case MatchStatus::Mismatched:
      return "mismatched";
  }
  return "?";
}

void print_text(const Object& pre, const MatchResult& result, std::string& out) {
  size_t counts[3] = {};
  for (const FunctionMatch& match : result.functions) {
    counts[static_cast<size_t>(match.status)]++;
    out += fmt::format(
        "{:<10} {:<16} {}{}\n", status_word(match.status),
        match.status == MatchStatus::Matched ? fmt::format("{:016x}", match.run.addr) : "-",
        match.pre->name, match.reason.empty() ? "" : ": " + match.reason);
    if (match.status == MatchStatus::Mismatched) out += format_refusal(match.refusal);
  }
  for (const Refusal& refusal : result.contradictions) out += format_refusal(refusal);
  out += fmt::format("{}: {} matched, {} absent, {} mismatched; {} addresses\n", pre.path,
                     counts[0], counts[1], counts[2], result.addresses.size());
}

nlohmann::json location_json(const RunLocation& location) {
  nlohmann::json json = {{"target", location.target}, {"offset", location.offset}};
  if (!location.section.empty()) json["section"] = location.section;
  if (!location.import.empty()) json["import"] = location.import;
  if (location.percpu) json["percpu"] = true;
  if (!location.symbol.empty()) json["symbol"] = location.symbol;
  return json;
}

nlohmann::json to_json(const Object& pre, const MatchResult& result) {
  nlohmann::json functions = nlohmann::json::array();
  for (const FunctionMatch& match : result.functions) {
    nlohmann::json item = {{"name", match.pre->name}, {"status", status_word(match.status)}};
    if (!match.reason.empty()) item["reason"] = match.reason;
    if (match.status == MatchStatus::Matched) {
      item["address"] = fmt::format("{:#x}", match.run.addr);
      item["size"] = match.run.bytes.size();
      item["location"] = location_json(match.run.location);
      item["fields"] = match.run.fields.size();
      item["ranges"] = match.run.ranges.size();
    }
    if (match.status == MatchStatus::Mismatched)
      item["refusal"] = nlohmann::json::parse(refusal_to_json(match.refusal));
    functions.push_back(std::move(item));
  }
  nlohmann::json symbols = nlohmann::json::array();
  for (const std::unique_ptr<Symbol>& symbol : pre.symbols) {
    auto found = result.addresses.find(symbol.get());
    if (found == result.addresses.end()) continue;
    symbols.push_back({{"name", symbol->name},
                       {"section", symbol->section == nullptr ? "" : symbol->section->name},
                       {"address", fmt::format("{:#x}", found->second)}});
  }
  nlohmann::json contradictions = nlohmann::json::array();
  for (const Refusal& refusal : result.contradictions)
    contradictions.push_back(nlohmann::json::parse(refusal_to_json(refusal)));
  return {{"object", pre.path},
          {"functions", functions},
          {"symbols", symbols},
          {"contradictions", contradictions}};
}

// Throws Refused for a System.map of another kernel; a stub is only mentioned.
void check_map(const Options& options, const RunImage& image) {
  if (options.system_map.empty()) return;
  SystemMap map = read_system_map(options.system_map);
  std::string complaint = check_system_map(map, image);
  if (complaint.empty()) return;
  if (map.is_stub) {
    std::cerr << "note: " << options.system_map << ": " << complaint << '\n';
    return;
  }
  Refusal refusal;
  refusal.code = "bad_system_map";
  refusal.object = options.system_map;
  refusal.message = complaint;
  refusal.advice =
      "give the System.map of this kernel's build, or none: the image has its own symbols";
  throw Refused({refusal});
}

struct Target {
  RunImage image;
  std::vector<RunTypes> types;  // of the kernel, then of the module
};

Target read_target(const Options& options) {
  RunImage vmlinux = read_run_image(options.image, options.cache);
  if (vmlinux.is_module())
    throw Error("bad_image", options.image + ": is a module; --image takes a kernel");
  check_map(options, vmlinux);
  std::vector<RunTypes> types;
  types.reserve(2);  // the second refers to the first
  types.emplace_back(vmlinux);
  if (options.module.empty()) return {std::move(vmlinux), std::move(types)};
  RunImage module = read_run_image(options.module);
  if (!module.is_module())
    throw Error("bad_image", options.module + ": is no module; --module takes a .ko file");
  if (module.release != vmlinux.release)
    throw Error("bad_image", fmt::format("{} was built for kernel {}, but {} is {}", options.module,
                                         module.release, options.image, vmlinux.release));
  types.emplace_back(module, &types.front());
  return {std::move(module), std::move(types)};
}

int run_match(const Options& options, bool json) {
  const auto [image, types] = read_target(options);
  nlohmann::json objects = nlohmann::json::array();
  bool refused = false;
  for (const std::string& path : options.objects) {
    Object pre = read_object(path);
    MatchResult result = match_run_pre(pre, image);
    if (auto wrong = check_types(pre, nullptr, types.back()))
      result.contradictions.push_back(std::move(*wrong));
    refused |= !result.contradictions.empty();
    for (const FunctionMatch& match : result.functions)
      refused |= match.status == MatchStatus::Mismatched;
    if (json) {
      objects.push_back(to_json(pre, result));
    } else {
      std::string text;
      print_text(pre, result, text);
      std::cout << text;
    }
  }
  if (json) {
    nlohmann::json out = {{"image",
                           {{"path", image.path},
                            {"target", image.target},
                            {"release", image.release},
                            {"build_id", image.build_id}}},
                          {"objects", objects}};
    std::cout << out.dump(1) << '\n';
  }
  return refused ? ExitRefused : ExitDone;
}

}  // namespace

void add_match_command(CLI::App& app, Command* command) {
  auto options = std::make_shared<Options>();
  CLI::App* match = app.add_subcommand(
      "match",
      "match the functions, read-only data and types of pre objects against a kernel or module");
  match->add_option("--image", options->image, "the kernel: vmlinuz or vmlinux")->required();
  match->add_option("--module", options->module, "match against this module's .ko file");
  match->add_option("--system-map", options->system_map, "check this System.map against the image");
  match->add_option("--cache", options->cache, "folder that keeps decompressed images");
  match->add_flag("--json", command->json, "print JSON");
  match->add_option("PRE", options->objects, "objects compiled from the unpatched source")
      ->required();
  match->callback([options, command] {
    command->body = [options, command] { return run_match(*options, command->json); };
  });
}

}  // namespace ksplice
