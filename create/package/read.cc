// How a tarball is read: the whole file is inflated in memory by zlib, which checks the gzip
// checksum and that nothing is cut off or added; libarchive then walks the tar without ever
// touching the disk; every entry is judged by its name and kind before its content is taken; and at
// the end the files are held against the manifest, and those that travel as deltas are made from
// others. Sizes are bounded before memory is spent.
#include "create/package/package.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include "create/package/delta.h"
#include "create/package/manifest.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace {

constexpr uint64_t MaxTarball = 128 << 20;   // bytes on disk
constexpr uint64_t MaxUnpacked = 256 << 20;  // bytes of the tar
constexpr size_t MaxFiles = 4096;

using Content = std::vector<uint8_t>;

[[noreturn]] void fail(const std::string& message) {
  throw Error("bad_tarball", message, "get the tarball again or create it again");
}

std::string reason_of(archive* reader) {
  const char* reason = archive_error_string(reader);
  return shown(reason != nullptr ? reason : "no reason given");
}

Content inflate_whole(const Content& packed) {
  if (packed.size() < 2 || packed[0] != 0x1f || packed[1] != 0x8b) fail("not a gzip file");
  z_stream stream = {};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();
  std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
  stream.next_in = const_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  Content result;
  Content buffer(1 << 18);
  for (int status = Z_OK; status != Z_STREAM_END;) {
    stream.next_out = buffer.data();
    stream.avail_out = static_cast<uInt>(buffer.size());
    status = inflate(&stream, Z_NO_FLUSH);
    size_t got = buffer.size() - stream.avail_out;
    if (result.size() + got > MaxUnpacked)
      fail(fmt::format("it unpacks to more than {} MiB", MaxUnpacked >> 20));
    result.insert(result.end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(got));
    if (status == Z_BUF_ERROR || (status == Z_OK && got == 0 && stream.avail_in == 0))
      fail("it is truncated");
    if (status != Z_OK && status != Z_STREAM_END)
      fail(fmt::format("gzip data is damaged: {}",
                       stream.msg != nullptr ? stream.msg : "no dictionary"));
  }
  if (stream.avail_in != 0) fail(fmt::format("{} bytes follow its gzip data", stream.avail_in));
  return result;
}

const char* kind_word(const archive_entry* entry) {
  if (archive_entry_hardlink(const_cast<archive_entry*>(entry)) != nullptr) return "a hard link";
  switch (archive_entry_filetype(const_cast<archive_entry*>(entry))) {
    case AE_IFREG:
      return nullptr;
    case AE_IFLNK:
      return "a symbolic link";
    case AE_IFCHR:
    case AE_IFBLK:
      return "a device";
    case AE_IFIFO:
      return "a pipe";
    default:
      return "neither file nor folder";
  }
}

Content read_entry(archive* reader, const archive_entry* entry, const std::string& name) {
  int64_t size = archive_entry_size(const_cast<archive_entry*>(entry));
  if (size < 0 || static_cast<uint64_t>(size) > MaxUnpacked)
    fail(fmt::format("entry \"{}\": size {}", shown(name), size));
  Content content(static_cast<size_t>(size));
  size_t done = 0;
  while (done < content.size()) {
    la_ssize_t got = archive_read_data(reader, content.data() + done, content.size() - done);
    if (got < 0) fail(fmt::format("entry \"{}\": {}", shown(name), reason_of(reader)));
    if (got == 0) fail(fmt::format("entry \"{}\" is truncated", shown(name)));
    done += static_cast<size_t>(got);
  }
  return content;
}

struct Entries {
  std::string top;
  std::map<std::string, Content> files;
};

Entries read_entries(const Content& tar) {
  std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
  if (!reader) throw std::bad_alloc();
  if (archive_read_support_format_tar(reader.get()) != ARCHIVE_OK ||
      archive_read_open_memory(reader.get(), tar.data(), tar.size()) != ARCHIVE_OK)
    fail(fmt::format("not a tar archive: {}", reason_of(reader.get())));
  Entries entries;
  uint64_t total = 0;
  for (;;) {
    archive_entry* entry = nullptr;
    int status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK) fail(fmt::format("tar data is damaged: {}", reason_of(reader.get())));
    const char* given = archive_entry_pathname(entry);
    std::string name = given != nullptr ? given : "";
    auto [top, rest] = split_name(name);
    if (entries.top.empty()) entries.top = top;
    if (top != entries.top)
      fail(fmt::format("entry \"{}\": a second top folder beside \"{}\"", shown(name),
                       shown(entries.top)));
    if (archive_entry_filetype(entry) == AE_IFDIR && archive_entry_hardlink(entry) == nullptr)
      continue;
    if (const char* kind = kind_word(entry))
      fail(fmt::format("entry \"{}\" is {}", shown(name), kind));
    if (rest.empty() || rest.back() == '/')
      fail(fmt::format("entry \"{}\": a file outside the top folder", shown(name)));
    // A sparse entry may claim any size; only real bytes are in tar.
    int64_t size = archive_entry_size(entry);
    total += size > 0 ? static_cast<uint64_t>(size) : 0;
    if (total > MaxUnpacked || entries.files.size() >= MaxFiles)
      fail(fmt::format("entry \"{}\": too many or too large files", shown(name)));
    if (!entries.files.emplace(rest, read_entry(reader.get(), entry, name)).second)
      fail(fmt::format("entry \"{}\" is there twice", shown(name)));
  }
  return entries;
}

