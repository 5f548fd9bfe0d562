#include "create/package/tarball.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>

#include <memory>
#include <new>

#include "create/package/manifest.h"
#include "objdiff/base/error.h"

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

void add_entry(archive* writer, const TarEntry& file) {
  std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                 archive_entry_free);
  if (!entry) throw std::bad_alloc();
  archive_entry_set_pathname(entry.get(), file.name.c_str());
  archive_entry_set_filetype(entry.get(), file.link.empty() ? AE_IFREG : AE_IFLNK);
  archive_entry_set_perm(entry.get(), file.link.empty() ? 0644 : 0777);
  if (!file.link.empty()) archive_entry_set_symlink(entry.get(), file.link.c_str());
  archive_entry_set_size(entry.get(), static_cast<int64_t>(file.content.size()));
  archive_entry_set_mtime(entry.get(), 0, 0);
  archive_entry_set_uname(entry.get(), "root");
  archive_entry_set_gname(entry.get(), "root");
  check_write(writer, archive_write_header(writer, entry.get()));
  if (archive_write_data(writer, file.content.data(), file.content.size()) !=
      static_cast<la_ssize_t>(file.content.size()))
    check_write(writer, ARCHIVE_FATAL);
}

}  // namespace

std::vector<uint8_t> make_tarball(const std::vector<TarEntry>& entries, int level) {
  Content tarball;
  std::unique_ptr<archive, int (*)(archive*)> writer(archive_write_new(), archive_write_free);
  if (!writer) throw std::bad_alloc();
  check_write(writer.get(), archive_write_set_format_ustar(writer.get()));
  check_write(writer.get(), archive_write_set_bytes_in_last_block(writer.get(), 1));
  check_write(writer.get(), archive_write_add_filter_gzip(writer.get()));
  const std::string options = fmt::format("gzip:!timestamp,gzip:compression-level={}", level);
  check_write(writer.get(), archive_write_set_options(writer.get(), options.c_str()));
  check_write(writer.get(), archive_write_open(writer.get(), &tarball, nullptr, append, nullptr));
  for (const TarEntry& entry : entries) add_entry(writer.get(), entry);
  check_write(writer.get(), archive_write_close(writer.get()));
  return tarball;
}

}  // namespace ksplice
