#include "apply/boot_view.h"

#include <fmt/core.h>

#include "objdiff/base/error.h"

namespace ksplice {

Missing look_for_missing(const Host& host) {
  Missing missing;
  try {
    missing.off = switched_off(host);
    missing.updates = missing_updates(host);
  } catch (const Error& error) {
    missing.error = error.what();
  }
  return missing;
}

void print_missing(const Missing& missing) {
  for (const BootResult& result : missing.updates) fmt::print("{}\n", to_text(result));
  if (!missing.off.empty()) fmt::print("Nothing is brought back at boot: {}\n", missing.off);
  if (!missing.error.empty()) fmt::print(stderr, "note: {}\n", missing.error);
}

nlohmann::ordered_json to_json(const Missing& missing) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const BootResult& result : missing.updates) list.push_back(to_json(result));
  nlohmann::ordered_json json = {{"switched_off", missing.off}, {"missing", list}};
  if (!missing.error.empty()) json["error"] = missing.error;
  return json;
}

std::optional<Mark> look_for_probation(const Host& host, const std::string& id) {
  try {
    return find_probation(read_boot_state(host), id, boot_id(host));
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string probation_text(const Host& host, const Mark& mark) {
  if (is_watched(host, mark))
    return fmt::format("on probation, watched by process {}", mark.probation->watcher);
  return fmt::format("on probation, and watched by nobody; ksplice-boot --watch={} would do it",
                     mark.id);
}

nlohmann::ordered_json to_json(const Host& host, const Mark& mark) {
  return {{"seconds", mark.probation->seconds},
          {"health_command", mark.probation->command},
          {"watched", is_watched(host, mark)},
          {"process", mark.probation->watcher}};
}

}  // namespace ksplice
