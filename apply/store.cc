#include "apply/store.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "create/package/package.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace {

constexpr const char* Places[] = {"/var/lib/ksplice", "/run/ksplice"};

std::filesystem::path folder(const Host& host, const char* place, const std::string& id) {
  return host.path(place) / "updates" / id;
}

std::string file_name(const std::string& id) { return "ksplice-" + id + ".tar.gz"; }

// Removes what interrupted writes left in the folder. With the copy its record goes, too.
void remove_others(const std::filesystem::path& directory, const std::filesystem::path& keep) {
  std::error_code ignored;
  std::vector<std::filesystem::path> others;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored))
    if (entry.path().filename() != keep && (keep.empty() || entry.path().filename() != WantedFile))
      others.push_back(entry.path());
  for (const std::filesystem::path& path : others) std::filesystem::remove_all(path, ignored);
}

bool holds(const std::filesystem::path& file, const std::vector<uint8_t>& content) {
  try {
    return read_file(file) == content;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::optional<std::string> store_copy(const Host& host, const std::string& id,
                                      const std::vector<uint8_t>& tarball, std::string& why) {
  for (const char* place : Places) {
    std::filesystem::path directory = folder(host, place, id);
    std::filesystem::path file = directory / file_name(id);
    std::error_code error;
    // What is there already is not put at risk: the disk may be full now.
    if (std::filesystem::is_regular_file(file, error) && holds(file, tarball)) {
      remove_others(directory, file.filename());
      return file.string();
    }
    std::filesystem::create_directories(directory, error);
    if (error) {
      why += (why.empty() ? "" : "; ") + directory.string() + ": " + error.message();
      continue;
    }
    try {
      write_file(file, tarball);
      remove_others(directory, file.filename());
      return file.string();
    } catch (const Error& failure) {
      why += (why.empty() ? "" : "; ") + std::string(failure.what());
      remove_others(directory, "");
    }
  }
  return std::nullopt;
}

std::filesystem::path lasting_copy(const Host& host, const std::string& id) {
  return folder(host, Places[0], id) / file_name(id);
}

std::vector<std::string> list_lasting(const Host& host) {
  const std::filesystem::path updates = host.path(Places[0]) / "updates";
  std::vector<std::string> ids;
  try {
    for (const auto& entry : std::filesystem::directory_iterator(updates))
      if (const std::string id = entry.path().filename(); is_valid_id(id)) ids.push_back(id);
  } catch (const std::filesystem::filesystem_error& error) {
    if (error.code() == std::errc::no_such_file_or_directory) return {};
    throw Error("bad_state",
                fmt::format("{} cannot be read: {}", updates.string(), error.code().message()),
                "apply the updates' tarballs again when it is a folder that can be read");
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::string find_copy(const Host& host, const std::string& id) {
  for (const char* place : Places) {
    std::filesystem::path file = folder(host, place, id) / file_name(id);
    std::error_code ignored;
    if (std::filesystem::is_regular_file(file, ignored)) return file.string();
  }
  return "";
}

std::vector<std::string> list_copies(const Host& host) {
  std::set<std::string> ids;
  for (const char* place : Places) {
    std::error_code ignored;
    for (const auto& entry :
         std::filesystem::directory_iterator(host.path(place) / "updates", ignored))
      if (const std::string id = entry.path().filename(); !find_copy(host, id).empty())
        ids.insert(id);
  }
  return {ids.begin(), ids.end()};
}

bool remove_copy(const Host& host, const std::string& id) {
  bool found = false;
  for (const char* place : Places) {
    std::error_code ignored;  // a read-only place has nothing that we could have written
    std::filesystem::path directory = folder(host, place, id);
    // uintmax_t(-1) means an error.
    std::uintmax_t removed = std::filesystem::remove_all(directory, ignored);
    found = found || (removed != 0 && removed != static_cast<std::uintmax_t>(-1));
    // The folders above go too when they are empty.
    if (std::filesystem::remove(directory.parent_path(), ignored))
      std::filesystem::remove(host.path(place), ignored);
  }
  return found;
}

EarlierCopy::EarlierCopy(const Host& host, const std::string& id)
    : host_(host), id_(id), file_(find_copy(host, id)) {
  if (file_.empty()) return;
  try {
    content_ = read_file(file_);
  } catch (const Error&) {
    // Nothing that could be brought back.
  }
}

void EarlierCopy::put_back() const {
  if (file_.empty()) {
    remove_copy(host_, id_);
    return;
  }
  std::error_code ignored;
  for (const char* place : Places)
    if (const auto directory = folder(host_, place, id_); directory != file_.parent_path())
      std::filesystem::remove_all(directory, ignored);
  if (content_.empty() || holds(file_, content_)) return;
  try {
    write_file(file_, content_);
  } catch (const Error&) {
    // The next boot says that it is not what was applied; the failure before this is the one to
    // tell.
  }
}

}  // namespace ksplice
