// Two traces of the same functions side by side: before and after an update was applied or undone.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "apply/trace/report.h"

namespace ksplice {

struct Comparison {
  std::string id;
  bool is_undo = false;
  Trace before, after;
};

std::string to_text(const Comparison& comparison);
nlohmann::ordered_json to_json(const Comparison& comparison, const SymbolTable& symbols);

}  // namespace ksplice
