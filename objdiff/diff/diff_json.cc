#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "objdiff/base/tool.h"
#include "objdiff/diff/section_diff.h"

namespace ksplice {

namespace {

const char* status_word(DiffStatus status) {
  switch (status) {
    case DiffStatus::Same:
      return "same";
    case DiffStatus::Changed:
      return "changed";
    case DiffStatus::New:
      return "new";
    case DiffStatus::Removed:
      return "removed";
  }
  return "same";
}

// A carried function exists in pre, whatever way it comes into the kernel.
const char* function_word(const FunctionDiff& function) {
  return function.carried ? "changed" : status_word(function.status);
}

// "code at +0x12: call ..." in a line that a person reads.
std::string reason_text(const Reason& reason) {
  std::string text = reason.kind;
  if (reason.offset != 0) text += fmt::format(" at +{:#x}", reason.offset);
  if (!reason.detail.empty()) text += ": " + reason.detail;
  if (!reason.before.empty()) text += ", was " + reason.before;
  if (!reason.source.empty()) text += " (" + reason.source + ")";
  return text;
}

}  // namespace

std::string diff_to_json(const ObjectDiff& diff, bool explain) {
  using Json = nlohmann::ordered_json;
  Json functions = Json::array(), data = Json::array(), refusals = Json::array();
  for (const FunctionDiff& function : diff.functions) {
    if (function.status == DiffStatus::Same) continue;
    Json reasons = Json::array();
    for (const Reason& reason : function.reasons) {
      Json entry = {{"kind", reason.kind}, {"detail", reason.detail}};
      if (explain) {
        entry["before"] = reason.before;
        entry["source"] = reason.source;
        entry["offset"] = reason.offset;
      }
      reasons.push_back(entry);
    }
    functions.push_back({{"name", function.name},
                         {"status", function_word(function)},
                         {"section", function.section},
                         {"reasons", reasons}});
  }
  for (const DataDiff& item : diff.data) {
    if (item.status == DiffStatus::Same) continue;
    data.push_back(
        {{"name", item.name}, {"status", status_word(item.status)}, {"section", item.section}});
  }
  for (const Refusal& refusal : diff.refusals)
    refusals.push_back(Json::parse(refusal_to_json(refusal)));
  const Json result = {{"identical", diff.identical},
                       {"functions", functions},
                       {"data", data},
                       {"refusals", refusals},
                       {"notes", diff.notes}};
  // Names in a damaged symbol table need not be UTF-8.
  return result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string diff_to_text(const ObjectDiff& diff, bool explain) {
  std::string text;
  for (const FunctionDiff& function : diff.functions) {
    if (function.status == DiffStatus::Same) continue;
    text += fmt::format("{} function {} in {}\n", function_word(function), function.name,
                        function.section);
    if (explain)
      for (const Reason& reason : function.reasons) text += "  " + reason_text(reason) + "\n";
  }
  for (const DataDiff& data : diff.data)
    if (data.status != DiffStatus::Same)
      text += fmt::format("{} data {} in {}\n", status_word(data.status), data.name, data.section);
  for (const Refusal& refusal : diff.refusals) text += format_refusal(refusal);
  for (const std::string& note : diff.notes) text += "note: " + note + "\n";
  if (diff.identical) text = "no difference\n";
  return text;
}

}  // namespace ksplice
