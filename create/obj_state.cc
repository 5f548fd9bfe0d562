#include "create/obj_state.h"

#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// What create itself keeps there.
constexpr const char* Own = ".ksplice-";

}  // namespace

ObjState::ObjState(fs::path obj, fs::path origin)
    : obj_(std::move(obj)), origin_(std::move(origin)), before_(stamps_of(obj_)) {}

std::map<std::string, ObjState::Stamp> ObjState::stamps_of(const fs::path& folder) {
  std::map<std::string, Stamp> stamps;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (entry.is_symlink()) {
      stamps[path.lexically_relative(folder).string()] = {};
    } else if (entry.is_regular_file()) {
      stamps[path.lexically_relative(folder).string()] = {
          entry.last_write_time().time_since_epoch().count(), entry.file_size()};
    }
  }
  return stamps;
}

void ObjState::restore() const {
  const std::map<std::string, Stamp> now = stamps_of(obj_);
  for (const auto& [name, stamp] : now) {
    const auto old = before_.find(name);
    const bool stays = old != before_.end() && old->second == stamp;
    if (!stays && !fs::path(name).filename().string().starts_with(Own)) fs::remove(obj_ / name);
  }
  for (const auto& [name, stamp] : before_) {
    const fs::path from = origin_ / name, to = obj_ / name;
    if (fs::exists(fs::symlink_status(to)) || !fs::exists(fs::symlink_status(from))) continue;
    fs::create_directories(to.parent_path());
    fs::copy(from, to, fs::copy_options::copy_symlinks);
    if (!fs::is_symlink(to)) fs::last_write_time(to, fs::last_write_time(from));
  }
}

}  // namespace ksplice
