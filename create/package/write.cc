// How a tarball is written: in memory (tarball.h), and then beside its place and renamed into it.
//
// gzip sees 32 KiB back, so what two kernels have in common it would store twice. Each file of a
// further kernel is therefore tried as a delta against the same part (core, target, finalization)
// of the kernels before it, as far as these are there whole, and the smallest delta is taken.
#include <fmt/core.h>
#include <zlib.h>

#include <filesystem>

#include "create/package/delta.h"
#include "create/package/manifest.h"
#include "create/package/package.h"
#include "create/package/tarball.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace {

using Content = std::vector<uint8_t>;

// Files of the kernels that play the same part, in the order of kernels.
std::map<std::string, std::vector<std::string>> group_files(const Package& package) {
  std::map<std::string, std::vector<std::string>> groups;
  for (const PackageKernel& kernel : package.kernels) {
    groups["core"].push_back(kernel.core_file);
    groups["core final"].push_back(kernel.core_final);
    for (const PackageTarget& target : kernel.targets) {
      groups["target " + target.name].push_back(target.file);
      groups["target final " + target.name].push_back(target.final);
      if (!target.cold_file.empty()) groups["cold " + target.name].push_back(target.cold_file);
    }
  }
  return groups;
}

size_t packed_size(const Content& content) {
  uLongf size = compressBound(content.size());
  Content packed(size);
  if (compress2(packed.data(), &size, content.data(), content.size(), 9) != Z_OK)
    throw std::bad_alloc();
  return size;
}

struct Delta {
  std::string base;
  Content content;
  size_t packed = 0;
};

Delta smallest_delta(const Package& package, const std::vector<std::string>& bases,
                     const Content& content) {
  Delta best;
  for (const std::string& base : bases) {
    std::optional<Content> delta = make_delta(package.files.at(base), content);
    if (!delta) continue;
    size_t packed = packed_size(*delta);
    if (best.base.empty() || packed < best.packed) best = {base, std::move(*delta), packed};
  }
  return best;
}

// The deltas that are worth it, by path.
std::map<std::string, Delta> make_deltas(const Package& package) {
  std::map<std::string, Delta> deltas;
  for (const auto& [part, paths] : group_files(package)) {
    std::vector<std::string> whole;
    for (const std::string& path : paths) {
      const Content& content = package.files.at(path);
      Delta delta = smallest_delta(package, whole, content);
      if (!delta.base.empty() && delta.packed < packed_size(content) / 4 * 3)
        deltas.emplace(path, std::move(delta));
      else
        whole.push_back(path);
    }
  }
  return deltas;
}

}  // namespace

std::string write_package(const Package& package, const std::string& directory, const Sign& sign) {
  check_package(package);
  std::map<std::string, Delta> deltas = make_deltas(package);
  std::vector<FileEntry> list;
  for (const auto& [path, content] : package.files) {
    auto [top, rest] = split_name(path);
    if (path == ManifestName || path == SignatureName)
      throw Error("bad_tarball", fmt::format("a file may not be named {}", path));
    FileEntry file{path, content.size(), sha256(content), "", 0, ""};
    auto delta = deltas.find(path);
    if (delta != deltas.end()) {
      file.base = delta->second.base;
      file.delta_size = delta->second.content.size();
      file.delta_sha256 = sha256(delta->second.content);
    }
    list.push_back(std::move(file));
  }
  std::string manifest = write_manifest(package, list, static_cast<bool>(sign));
  std::string top = "ksplice-" + package.id;

  std::vector<TarEntry> entries = {
      {top + "/" + ManifestName, Content(manifest.begin(), manifest.end()), ""}};
  if (sign) entries.push_back({top + "/" + SignatureName, sign(manifest), ""});
  for (const FileEntry& file : list)
    entries.push_back(
        {top + "/" + stored_name(file),
         file.base.empty() ? package.files.at(file.path) : std::move(deltas.at(file.path).content),
         ""});
  const Content tarball = make_tarball(entries, 9);

  std::filesystem::path path = std::filesystem::path(directory) / (top + ".tar.gz");
  write_file(path, tarball);
  return path.string();
}

}  // namespace ksplice
