#include "objdiff/base/tool.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>

#include "objdiff/base/process.h"

namespace ksplice {

namespace {

constexpr size_t OriginsShown = 8;

nlohmann::ordered_json to_json(const std::vector<Origin>& origins) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Origin& origin : origins)
    list.push_back({{"patch", origin.patch}, {"file", origin.file}, {"hunk", origin.hunk}});
  return list;
}

nlohmann::ordered_json to_json(const Refusal& refusal) {
  nlohmann::ordered_json json = {
      {"code", refusal.code},         {"object", refusal.object}, {"section", refusal.section},
      {"symbol", refusal.symbol},     {"offset", refusal.offset}, {"message", refusal.message},
      {"expected", refusal.expected}, {"found", refusal.found},   {"advice", refusal.advice}};
  if (!refusal.origins.empty()) json["from"] = to_json(refusal.origins);
  if (!refusal.follows.empty()) json["follows"] = refusal.follows;
  return json;
}

// A line for each.
std::string from_lines(const std::vector<Origin>& origins) {
  std::string text;
  for (size_t i = 0; i < std::min(OriginsShown, origins.size()); ++i)
    text += fmt::format("  from {}\n", origin_text(origins[i]));
  if (origins.size() > OriginsShown)
    text += fmt::format("  and from {} more\n", origins.size() - OriginsShown);
  return text;
}

std::string indent(const std::string& text) {
  std::string result = "    ";
  for (char c : text) {
    result += c;
    if (c == '\n') result += "    ";
  }
  return result;
}

void print_error(const std::string& name, const Error& error, const std::vector<Refusal>& refusals,
                 bool json, bool raw, const std::string& raw_lines = "") {
  if (raw) fmt::print(stderr, "{}\n{}", error.code, raw_lines);
  if (json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Refusal& refusal : refusals) list.push_back(to_json(refusal));
    nlohmann::ordered_json text = {{"error",
                                    {{"code", error.code},
                                     {"message", error.what()},
                                     {"hint", error.hint},
                                     {"from", to_json(error.origins)},
                                     {"refusals", list}}}};
    constexpr auto Replace = nlohmann::ordered_json::error_handler_t::replace;
    fmt::print("{}\n", text.dump(2, ' ', false, Replace));
    return;
  }
  for (const Refusal& refusal : refusals)
    fmt::print(stderr, "{}: refused: {}", name, format_refusal(refusal));
  if (!refusals.empty()) return;
  fmt::print(stderr, "{}: {}\n{}", name, error.what(), from_lines(error.origins));
  if (!error.hint.empty()) fmt::print(stderr, "hint: {}\n", error.hint);
}

}  // namespace

std::string origin_text(const Origin& origin) {
  std::string text = origin.patch;
  if (!origin.file.empty()) text += ": " + origin.file;
  return origin.hunk.empty() ? text : text + " " + origin.hunk;
}

std::string refusal_to_json(const Refusal& refusal) {
  return to_json(refusal).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string format_refusal(const Refusal& refusal) {
  std::string text = fmt::format("{}: {}", refusal.code, refusal.message);
  std::string place = refusal.object;
  if (!refusal.section.empty()) place += fmt::format(" section {}", refusal.section);
  if (!refusal.symbol.empty()) place += fmt::format(" {}", refusal.symbol);
  bool has_offset = refusal.offset != 0 || !refusal.section.empty() || !refusal.symbol.empty();
  if (!place.empty()) text += "\n  at " + place;
  if (!place.empty() && has_offset) text += fmt::format("+{:#x}", refusal.offset);
  if (!refusal.expected.empty()) text += "\n  expected:\n" + indent(refusal.expected);
  if (!refusal.found.empty()) text += "\n  found:\n" + indent(refusal.found);
  text += "\n" + from_lines(refusal.origins);
  if (!refusal.follows.empty())
    text += fmt::format("  follows from {}, as far as is known\n", refusal.follows);
  if (!refusal.advice.empty()) text += fmt::format("hint: {}\n", refusal.advice);
  return text;
}

int run_tool(const std::string& name, const std::function<int()>& body, const bool* json,
             const bool* raw_errors) {
  install_signal_flag();
  bool no = false;
  if (json == nullptr) json = &no;
  if (raw_errors == nullptr) raw_errors = &no;
  try {
    return body();
  } catch (const Refused& refused) {
    print_error(name, refused, refused.refusals, *json, *raw_errors, refused.raw);
    return ExitRefused;
  } catch (const Error& error) {
    print_error(name, error, {}, *json, *raw_errors);
    return error.code == "usage" ? ExitUsage : ExitFailed;
  } catch (const std::bad_alloc&) {
    print_error(name, Error("out_of_memory", "out of memory"), {}, *json, *raw_errors);
  } catch (const std::filesystem::filesystem_error& error) {
    bool full = error.code() == std::errc::no_space_on_device;
    print_error(name,
                Error(full ? "no_space" : "failed", error.what(),
                      full ? "make room on that file system and run again" : ""),
                {}, *json, *raw_errors);
  } catch (const std::exception& other) {
    print_error(name, Error("internal", fmt::format("internal error: {}", other.what())), {}, *json,
                *raw_errors);
  }
  return ExitFailed;
}

}  // namespace ksplice
