#include "create/lower.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "objdiff/base/error.h"
#include "objdiff/update/lower_update.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// The only word of a file in sysfs.
std::string read_word(const fs::path& path) {
  std::ifstream stream(path);
  std::string word;
  stream >> word;
  return word;
}

// Ids of the applied updates, the first one first. The files are described in kmod-core/sysfs.c.
std::vector<std::string> applied_updates(const fs::path& root) {
  std::map<unsigned long, std::string> by_order;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(root / "sys/kernel/ksplice", none)) {
    std::string id = entry.path().filename();
    if (is_valid_id(id) && read_word(entry.path() / "stage") == "applied")
      by_order[std::strtoul(read_word(entry.path() / "order").c_str(), nullptr, 10)] = id;
  }
  std::vector<std::string> ids;
  for (const auto& [order, id] : by_order) ids.push_back(id);
  return ids;
}

// Where ksplice-apply keeps them; see apply/store.h.
std::vector<Package> read_applied(const fs::path& root, Progress& progress) {
  std::vector<Package> packages;
  for (const std::string& id : applied_updates(root)) {
    fs::path found;
    for (const char* place : {"var/lib/ksplice", "run/ksplice"}) {
      fs::path file = root / place / "updates" / id / fmt::format("ksplice-{}.tar.gz", id);
      std::error_code none;
      if (found.empty() && fs::is_regular_file(file, none)) found = file;
    }
    if (found.empty()) {
      progress.note(
          fmt::format("update {} is applied here and its tarball was not kept: what it "
                      "replaced cannot be replaced again without --on-top-of",
                      id));
      continue;
    }
    progress.note(fmt::format("on top of update {}, which is applied here", id));
    packages.push_back(read_package(found.string()));
  }
  return packages;
}

void check_order(const std::vector<Package>& packages) {
  std::map<std::string, const Package*> before;
  for (const Package& package : packages) {
    for (const PackageKernel& kernel : package.kernels)
      for (const PackageTarget& target : kernel.targets)
        for (const PackageLower& lower : target.stands_on)
          if (!before.contains(lower.id))
            throw Error("needs_update",
                        fmt::format("update {} stands on update {}, which is not there or comes "
                                    "after it",
                                    package.id, lower.id),
                        "give --on-top-of for every update that is applied, the first one first");
    if (!before.emplace(package.id, &package).second)
      throw Error("usage", fmt::format("update {} is named twice", package.id));
  }
}

}  // namespace

std::vector<Package> read_lower_updates(const Options& options, Progress& progress,
                                        const fs::path& root) {
  std::vector<Package> packages;
  if (options.on_top_of == std::vector<std::string>{"none"}) return packages;
  for (const std::string& file : options.on_top_of) packages.push_back(read_package(file));
  if (options.on_top_of.empty() && options.configs.empty()) packages = read_applied(root, progress);
  check_order(packages);
  return packages;
}

void add_lower_updates(RunImage& image, const std::vector<Package>& lowers,
                       const std::string& kernel_build_id) {
  for (const Package& package : lowers) {
    auto kernel = std::find_if(package.kernels.begin(), package.kernels.end(),
                               [&](const auto& each) { return each.build_id == kernel_build_id; });
    if (kernel == package.kernels.end())
      throw Error("wrong_kernel",
                  fmt::format("update {} cannot be applied to the kernel with build id {}",
                              package.id, kernel_build_id),
                  "--on-top-of names updates of the kernel that is to be patched");
    for (const PackageTarget& target : kernel->targets) {
      if (target.name != image.target) continue;
      if (target.build_id != image.build_id)
        throw Error("wrong_module",
                    fmt::format("update {} is for another {}: build id {}, expected {}", package.id,
                                target.name, target.build_id, image.build_id));
      const std::vector<uint8_t>& text = package.files.at(target.final);
      for (const PackageLower& lower : target.stands_on)
        if (std::none_of(image.lowers.begin(), image.lowers.end(), [&](const RunLower& each) {
              return each.module == lower.module && each.build_id == lower.build_id;
            }))
          throw Error("wrong_update", fmt::format("update {} was not made on top of this update {}",
                                                  package.id, lower.id));
      add_lower_update(image,
                       {package.id, target.module, package.files.at(target.file),
                        read_finalization(std::string(text.begin(), text.end())), target.uses});
    }
  }
}

}  // namespace ksplice
