#include "create/object_cache.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "create/overlay.h"
#include "create/package/manifest.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Gives the file a second name, or copies it where that cannot be; false if it is gone.
bool link_file(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::remove(to, error);
  fs::create_hard_link(from, to, error);
  return !error || fs::copy_file(from, to, error);
}

}  // namespace

bool is_made_by_unit(const std::string& generated) {
  return !generated.starts_with("include/") &&
         !generated.starts_with("arch/x86/include/generated/");
}

ObjectCache::ObjectCache(fs::path folder, std::string key, SourceFiles& files)
    : folder_(folder / "pre"), key_(std::move(key)), files_(files) {}

fs::path ObjectCache::entry_of(const std::string& unit) const {
  return folder_ / hash_text(key_ + '\n' + unit);
}

bool ObjectCache::load(const std::string& unit, const fs::path& kept, BuiltUnit& built) {
  const fs::path entry = entry_of(unit);
  std::error_code gone;
  if (!fs::exists(entry / "unit.json", gone)) return false;
  json data;
  try {
    data = json::parse(read_text(entry / "unit.json"));
    built = {};
    built.name = data.at("unit");
    built.target = data.at("target");
    built.command = data.at("command");
    built.checksums = data.at("checksums").get<ExportChecksums>();
    for (const auto& [path, digest] : data.at("sources").items()) {
      if (files_.digest(path) != digest.get<std::string>()) return false;
      built.sources.push_back(path);
    }
    if (built.name != unit || !link_file(entry / "object.o", kept)) return false;
    built.object = kept;
    return sha256(read_file(kept)) == data.at("object").get<std::string>();
  } catch (const json::exception&) {  // of another version, or cut off by a power cut
    return false;
  } catch (const Error& error) {  // taken away meanwhile
    if (error.code != "failed") throw;
    return false;
  }
}

void ObjectCache::store(const BuiltUnit& built) {
  // What these were made from stands in no list of sources.
  if (std::any_of(built.generated.begin(), built.generated.end(), is_made_by_unit)) return;
  json data = {{"unit", built.name},           {"target", built.target},
               {"command", built.command},     {"sources", json::object()},
               {"checksums", built.checksums}, {"object", sha256(read_file(built.object))}};
  for (const std::string& path : built.sources) {
    files_.check(path);  // else the object may be of another content than the digest
    data["sources"][path] = files_.digest(path);
  }
  fs::create_directories(folder_);
  TempDir fresh(folder_);
  fs::copy_file(built.object, fresh.path() / "object.o");
  write_file(fresh.path() / "unit.json", data.dump());
  const fs::path entry = entry_of(built.name);
  std::error_code taken;
  fs::remove_all(entry, taken);
  fs::rename(fresh.path(), entry, taken);  // another create was faster
}

}  // namespace ksplice
