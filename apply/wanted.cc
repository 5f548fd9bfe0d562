#include "apply/wanted.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apply/store.h"
#include "create/package/manifest.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace {

namespace fs = std::filesystem;

using Json = nlohmann::ordered_json;

fs::path record(const Host& host, const std::string& id) {
  return lasting_copy(host, id).parent_path() / WantedFile;
}

Wanted read_record(const Host& host, const std::string& id) {
  Wanted wanted;
  wanted.id = id;
  const fs::path file = record(host, id);
  try {
    const Json json = Json::parse(read_text(file));
    wanted.order = json.at("order").get<uint64_t>();
    wanted.sha256 = json.at("sha256").get<std::string>();
    wanted.options.settle = json.at("settle").get<bool>();
    wanted.options.count_calls = json.at("count_calls").get<bool>();
    wanted.options.allow_busy = json.at("allow_busy").get<std::vector<std::string>>();
    wanted.options.late = json.at("late").get<std::string>();
    wanted.options.late_timeout_ms = json.at("late_timeout_ms").get<unsigned>();
  } catch (const std::exception& damage) {
    wanted.error = fmt::format("{} cannot be used: {}", file.string(), damage.what());
  }
  return wanted;
}

}  // namespace

bool is_wanted(const Host& host, const std::string& id) {
  std::error_code ignored;
  return fs::exists(record(host, id), ignored);
}

std::vector<Wanted> list_wanted(const Host& host) {
  std::vector<Wanted> list;
  for (const std::string& id : list_lasting(host))
    if (is_wanted(host, id)) list.push_back(read_record(host, id));
  std::stable_sort(list.begin(), list.end(), [](const Wanted& a, const Wanted& b) {
    if (a.error.empty() != b.error.empty()) return a.error.empty();
    return a.order < b.order;
  });
  return list;
}

void note_wanted(const Host& host, const std::string& id, const std::vector<uint8_t>& tarball,
                 const LoadOptions& options) {
  std::error_code ignored;
  if (!fs::is_regular_file(lasting_copy(host, id), ignored))
    throw Error("failed", fmt::format("{} cannot be written", lasting_copy(host, id).string()));
  Wanted wanted;
  wanted.options = options;
  for (const Wanted& other : list_wanted(host)) {
    if (!other.error.empty()) continue;
    wanted.order = std::max(wanted.order, other.order + 1);
    if (other.id != id) continue;
    wanted = other;
    if (!options.late.empty()) wanted.options.late = options.late;
    if (options.late_timeout_ms != 0) wanted.options.late_timeout_ms = options.late_timeout_ms;
    break;
  }
  const Json json = {{"order", wanted.order},
                     {"sha256", sha256(tarball)},
                     {"settle", wanted.options.settle},
                     {"count_calls", wanted.options.count_calls},
                     {"allow_busy", wanted.options.allow_busy},
                     {"late", wanted.options.late},
                     {"late_timeout_ms", wanted.options.late_timeout_ms}};
  const fs::path file = record(host, id);
  write_file(file, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  sync_folder(file.parent_path());
}

RecordAside::RecordAside(const Host& host, const std::string& id)
    : file_(record(host, id)), aside_(file_.string() + ".undoing") {
  std::error_code error;
  fs::rename(file_, aside_, error);
  is_aside_ = !error;
  if (is_aside_) sync_folder(file_.parent_path());
}

RecordAside::~RecordAside() {
  if (!is_aside_) return;
  std::error_code ignored;
  fs::rename(aside_, file_, ignored);
  sync_folder(file_.parent_path());
}

bool forget_wanted(const Host& host, const std::string& id) {
  RecordAside(host, id).keep_aside();
  const bool was_there = remove_copy(host, id);
  if (is_wanted(host, id))
    throw Error("failed",
                fmt::format("update {} is not in the kernel any more, but {} cannot be removed: it "
                            "would come back at the next boot",
                            id, record(host, id).string()),
                fmt::format("see that the file system can be written, and run ksplice-undo {} "
                            "again",
                            id));
  return was_there;
}

}  // namespace ksplice
