// The text of manifest.json; only package.cc uses it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "create/package.h"

namespace ksplice {

struct FileEntry {
  std::string path;  // below the top folder
  uint64_t size = 0;
  std::string sha256;  // lower-case hex
};

std::string write_manifest(const Package& package, const std::vector<FileEntry>& files);

// The package without the contents of its files; keys that this version does not know are
// ignored. Throws Error("bad_tarball").
Package read_manifest(const std::string& text, std::vector<FileEntry>& files);

// The rules for ids, names, build ids and the files that kernels refer to. Throws
// Error("bad_tarball").
void check_package(const Package& package);

}  // namespace ksplice