void check_content(const std::string& name, const Content& content, uint64_t size,
                   const std::string& wanted) {
  if (content.size() != size)
    fail(fmt::format("file \"{}\" has {} bytes, the manifest says {}", shown(name), content.size(),
                     size));
  std::string digest = sha256(content);
  if (digest != wanted)
    fail(fmt::format("file \"{}\" has the SHA-256 {}, the manifest says {}", shown(name), digest,
                     shown(wanted)));
}

// Takes the listed files out of entries, deltas as they are: by path.
std::map<std::string, Content> take_files(const std::vector<FileEntry>& list, Entries& entries) {
  std::map<std::string, Content> files;
  uint64_t total = 0;
  for (const FileEntry& file : list) {
    std::string name = stored_name(file);
    bool whole = file.base.empty();
    auto found = entries.files.find(name);
    if (found == entries.files.end())
      fail(fmt::format("file \"{}\" is listed and not there", shown(name)));
    check_content(name, found->second, whole ? file.size : file.delta_size,
                  whole ? file.sha256 : file.delta_sha256);
    if (file.size > MaxUnpacked || (total += file.size) > MaxUnpacked)
      fail(fmt::format("it unpacks to more than {} MiB", MaxUnpacked >> 20));
    if (!files.emplace(file.path, std::move(found->second)).second)
      fail(fmt::format("file \"{}\" is listed twice", shown(file.path)));
    entries.files.erase(found);
  }
  if (!entries.files.empty())
    fail(fmt::format("file \"{}\" is not listed in the manifest",
                     shown(entries.files.begin()->first)));
  return files;
}

// Makes the files that travel as deltas. A base is always a file that is there as it is, so there
// are no chains, and no order in which to make them.
void make_files(const std::vector<FileEntry>& list, std::map<std::string, Content>& files) {
  std::set<std::string> whole;
  for (const FileEntry& file : list)
    if (file.base.empty()) whole.insert(file.path);
  for (const FileEntry& file : list) {
    if (file.base.empty()) continue;
    if (!whole.contains(file.base))
      fail(fmt::format("file \"{}\" is a delta against \"{}\", which is {}", shown(file.path),
                       shown(file.base),
                       files.contains(file.base) ? "a delta itself" : "not in the list"));
    Content& content = files.at(file.path);
    try {
      content = apply_delta(files.at(file.base), content, file.size);
    } catch (const Error& error) {
      fail(fmt::format("file \"{}\": {}", shown(file.path), error.what()));
    }
    check_content(file.path, content, file.size, file.sha256);
  }
}

std::vector<uint8_t> read_bounded(const std::string& path) {
  struct stat st = {};
  if (::stat(path.c_str(), &st) == 0 && static_cast<uint64_t>(st.st_size) > MaxTarball)
    fail(fmt::format("it is larger than {} MiB", MaxTarball >> 20));
  if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) || S_ISFIFO(st.st_mode)) fail("not a plain file");
  return read_file(path);
}

// A manifest says whether it is signed, so that nobody can take the signature away and have an
// unsigned tarball left. Where it says no, the file is one that is not listed.
void take_signature(uint64_t format, Entries& entries, Package& package) {
  if (format < SignedFormat) return;
  auto signature = entries.files.find(SignatureName);
  if (signature == entries.files.end() || signature->second.empty())
    fail(fmt::format("it says that it is signed, and has no {}", SignatureName));
  package.signature = std::move(signature->second);
  entries.files.erase(signature);
}

Package read_checked(const std::vector<uint8_t>& bytes) {
  Entries entries = read_entries(inflate_whole(bytes));
  auto manifest = entries.files.find(ManifestName);
  if (manifest == entries.files.end()) fail(fmt::format("no {} in it", ManifestName));
  std::vector<FileEntry> list;
  const std::string text(manifest->second.begin(), manifest->second.end());
  uint64_t format = 0;
  Package package = read_manifest(text, list, format);
  package.manifest = text;
  entries.files.erase(manifest);
  take_signature(format, entries, package);
  package.files = take_files(list, entries);
  make_files(list, package.files);
  check_package(package);
  if (entries.top != "ksplice-" + package.id)
    fail(fmt::format("top folder \"{}\" does not belong to the id {}", shown(entries.top),
                     package.id));
  return package;
}

}  // namespace

Package read_package(const std::string& path, std::vector<uint8_t>* content) {
  try {
    std::vector<uint8_t> bytes = read_bounded(path);
    Package package = read_checked(bytes);
    if (content != nullptr) *content = std::move(bytes);
    return package;
  } catch (const Error& error) {
    if (error.code != "bad_tarball") throw;
    throw Error("bad_tarball", fmt::format("{}: {}", path, error.what()), error.hint);
  }
}

}  // namespace ksplice
