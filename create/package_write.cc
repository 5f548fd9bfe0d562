// How a tarball is written: in memory, with everything fixed that could differ from one run to the
// next (order, times, owners, modes), and then beside its place and renamed into it.
#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>

#include <filesystem>
#include <memory>

#include "create/package.h"
#include "create/package_manifest.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace {

using Content = std::vector<uint8_t>;

la_ssize_t append(archive*, void* target, const void* data, size_t size) {
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  static_cast<Content*>(target)->insert(static_cast<Content*>(target)->end(), bytes, bytes + size);
  return static_cast<la_ssize_t>(size);
}

void check_write(archive* writer, int status) {
  if (status != ARCHIVE_OK)
    throw Error("failed",
                fmt::format("cannot make the tarball: {}", shown(archive_error_string(writer))));
}

void add_file(archive* writer, const std::string& name, const Content& content) {
  std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                 archive_entry_free);
  if (!entry) throw std::bad_alloc();
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_size(entry.get(), static_cast<int64_t>(content.size()));
  archive_entry_set_mtime(entry.get(), 0, 0);
  archive_entry_set_uname(entry.get(), "root");
  archive_entry_set_gname(entry.get(), "root");
  check_write(writer, archive_write_header(writer, entry.get()));
  if (archive_write_data(writer, content.data(), content.size()) !=
      static_cast<la_ssize_t>(content.size()))
    check_write(writer, ARCHIVE_FATAL);
}

}  // namespace

std::string write_package(const Package& package, const std::string& directory) {
  check_package(package);
  std::vector<FileEntry> list;
  for (const auto& [path, content] : package.files) {
    auto [top, rest] = split_name(path);
    if (path == ManifestName) throw Error("bad_tarball", "a file may not be named manifest.json");
    list.push_back({path, content.size(), sha256(content)});
  }
  std::string manifest = write_manifest(package, list);
  std::string top = "ksplice-" + package.id;

  Content tarball;
  std::unique_ptr<archive, int (*)(archive*)> writer(archive_write_new(), archive_write_free);
  if (!writer) throw std::bad_alloc();
  check_write(writer.get(), archive_write_set_format_ustar(writer.get()));
  check_write(writer.get(), archive_write_set_bytes_in_last_block(writer.get(), 1));
  check_write(writer.get(), archive_write_add_filter_gzip(writer.get()));
  check_write(writer.get(),
              archive_write_set_options(writer.get(), "gzip:!timestamp,gzip:compression-level=9"));
  check_write(writer.get(), archive_write_open(writer.get(), &tarball, nullptr, append, nullptr));
  add_file(writer.get(), top + "/" + ManifestName, Content(manifest.begin(), manifest.end()));
  for (const auto& [path, content] : package.files)
    add_file(writer.get(), top + "/" + path, content);
  check_write(writer.get(), archive_write_close(writer.get()));

  std::filesystem::path path = std::filesystem::path(directory) / (top + ".tar.gz");
  write_file(path, tarball);
  return path.string();
}

}  // namespace ksplice
