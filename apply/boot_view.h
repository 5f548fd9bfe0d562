// What ksplice-view shows of boots, quarantine and probation.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apply/boot.h"
#include "apply/probation.h"

namespace ksplice {

// What should be in the kernel and is not, and what is in quarantine.
struct Missing {
  std::vector<BootResult> updates;
  std::string off;    // why the next boot brings nothing back
  std::string error;  // why it is not known
};

Missing look_for_missing(const Host& host);
void print_missing(const Missing& missing);
nlohmann::ordered_json to_json(const Missing& missing);

// The mark of an update that is on probation; nothing where that is not known.
std::optional<Mark> look_for_probation(const Host& host, const std::string& id);
std::string probation_text(const Host& host, const Mark& mark);
nlohmann::ordered_json to_json(const Host& host, const Mark& mark);

}  // namespace ksplice
