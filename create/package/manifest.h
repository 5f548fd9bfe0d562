// What the tarball's reader and writer share: the text of manifest.json and the rules for names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "create/package/package.h"

namespace ksplice {

constexpr const char* ManifestName = "manifest.json";
constexpr const char* SignatureName = "manifest.json.p7s";
constexpr int SignedFormat = 3;

struct FileEntry {
  std::string path;  // below the top folder
  uint64_t size = 0;
  std::string sha256;  // lower-case hex
  // Of a file that travels as a delta; base is empty otherwise.
  std::string base;
  uint64_t delta_size = 0;
  std::string delta_sha256;
};

// The name under which a file of the list is in the archive.
std::string stored_name(const FileEntry& file);

std::string write_manifest(const Package& package, const std::vector<FileEntry>& files,
                           bool is_signed);

// The package without the contents of its files; keys that this version does not know are
// ignored. format: what the manifest says. Throws Error("bad_tarball").
Package read_manifest(const std::string& text, std::vector<FileEntry>& files, uint64_t& format);

// The rules for ids, names, build ids and the files that kernels refer to. Throws
// Error("bad_tarball").
void check_package(const Package& package);

// A name from outside with its control characters made visible, for messages.
std::string shown(std::string_view name);

std::string sha256(const std::vector<uint8_t>& content);

// Splits "ksplice-ID/rest" after checking that the name cannot lead anywhere else. Throws
// Error("bad_tarball").
std::pair<std::string, std::string> split_name(const std::string& name);

}  // namespace ksplice
