#include "apply/kernel_updates.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <sstream>

#include "create/package/package.h"
#include "objdiff/base/error.h"

namespace ksplice {

namespace {

constexpr const char* Folder = "/sys/kernel/ksplice";

// The file's text without its last newline; nothing if it is gone or the kernel does not give it.
std::optional<std::string> read_value(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return std::nullopt;
  std::string text;
  char buffer[4096];
  for (;;) {
    ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string take(std::map<std::string, std::string>& values, const char* name) {
  auto node = values.extract(name);
  return node.empty() ? "" : node.mapped();
}

std::vector<FunctionState> parse_functions(const std::string& text) {
  std::vector<FunctionState> functions;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    FunctionState function;
    std::istringstream words(line);
    words >> function.name >> function.old_addr >> function.new_addr >> function.calls >>
        function.target >> function.redirect >> std::ws;
    std::getline(words, function.why);
    if (!function.target.empty()) functions.push_back(std::move(function));
  }
  return functions;
}

std::vector<TargetState> parse_targets(const std::string& text) {
  std::vector<TargetState> targets;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    TargetState target;
    std::istringstream words(line);
    words >> target.name >> target.module >> target.state;
    if (!target.state.empty()) targets.push_back(std::move(target));
  }
  return targets;
}

}  // namespace

bool UpdateState::is_kept() const {
  return stage != "applied" && std::any_of(targets.begin(), targets.end(),
                                           [](const TargetState& each) { return each.is_kept(); });
}

std::vector<std::string> UpdateState::kept_lines() const {
  std::vector<std::string> lines;
  auto found = values.find("kept");
  std::istringstream text(found == values.end() ? "" : found->second);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> list_updates(const Host& host) {
  std::vector<std::string> ids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(host.path(Folder), error)) {
    std::string id = entry.path().filename();
    std::error_code ignored;
    if (is_valid_id(id) && std::filesystem::exists(entry.path() / "stage", ignored))
      ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::optional<UpdateState> read_update(const Host& host, const std::string& id) {
  std::filesystem::path folder = host.path(Folder) / id;
  if (!is_valid_id(id)) return std::nullopt;
  UpdateState state;
  state.id = id;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    std::error_code ignored;
    if (!entry.is_regular_file(ignored)) continue;
    if (std::optional<std::string> text = read_value(entry.path()))
      state.values[entry.path().filename()] = *text;
  }
  if (!state.values.contains("stage")) return std::nullopt;
  state.stage = take(state.values, "stage");
  state.description = take(state.values, "description");
  state.abort_cause = take(state.values, "abort_cause");
  state.message = take(state.values, "abort_message");
  state.conflicts = take(state.values, "conflicts");
  state.targets = parse_targets(take(state.values, "targets"));
  state.functions = parse_functions(take(state.values, "functions"));
  return state;
}

bool is_applied(const Host& host, const std::string& id) {
  const std::optional<UpdateState> state = read_update(host, id);
  return state && state->stage == "applied";
}

int write_update(const Host& host, const std::string& id, const std::string& file,
                 const std::string& text) {
  std::filesystem::path path = host.path(Folder) / id / file;
  Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0) return errno;
  ssize_t put = ::write(fd.get(), text.data(), text.size());
  if (put < 0) return errno;
  return put == static_cast<ssize_t>(text.size()) ? 0 : EIO;
}

// Livepatches are in /sys/kernel/livepatch/PATCH/OBJECT/FUNCTION,POSITION.
std::string name_livepatches(const Host& host, const std::string& conflicts) {
  std::string text;
  std::istringstream lines(conflicts);
  for (std::string line; std::getline(lines, line);) {
    constexpr std::string_view Begin = "function ", End = " is redirected by livepatch";
    if (line.starts_with(Begin) && line.ends_with(End)) {
      std::string prefix = line.substr(Begin.size(), line.size() - Begin.size() - End.size()) + ",";
      std::error_code error;
      std::filesystem::recursive_directory_iterator entry(host.path("/sys/kernel/livepatch"),
                                                          error);
      for (; !error && entry != std::filesystem::recursive_directory_iterator();
           entry.increment(error))
        if (entry->path().filename().string().starts_with(prefix))
          line += " " + entry->path().parent_path().parent_path().filename().string();
    }
    text += (text.empty() ? "" : "\n") + line;
  }
  return text;
}

nlohmann::ordered_json values_to_json(const UpdateState& state) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : state.values) {
    uint64_t number = 0;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc() && end == value.data() + value.size())
      json[name] = number;
    else
      json[name] = value;
  }
  return json;
}

}  // namespace ksplice
