// The updates that the kernel knows, as the core tells in /sys/kernel/ksplice (format: head of
// kmod-core/sysfs.c). This is the only truth about what is loaded and applied.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apply/host.h"
#include "objdiff/base/file.h"

namespace ksplice {

constexpr const char* CoreModule = "ksplice";

struct TargetState {
  std::string name, module;  // module: its update module
  std::string state;         // applied, pending, or kept: reversed, and in memory for good
  bool is_kept() const { return state == "kept"; }
};

struct FunctionState {
  std::string target, name;
  std::string old_addr, new_addr;  // as text: hidden or missing ones stay as the kernel says
  std::string calls;               // a number, or why there is none
  std::string redirect;            // jump, or handler; - if calls are not redirected
  std::string why;                 // it is on the handler
};

struct UpdateState {
  std::string id, description;
  std::string stage;  // preparing, applied, reversed
  std::string abort_cause, message, conflicts;
  std::vector<TargetState> targets;
  std::vector<FunctionState> functions;
  // The files with one line each that are not above, e.g. pause_ns; name -> text.
  std::map<std::string, std::string> values;
  // Reversed, with a part that stays in memory.
  bool is_kept() const;
  std::vector<std::string> kept_lines() const;  // what may be in use after an undo
};

// Ids in the order of their names.
std::vector<std::string> list_updates(const Host& host);
std::optional<UpdateState> read_update(const Host& host, const std::string& id);
bool is_applied(const Host& host, const std::string& id);

// Writes a file of the update, e.g. "stage" or "attempts". Returns 0 or the errno with which the
// kernel refused.
int write_update(const Host& host, const std::string& id, const std::string& file,
                 const std::string& text);

// The text of the file "conflicts", with the names of livepatches where it says only "livepatch".
std::string name_livepatches(const Host& host, const std::string& conflicts);

// state.values with what are numbers as numbers.
nlohmann::ordered_json values_to_json(const UpdateState& state);

}  // namespace ksplice
